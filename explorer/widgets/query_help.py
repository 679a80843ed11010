"""What a query may say, for the help: the left column and the words beside it."""

from __future__ import annotations

from symbols.query import Property

QUERY_HELP = (
    ("letters", "of a name, a few of each word, typos forgiven; several words in any order"),
    ("tcp_*", "a word with * or ? is a pattern for the whole name: *_show, vfs_*"),
    ("takes:TYPE", 'a parameter has this type: takes:"struct bio *" exactly, takes:bio behind any pointers'),
    ("returns:TYPE", "so has what it returns; returns:errptr is any pointer, it may hold an errno"),
    ("args:N", "the number of parameters: args:3, args:>6, args:<=2"),
    ("mod:NAME", "of this module: mod:ext4, mod:nf_*; -mod:* is the kernel itself"),
    *((f"is:{asked.word}", asked.meaning) for asked in Property),
    ("-TERM", "the opposite: -is:probeable; words and terms must all hold, in any order"),
)
