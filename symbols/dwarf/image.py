"""One ELF file with debug information: its sections as bytes (uncompressed, relocated), its build id, its symbols.

Only what is asked for is touched: of a ``vmlinux`` of several hundred MB that is mapped, a handful of pages.
"""

from __future__ import annotations

import mmap
import struct
import zlib
from collections.abc import Callable, Iterator
from functools import cached_property
from io import BytesIO
from typing import IO, TYPE_CHECKING, cast

from symbols.dwarf.bytes_at import raw_string
from symbols.dwarf.errors import DebugInfoError

if TYPE_CHECKING:
    from elftools.elf.sections import Section

Mapped = mmap.mmap | bytes
Scratch = Callable[[int], mmap.mmap]
"""Makes room for so many bytes: where a compressed section is unpacked to."""

_SECTION_BASE = 32
"""Bits by which the number of a section is shifted to be its address in a file that has not been linked."""

_ABSOLUTE = {
    ("EM_X86_64", 1): 8, ("EM_X86_64", 10): 4, ("EM_X86_64", 11): 4,
    ("EM_AARCH64", 257): 8, ("EM_AARCH64", 258): 4,
    ("EM_PPC64", 38): 8, ("EM_PPC64", 1): 4,
    ("EM_RISCV", 2): 8, ("EM_RISCV", 1): 4,
}  # fmt: skip
"""Relocations that put an address of so many bytes: (machine, type) of each architecture's ELF supplement."""
_RELOCATION = struct.Struct("<QQq")
_SYMBOL = struct.Struct("<IBBHQQ")
_FUNCTION = 2  # STT_FUNC
_CHUNK = 1 << 20


class Image:
    """The sections of one file.

    In a file that has not been linked (a module's) every section begins at zero; here section N begins at
    ``N << 32``, so that an address tells its section.

    Args:
        data: The whole file, best mapped.
        scratch: Makes room for unpacked sections.

    Raises:
        DebugInfoError: It is no ELF file, or of a kind that is not read here.
    """

    def __init__(self, data: Mapped, scratch: Scratch = lambda size: mmap.mmap(-1, size)) -> None:
        from elftools.common.exceptions import ELFError  # takes longer to import than a kernel to open
        from elftools.construct import ConstructError
        from elftools.elf.elffile import ELFFile

        self._scratch = scratch
        self._mapped = data
        self._data = memoryview(data)
        _refuse_packed(data[:8])
        try:
            self._elf = ELFFile(cast(IO[bytes], data) if isinstance(data, mmap.mmap) else BytesIO(data))
            self._sections = {section.name: section for section in self._elf.iter_sections()}
        except (ELFError, ConstructError, UnicodeDecodeError, ValueError, OverflowError, MemoryError) as error:
            raise DebugInfoError(f"it is not a whole ELF file: {error}") from None
        if not self._elf.little_endian or self._elf.elfclass != 64:
            raise DebugInfoError("only 64-bit little-endian debug information is read here")
        self.machine: str = str(self._elf["e_machine"])
        self.linked: bool = self._elf["e_type"] != "ET_REL"
        self._read: dict[str, memoryview] = {}

    @property
    def has_dwarf(self) -> bool:
        """Whether there is debug information in it at all."""
        return any(name in self._sections for name in (".debug_info", ".zdebug_info"))

    @cached_property
    def build_id(self) -> str:
        """As hexadecimal digits; "" where it has none."""
        for name, section in self._sections.items():
            if section["sh_type"] == "SHT_NOTE" or name == ".notes":
                found = find_build_id(bytes(self._raw(section)))
                if found:
                    return found
        return ""

    @cached_property
    def supplement(self) -> str:
        """The file that what several files have in common was moved to (dwz); "" where nothing was."""
        for name in (".gnu_debugaltlink", ".debug_sup"):
            if name in self._sections:
                raw = bytes(self._raw(self._sections[name]))
                start = 3 if name == ".debug_sup" else 0  # version and flag come first
                return raw_string(raw + b"\0", start).decode("utf-8", "replace")
        return ""

    def section(self, name: str) -> memoryview:
        """A section's bytes; empty where there is none.

        Args:
            name: ``.debug_info``; where ``.zdebug_info`` is there in its place, that is taken.

        Raises:
            DebugInfoError: It is damaged, or packed or relocated in a way that is not known here.
        """
        if name not in self._read:
            section = self._sections.get(name)
            if section is not None and section["sh_type"] != "SHT_NOBITS":
                data = self._unpacked(section)
            elif (old := self._sections.get(name.replace(".debug", ".zdebug"))) is not None:
                data = self._old_form(self._raw(old))
            else:
                data = memoryview(b"")
            self._read[name] = data if self.linked else self._relocated(name, data)
        return self._read[name]

    def forget_pages(self) -> None:
        """Let go of what was read of the file so far; it is read again when it is wanted."""
        if isinstance(self._mapped, mmap.mmap):
            self._mapped.madvise(mmap.MADV_DONTNEED)

    def functions(self) -> Iterator[tuple[int, int, int]]:
        """Its functions as (address, size, where its name begins in ``symbol_names``), in no order."""
        linked = self.linked
        for name, kind, _, index, value, size in _SYMBOL.iter_unpack(self._symbols):
            if kind & 15 == _FUNCTION and index:
                yield (value if linked else value + (index << _SECTION_BASE)), size, name

    def addresses_of(self, name: str) -> list[int]:
        """The addresses of the symbols of this name, those without a type (marks of the linker) included."""
        found = []
        table = bytes(self._symbols)
        for place in _occurrences(self.symbol_names, name):
            needle = struct.pack("<I", place)
            at = table.find(needle)
            while at >= 0:
                if at % _SYMBOL.size == 0:  # elsewhere the same bytes mean something else
                    _, _, _, index, value, _ = _SYMBOL.unpack_from(table, at)
                    if index:
                        found.append(value if self.linked else value + (index << _SECTION_BASE))
                at = table.find(needle, at + 1)
        return found

    @cached_property
    def symbol_names(self) -> memoryview:
        """The names of its symbols."""
        return self.section(".strtab")

    @cached_property
    def _symbols(self) -> memoryview:
        data = self.section(".symtab")
        return data[: len(data) // _SYMBOL.size * _SYMBOL.size]

    def _raw(self, section: Section) -> memoryview:
        start, size = int(section["sh_offset"]), int(section["sh_size"])
        if start + size > len(self._data):
            raise DebugInfoError(f"the file is cut off: its {section.name} should end at {start + size:,}")
        return self._data[start : start + size]

    def _unpacked(self, section: Section) -> memoryview:
        raw = self._raw(section)
        if not section.compressed:
            return raw
        kind, size = struct.unpack_from("<I4xQ", raw)
        if kind == 1:  # ELFCOMPRESS_ZLIB
            return self._inflated(raw[24:], size)
        if kind == 2:  # ELFCOMPRESS_ZSTD
            return self._unpacked_zstd(raw[24:], size)
        raise DebugInfoError(f"its {section.name} is compressed in a way that is not known here (kind {kind})")

    def _old_form(self, raw: memoryview) -> memoryview:
        if bytes(raw[:4]) != b"ZLIB":
            return raw
        return self._inflated(raw[12:], int.from_bytes(raw[4:12], "big"))

    def _inflated(self, raw: memoryview, size: int) -> memoryview:
        unpacked = self._room(raw, size)
        unzip = zlib.decompressobj()
        filled = 0
        try:
            for start in range(0, len(raw), _CHUNK):
                piece = unzip.decompress(raw[start : start + _CHUNK], size + 1 - filled)
                while piece:
                    if filled + len(piece) > size:
                        raise DebugInfoError("a compressed section is damaged: it is longer than it says")
                    unpacked[filled : filled + len(piece)] = piece
                    filled += len(piece)
                    piece = unzip.decompress(unzip.unconsumed_tail, size + 1 - filled)
        except zlib.error as error:
            raise DebugInfoError(f"a compressed section is damaged: {error}") from None
        if filled != size:
            raise DebugInfoError("a compressed section is damaged: it is shorter than it says")
        return unpacked

    def _unpacked_zstd(self, raw: memoryview, size: int) -> memoryview:
        try:
            import zstandard  # only some distributions compress so
        except ImportError:
            raise DebugInfoError(
                "its debug information is compressed with zstd", "pip install zstandard, in kexplore's environment"
            ) from None
        unpacked = self._room(raw, size)
        filled = 0
        try:
            for piece in zstandard.ZstdDecompressor().read_to_iter(raw):
                if filled + len(piece) > size:
                    raise DebugInfoError("a compressed section is damaged: it is longer than it says")
                unpacked[filled : filled + len(piece)] = piece
                filled += len(piece)
        except zstandard.ZstdError as error:
            raise DebugInfoError(f"a compressed section is damaged: {error}") from None
        if filled != size:
            raise DebugInfoError("a compressed section is damaged: it is shorter than it says")
        return unpacked

    def _room(self, raw: memoryview, size: int) -> memoryview:
        if size > 2000 * max(len(raw), 1):  # zlib reaches 1032; more is a bomb
            raise DebugInfoError("a compressed section is damaged: nothing packs so well")
        return memoryview(self._scratch(size)) if size else memoryview(b"")

    def _relocated(self, name: str, data: memoryview) -> memoryview:
        section = self._sections.get(f".rela{name}")
        if section is None or not len(data):
            return data
        entries = self._unpacked(section)
        if len(entries) % _RELOCATION.size:
            raise DebugInfoError(f"the relocations of {name} are damaged")
        values = [
            value + (index << _SECTION_BASE if self._holds_code(index) else 0)
            for _, _, _, index, value, _ in _SYMBOL.iter_unpack(self._symbols)
        ]
        fixed = bytearray(data)
        for offset, info, addend in _RELOCATION.iter_unpack(entries):
            size = _ABSOLUTE.get((self.machine, info & 0xFFFFFFFF))
            if size is None:
                if info & 0xFFFFFFFF == 0:
                    continue
                raise DebugInfoError(f"relocations of kind {info & 0xFFFFFFFF} for {self.machine} are not known here")
            symbol = info >> 32
            if symbol >= len(values) or offset + size > len(fixed):
                raise DebugInfoError(f"the relocations of {name} are damaged")
            fixed[offset : offset + size] = ((values[symbol] + addend) % (1 << 8 * size)).to_bytes(size, "little")
        return memoryview(fixed)

    def _holds_code(self, index: int) -> bool:
        """Whether addresses in a section are addresses at run time (in contrast to places in a .debug section)."""
        return index in self._allocated

    @cached_property
    def _allocated(self) -> frozenset[int]:
        flagged = ((number, section["sh_flags"]) for number, section in enumerate(self._elf.iter_sections()))
        return frozenset(number for number, flags in flagged if flags & 2)  # SHF_ALLOC


def find_build_id(notes: bytes) -> str:
    """The GNU build id among ELF notes (``/sys/kernel/notes``, a note section); "" where there is none."""
    position = 0
    while position + 12 <= len(notes):
        name_size, size, kind = struct.unpack_from("<III", notes, position)
        name = notes[position + 12 : position + 12 + name_size]
        start = position + 12 + (name_size + 3 & ~3)
        if kind == 3 and name == b"GNU\0":  # NT_GNU_BUILD_ID
            return notes[start : start + size].hex()
        position = start + (size + 3 & ~3)
    return ""


def _occurrences(names: memoryview, name: str) -> Iterator[int]:
    """Where a name stands in a table of names; it may be the tail of a longer one."""
    text, wanted = bytes(names), name.encode() + b"\0"
    place = text.find(wanted)
    while place >= 0:
        yield place
        place = text.find(wanted, place + 1)


_PACKED = {b"\x28\xb5\x2f\xfd": "zstd -d", b"\xfd7zXZ": "xz -d", b"\x1f\x8b": "gzip -d"}


def _refuse_packed(start: bytes) -> None:
    for magic, tool in _PACKED.items():
        if start.startswith(magic):
            raise DebugInfoError("the file is compressed as a whole", f"unpack it ({tool}) and give it by --debuginfo")
