"""Source files and lines: the table of files of a unit, and the line that an address was compiled from."""

from __future__ import annotations

import os.path
from collections.abc import Iterator

from symbols.dwarf.bytes_at import Cursor, raw_string
from symbols.dwarf.constants import At, Form
from symbols.dwarf.errors import DebugInfoError
from symbols.dwarf.units import Unit

_PATH, _DIRECTORY = 1, 2
"""What a column of the tables of DWARF 5 holds (DW_LNCT)."""
_MOST_FILES = 100_000


class SourceLines:
    """The line table of one unit.

    Args:
        unit: The unit.

    Raises:
        DebugInfoError: Its table is damaged.
    """

    def __init__(self, unit: Unit) -> None:
        self._unit = unit
        self._directory = unit.top.text(At.COMP_DIR)
        offset = unit.top.number(At.STMT_LIST)
        self._files: list[tuple[str, int]] = []
        self._directories: list[str] = []
        self._first_file = 1
        self._program: tuple[Cursor, int, int, int, int, list[int]] | None = None
        if offset is not None:
            self._read_header(Cursor(unit.dwarf.image.section(".debug_line"), offset))

    def file(self, number: int | None) -> str:
        """The path of a file by its number, from the top of the source tree where that can be told; "" if unknown."""
        place = -1 if number is None else number - self._first_file
        if not 0 <= place < len(self._files):
            return ""
        name, directory = self._files[place]
        path = name
        if not os.path.isabs(path) and 0 <= directory < len(self._directories):
            path = os.path.join(self._directories[directory], path)
        return below(path, self._directory)

    def line_at(self, address: int) -> tuple[str, int] | None:
        """The file and line that the instruction at an address was compiled from; None where the table has none."""
        found: tuple[int, int] | None = None
        for start, end, file, line in self._rows():
            if start <= address < end:
                found = file, line
            elif found is not None:
                break
        if found is None or not found[1]:
            return None
        return self.file(found[0]), found[1]

    def _read_header(self, cursor: Cursor) -> None:
        length, offset_size = cursor.unsigned(4), 4
        if length == 0xFFFFFFFF:
            length, offset_size = cursor.unsigned(8), 8
        end = cursor.position + length
        if end > len(cursor.data):
            raise DebugInfoError("debug information is damaged: a line table has no end")
        cursor.end = end
        version = cursor.unsigned(2)
        if not 2 <= version <= 5:
            raise DebugInfoError(f"line tables of version {version} are not known here")
        if version >= 5:
            cursor.take(2)
        header = cursor.unsigned(offset_size)
        start = cursor.position + header
        smallest = cursor.unsigned(1)
        if version >= 4:
            cursor.unsigned(1)
        cursor.unsigned(1)
        base, span, first_code = cursor.signed(1), cursor.unsigned(1), cursor.unsigned(1)
        operands = [cursor.unsigned(1) for _ in range(first_code - 1)]
        if version >= 5:
            self._first_file = 0
            self._directories = [path for path, _ in self._table(cursor, offset_size)]
            self._files = list(self._table(cursor, offset_size))
        else:
            self._directories = [self._directory]
            while directory := cursor.string():
                self._directories.append(directory)
            while name := cursor.string():
                self._files.append((name, cursor.uleb()))
                cursor.uleb()
                cursor.uleb()
        if not span:
            raise DebugInfoError("debug information is damaged: a line table makes no sense")
        self._program = Cursor(cursor.data, start, end), smallest, base, span, first_code, operands

    def _table(self, cursor: Cursor, offset_size: int) -> Iterator[tuple[str, int]]:
        columns = [(cursor.uleb(), cursor.uleb()) for _ in range(cursor.unsigned(1))]
        count = cursor.uleb()
        if count > _MOST_FILES:
            raise DebugInfoError("debug information is damaged: a line table makes no sense")
        for _ in range(count):
            path, directory = "", 0
            for kind, form in columns:
                value = self._column(cursor, form, offset_size)
                if kind == _PATH and isinstance(value, str):
                    path = value
                elif kind == _DIRECTORY and isinstance(value, int):
                    directory = value
            yield path, directory

    def _column(self, cursor: Cursor, form: int, offset_size: int) -> str | int | bytes:
        image = self._unit.dwarf.image
        match form:
            case Form.LINE_STRP:
                return _text(image.section(".debug_line_str"), cursor.unsigned(offset_size))
            case Form.STRP:
                return _text(self._unit.dwarf.strings, cursor.unsigned(offset_size))
            case Form.STRING:
                return cursor.string()
            case Form.UDATA:
                return cursor.uleb()
            case Form.DATA1:
                return cursor.unsigned(1)
            case Form.DATA2:
                return cursor.unsigned(2)
            case Form.DATA4:
                return cursor.unsigned(4)
            case Form.DATA8:
                return cursor.unsigned(8)
            case Form.DATA16:
                return cursor.take(16)
            case Form.BLOCK:
                return cursor.take(cursor.uleb())
            case _:
                raise DebugInfoError(f"line tables with values of form {form:#x} are not known here")

    def _rows(self) -> Iterator[tuple[int, int, int, int]]:
        """Stretches of code as (first address, address behind, file, line); nothing overlaps within a sequence."""
        if self._program is None:
            return
        source, smallest, base, span, first_code, operands = self._program
        cursor = Cursor(bytes(source.data[source.position : source.end]))
        data, end = cursor.data, cursor.end
        address, file, line, fresh = 0, 1, 1, True
        row = (0, 0, 0)
        while cursor.position < end:
            code = data[cursor.position]
            cursor.position += 1
            ends = False
            if code >= first_code:
                steps = code - first_code
                address += steps // span * smallest
                line += base + steps % span
            elif code == 3:
                line += cursor.sleb()
                continue
            elif code == 0:
                size = cursor.uleb()
                behind = cursor.position + size
                what = cursor.unsigned(1) if size else 0
                if what == 2:
                    address = cursor.unsigned(size - 1)
                cursor.position = behind
                ends = what == 1
                if not ends:
                    continue
            elif code != 1:
                if code == 2:
                    address += cursor.uleb() * smallest
                elif code == 4:
                    file = cursor.uleb()
                elif code == 8:
                    address += (255 - first_code) // span * smallest
                elif code == 9:
                    address += cursor.unsigned(2)
                else:
                    for _ in range(operands[code - 1]):
                        cursor.uleb()
                continue
            if not fresh and row[0] < address:
                yield row[0], address, row[1], row[2]
            row, fresh = (address, file, line), ends
            if ends:
                address, file, line = 0, 1, 1


def below(path: str, directory: str) -> str:
    """A path as seen from the directory that the compiler ran in, as the kernel's own messages write it."""
    path = os.path.normpath(path)
    directory = os.path.normpath(directory) if directory else ""
    if directory and path.startswith(directory + "/"):
        path = path[len(directory) + 1 :]
    while path.startswith("../"):  # built outside the source tree
        path = path[3:]
    return path


def _text(data: memoryview, start: int) -> str:
    return raw_string(data, start).decode("utf-8", "replace")
