"""Queries: words to find a name by, and terms that ask what a function is.

    bio submit takes:"struct bio *" returns:int args:>2 is:probeable -mod:dm_*

========================  =============================================================================================
``tcp_*`` ``*_show``      a word with ``*`` or ``?`` in it is a pattern for the whole name, without tolerance
``is:PROPERTY``           what can be told of every function: ``Property`` names them all
``mod:NAME``              in this module; ``*`` stands for any letters: ``mod:nf_*``; ``-mod:*``: the kernel itself
``takes:TYPE``            one of the parameters has this type
``returns:TYPE``          so has the return value; ``returns:errptr``: any pointer, each may hold an errno
``args:N`` ``args:>N``    the number of parameters, also ``<``, ``<=``, ``>=``; what ``...`` stands for is not counted
``-TERM`` ``!TERM``       the opposite
========================  =============================================================================================

A TYPE in full means exactly itself: ``int``, ``struct bio *``, ``gfp_t *``; a bare name means a struct, union, enum or
typedef of this name behind any number of pointers: ``takes:bio``. Types are compared as they are written: typedefs are
not looked through, ``const`` and its like are ignored. Quotes around a value may be left out where its end is clear.

All words and all terms must hold, in whatever order they stand. What is not known of a function meets neither a term
nor its opposite.
"""

from symbols.query.function_index import FunctionIndex, Selection
from symbols.query.grammar import TERM_NAMES, parse
from symbols.query.terms import Problem, Property, Query, Term

__all__ = ["TERM_NAMES", "FunctionIndex", "Problem", "Property", "Query", "Selection", "Term", "parse"]
