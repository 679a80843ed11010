"""What the user asks to be probed, before anything is known of the kernel: a place, and entry, return or both."""

from __future__ import annotations

import dataclasses
import enum
import re

from explorer.errors import UsageError


class ProbeKind(enum.Enum):
    """At which moment a probe fires."""

    ENTRY = "entry"
    RETURN = "return"
    CALL = "call"
    """At both, to be shown as one: see ``explorer.session.calls``."""

    @property
    def suffix(self) -> str:
        """What is written behind the place."""
        return "" if self is ProbeKind.ENTRY else f"%{self.value}"


ALL_VARIANTS = ".*"
"""Behind a function's name: the function and all that the compiler made of it."""

_FORM = re.compile(
    r"""(?: (?:(?P<module>[A-Za-z_]\w*):)? (?P<symbol>[A-Za-z_.$][\w.$]*(?:\.\*)?) (?:\+(?P<offset>0x[0-9a-fA-F]+|\d+))?
        | (?P<address>0x[0-9a-fA-F]+) )
        (?:%(?P<kind>return|call))?""",
    re.VERBOSE,
)
_HINT = (
    "forms: do_sys_openat2, do_sys_openat2%return, do_sys_openat2%call (both as one), vfs_read+0x1f, "
    "0xffffffff812a5678, ext4:ext4_file_open, 'foo.*'"
)


@dataclasses.dataclass(frozen=True, slots=True)
class ProbeSpec:
    """A probe as the user names it.

    Attributes:
        symbol: The function's name; "" where ``address`` says it all. ``foo.*`` is ``foo`` with all its variants, which
            ``explorer.session.family`` turns into the specs of each.
        module: The module's name, or "".
        offset: Bytes from the symbol's start.
        address: An absolute address, or None.
        kind: Entry (any offset counts as one), return, or call: both, paired.
    """

    symbol: str
    module: str = ""
    offset: int = 0
    address: int | None = None
    kind: ProbeKind = ProbeKind.ENTRY

    @classmethod
    def parse(cls, text: str) -> ProbeSpec:
        """Read the notation of the command line.

        Raises:
            UsageError: It is none of the forms, or asks for the return of something inside a function.
        """
        match = _FORM.fullmatch(text.strip())
        if match is None:
            raise UsageError(f"{text!r} is not a probe", _HINT)
        kind = ProbeKind(match["kind"] or "entry")
        if match["address"]:
            address = int(match["address"], 16)
            if address >= 1 << 64:
                raise UsageError(f"{text!r} is wider than an address", _HINT)
            return cls("", address=address, kind=kind)
        offset = int(match["offset"], 0) if match["offset"] else 0
        if offset and match["symbol"].endswith(ALL_VARIANTS):
            raise UsageError(
                f"{text!r}: an offset belongs to one function", "name the variant: kexplore show lists them"
            )
        if offset and kind is not ProbeKind.ENTRY:
            raise UsageError(f"{text!r}: a {kind.value} probe has no offset", f"probe the {kind.value} of the function "
                             f"itself: {match['symbol']}{kind.suffix}")  # fmt: skip
        return cls(match["symbol"], match["module"] or "", offset, None, kind)

    def __str__(self) -> str:
        """The notation that ``parse`` reads."""
        place = f"{self.address:#x}" if self.address is not None else self.symbol
        module = f"{self.module}:" if self.module else ""
        offset = f"+{self.offset:#x}" if self.offset else ""
        return f"{module}{place}{offset}{self.kind.suffix}"
