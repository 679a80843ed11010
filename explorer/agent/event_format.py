"""The fields of an event's records: from the text of its ``format`` file to a decoder compiled for it."""

from __future__ import annotations

import re
import struct
from typing import Any, Dict, NamedTuple, Optional, Sequence, Tuple

from explorer.agent import row_code
from explorer.agent.ring_buffer import Record, RingBufferError
from explorer.agent.row_code import Places, Texts, ValuePlace

_ID = re.compile(r"^ID: ([0-9]{1,9})$", re.MULTILINE)
_FIELD = re.compile(
    r"^\tfield:([^;\n]+);\toffset:([0-9]{1,9});\tsize:([0-9]{1,9});(?:\tsigned:([01]);)?$", re.MULTILINE
)
_NAME = re.compile(r"(?:.*\W)?(\w+)(?:\[[^\]\n]*\])?")

_CODES = {(1, False): "B", (1, True): "b", (2, False): "H", (2, True): "h",
          (4, False): "I", (4, True): "i", (8, False): "Q", (8, True): "q"}  # fmt: skip


class Field(NamedTuple):
    """One field: ``dynamic`` ones hold u16 offset and u16 length of data at the record's end (``__data_loc``)."""

    offset: int
    size: int
    signed: bool
    dynamic: bool


class EventFormat(NamedTuple):
    """What ``events/GROUP/EVENT/format`` says: the event's id and its fields by name."""

    id: int
    fields: Dict[str, Field]

    @classmethod
    def parse(cls, text: str) -> EventFormat:
        """Read a format file.

        Raises:
            RingBufferError: It has no id or no fields.
        """
        number = _ID.search(text)
        fields: Dict[str, Field] = {}
        for declaration, offset, size, signed in _FIELD.findall(text):
            name = _NAME.fullmatch(declaration)
            if name is not None:
                dynamic = declaration.startswith("__data_loc")
                fields[name.group(1)] = Field(int(offset), int(size), signed == "1" and not dynamic, dynamic)
        if number is None or not fields:
            raise RingBufferError("an event's format has no id or no fields")
        return cls(int(number.group(1)), fields)

    def unpacker(self, names: Sequence[str], size: int = 0) -> Tuple[struct.Struct, Dict[str, int]]:
        """A struct over the fixed part of a record, and where in its tuple each of ``names`` comes.

        Args:
            names: The fields wanted.
            size: Bytes that it covers at least, whatever lies in them.

        Raises:
            RingBufferError: A field is missing, or of a size that no integer has.
        """
        try:
            wanted = sorted({name: self.fields[name] for name in names}.items(), key=lambda item: item[1].offset)
        except KeyError as error:
            raise RingBufferError(f"an event's format has no field {error}") from None
        codes, position = ["<"], 0
        for name, field in wanted:
            code = _CODES.get((field.size, field.signed))
            if code is None or field.offset < position:
                raise RingBufferError(f"field {name} is not a plain integer")
            codes.append(f"{field.offset - position}x{code}")
            position = field.offset + field.size
        codes.append(f"{max(0, size - position)}x")
        return struct.Struct("".join(codes)), {name: place for place, (name, _) in enumerate(wanted)}

    def words(self, names: Sequence[str]) -> Tuple[int, int]:
        """Where the bytes of fields of eight bytes begin and end that stand one behind the other.

        Raises:
            RingBufferError: They do not.
        """
        found = [self.fields.get(name) for name in names]
        begin = found[0].offset if found[0] is not None else 0
        if any(field is None or field[:2] != (begin + 8 * number, 8) for number, field in enumerate(found)):
            raise RingBufferError(f"the fields {names[0]} to {names[-1]} do not stand one behind the other")
        return begin, begin + 8 * len(names)


class ValueField(NamedTuple):
    """The fields that carry one value of a probe.

    Attributes:
        name: The field with the value.
        guard: For an integer read from memory, the text field that tells whether the read faulted: where a read faults
            the kernel leaves in the record whatever bytes were there before, but marks a text. None where no memory is
            read.
    """

    name: str
    guard: Optional[str]


Raw = Tuple[Any, ...]
"""The fixed fields of a record, in the order of their offsets."""


class HitDecoder:
    """Decodes the records of one probe: whole ones to rows, or single values for whoever wants few of them.

    Args:
        event: The probe's event; it has a field ``comm``.
        values: The fields of its values, in order.
        registers: The fields of its registers, in order and side by side; empty when they are not recorded.

    Attributes:
        rows: Turns records into rows.

    Raises:
        RingBufferError: The event lacks one of these fields.
    """

    def __init__(self, event: EventFormat, values: Sequence[ValueField], registers: Sequence[str]) -> None:
        names = ["common_flags", "common_pid", "comm"]
        for value in values:
            names.append(value.name)
            if value.guard is not None:
                names.append(value.guard)
        saved = event.words(registers) if registers else None
        self._struct, place = event.unpacker(names, saved[1] if saved else 0)
        self._tid, self._comm = place["common_pid"], place["comm"]
        self._values = [
            ValuePlace(
                place[value.name], event.fields[value.name].dynamic, -1 if value.guard is None else place[value.guard]
            )
            for value in values
        ]
        self._texts = Texts()
        self.rows = row_code.compiled(
            Places(self._struct, place["common_flags"], self._tid, self._comm, self._values, saved)
        )

    def unpack(self, page: bytes, record: Record) -> Raw:
        """The fixed part of a record, for whoever wants few of its values.

        Raises:
            RingBufferError: It is shorter than its event's format says.
        """
        _, start, end, _ = record
        if start + self._struct.size > end:
            raise RingBufferError(f"a record of {end - start} bytes is shorter than its format")
        return self._struct.unpack_from(page, start)

    def value(self, page: bytes, record: Record, raw: Raw, index: int) -> Any:
        """One of its values; None for a read that faulted.

        Raises:
            RingBufferError: It points outside the record.
        """
        place, dynamic, guard = self._values[index]
        _, start, end, _ = record
        if dynamic:
            return self._text(page, start, end, raw[place])
        if guard >= 0 and self._text(page, start, end, raw[guard]) is None:
            return None
        return raw[place]

    def comm(self, page: bytes, record: Record, raw: Raw) -> str:
        """The name of the thread.

        Raises:
            RingBufferError: It points outside the record.
        """
        return self._text(page, record[1], record[2], raw[self._comm]) or ""

    def tid(self, raw: Raw) -> int:
        """The thread."""
        tid: int = raw[self._tid]
        return tid

    def _text(self, page: bytes, start: int, end: int, location: int) -> Optional[str]:
        begin = start + (location & 0xFFFF)
        stop = begin + (location >> 16)
        if begin < start + self._struct.size or stop > end:
            raise RingBufferError("a text lies outside its record")
        return self._texts[page[begin:stop]]
