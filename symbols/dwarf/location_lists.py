"""Location lists: the expression that tells where a value is while one instruction runs."""

from __future__ import annotations

from collections.abc import Iterator

from symbols.dwarf.bytes_at import Cursor
from symbols.dwarf.constants import At, Form
from symbols.dwarf.errors import DebugInfoError
from symbols.dwarf.units import Entry, Unit

_MOST = 100_000
_BLOCKS = frozenset({Form.EXPRLOC, Form.BLOCK, Form.BLOCK1, Form.BLOCK2, Form.BLOCK4})


def expression_at(entry: Entry, address: int) -> bytes | None:
    """Where a parameter is when the instruction at ``address`` is about to run; None where it is nowhere then.

    Raises:
        DebugInfoError: Its list is damaged.
    """
    form, value = entry.attributes.get(At.LOCATION, (0, 0))
    if not form:
        return None
    if form in _BLOCKS and isinstance(value, bytes):
        return value
    unit = entry.unit
    if not isinstance(value, int):
        raise DebugInfoError("debug information is damaged: a location makes no sense")
    items = _lists_5(unit, form, value) if unit.encoding.version >= 5 else _lists_4(unit, value)
    default: bytes | None = None
    for number, (low, high, expression) in enumerate(items):
        if number > _MOST:
            raise DebugInfoError("debug information is damaged: a list of locations has no end")
        if high is None:
            default = expression
        elif low <= address < high:
            return expression
    return default


def _lists_4(unit: Unit, offset: int) -> Iterator[tuple[int, int | None, bytes]]:
    size = unit.encoding.address_size
    cursor = Cursor(unit.dwarf.image.section(".debug_loc"), offset)
    base, highest = unit.low, (1 << 8 * size) - 1
    while True:
        low, high = cursor.unsigned(size), cursor.unsigned(size)
        if low == highest:
            base = high
        elif not low and not high:
            return
        else:
            yield base + low, base + high, cursor.take(cursor.unsigned(2))


def _lists_5(unit: Unit, form: int, value: int) -> Iterator[tuple[int, int | None, bytes]]:
    size = unit.encoding.address_size
    section = unit.dwarf.image.section(".debug_loclists")
    offset = value
    if form == Form.LOCLISTX:
        start = unit.bases.get(At.LOCLISTS_BASE, 12 if unit.encoding.offset_size == 4 else 20)
        step = unit.encoding.offset_size
        offset = start + Cursor(section, start + value * step).unsigned(step)
    cursor = Cursor(section, offset)
    base = unit.low
    while kind := cursor.unsigned(1):  # DW_LLE
        low, high = 0, None
        match kind:
            case 1:
                base = unit.address(Form.ADDRX, cursor.uleb())
                continue
            case 2:
                low, high = unit.address(Form.ADDRX, cursor.uleb()), unit.address(Form.ADDRX, cursor.uleb())
            case 3:
                low = unit.address(Form.ADDRX, cursor.uleb())
                high = low + cursor.uleb()
            case 4:
                low, high = base + cursor.uleb(), base + cursor.uleb()
            case 5:
                pass
            case 6:
                base = cursor.unsigned(size)
                continue
            case 7:
                low, high = cursor.unsigned(size), cursor.unsigned(size)
            case 8:
                low = cursor.unsigned(size)
                high = low + cursor.uleb()
            case 9:  # GNU: which of several views of the same address it is about
                cursor.uleb()
                cursor.uleb()
                continue
            case _:
                raise DebugInfoError(f"locations of kind {kind} are not known here")
        yield low, high, cursor.take(cursor.uleb())
