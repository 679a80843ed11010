"""Where we say that arguments and results live, against where gcc really puts them on this processor."""

from __future__ import annotations

import ctypes
import platform
import random
import re
import subprocess
from itertools import accumulate
from pathlib import Path

import pytest

from symbols.btf import Btf
from symbols.location import InnerRegister, Location, Memory, Reference, Register, Registers, Split, Stack, Unknown
from symbols.prototypes import from_btf
from tests import abi_corpus

KERNEL_FLAGS = ["-mno-sse", "-mno-mmx", "-mno-80387", "-mpreferred-stack-boundary=3", "-mcmodel=small"]


class Machine:
    """The compiled corpus: calls its functions and keeps what they were given."""

    def __init__(self, directory: Path, corpus: abi_corpus.Corpus) -> None:
        source, definitions = directory / "corpus.c", directory / "definitions.c"
        source.write_text(corpus.source())
        definitions.write_text(corpus.definitions())
        library, described, types = (directory / f"corpus.{kind}" for kind in ("so", "o", "btf"))
        gcc = ["gcc", "-std=gnu11", "-O0", "-fno-stack-protector", "-w", "-Wno-psabi", *KERNEL_FLAGS]
        subprocess.run([*gcc, "-shared", "-fPIC", "-Wl,-Bsymbolic", "-o", library, source], check=True)
        subprocess.run([*gcc, "-g", "-c", "-o", described, definitions], check=True)
        subprocess.run(["pahole", f"--btf_encode_detached={types}", described], check=True)  # gcc 12's own has mistakes
        self.btf = Btf(types.read_bytes())
        self._library = ctypes.CDLL(str(library))
        self._captured = (ctypes.c_ubyte * 2048).in_dll(self._library, "captured")

    def sizes(self, function: abi_corpus.Function) -> list[int]:
        """The sizes of the result and of the parameters."""
        count = 1 + len(function.parameters)
        return list((ctypes.c_ulong * count).in_dll(self._library, f"sizes_{function.name}"))

    def masks(self, function: abi_corpus.Function, sizes: list[int]) -> list[bytes]:
        """For the result and the parameters, the bits that a compiler has to pass on: all but padding."""
        out = ctypes.create_string_buffer(sum(sizes) + 1)
        getattr(self._library, f"masks_{function.name}")(out)
        ends = list(accumulate(sizes))
        return [out.raw[end - size : end] for size, end in zip(sizes, ends, strict=True)]

    def enter(self, function: abi_corpus.Function, values: list[bytes]) -> tuple[dict[str, bytes], bytes]:
        """Call it; returns the argument registers and the stack at entry."""
        getattr(self._library, f"call_{function.name}")(b"".join(values))
        seen = bytes(self._captured)
        registers = {name: seen[8 * n : 8 * n + 8] for n, name in enumerate(abi_corpus.REGISTERS)}
        return registers, seen[8 * len(registers) :]

    def leave(self, function: abi_corpus.Function, value: bytes) -> dict[str, bytes]:
        """Let it return a value; returns the result registers."""
        ctypes.memmove((ctypes.c_ubyte * 256).in_dll(self._library, "result_bytes"), value, len(value))
        hidden, out = ctypes.create_string_buffer(256), (ctypes.c_ulong * 2)()
        self._memory = hidden
        self._library.invoke(getattr(self._library, function.name), hidden, out)
        return {"ax": out[0].to_bytes(8, "little"), "dx": out[1].to_bytes(8, "little")}


def fetch(location: Location, registers: dict[str, bytes], stack: bytes) -> bytes:
    """The bytes at a location, as a probe would read them."""
    match location:
        case Register(register, _, size):
            return registers[register][:size]
        case Registers(names, _, size):
            return b"".join(registers[name] for name in names)[:size]
        case Stack(_, offset, size):
            return stack[offset : offset + size]
        case Reference(pointer, size):
            address = int.from_bytes(fetch(pointer, registers, stack), "little")
            return ctypes.string_at(address, size)
        case Split():
            raise AssertionError("nothing is split on x86-64")
        case Unknown() | InnerRegister() | Memory():
            raise AssertionError(f"no place that a compiler chose: {location}")


def masked(value: bytes, mask: bytes) -> bytes:
    """The value without its padding."""
    return bytes(byte & bits for byte, bits in zip(value, mask, strict=True))


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the corpus is caught in x86-64 assembly")
def test_locations_are_where_gcc_puts_them(tmp_path: Path) -> None:
    corpus = abi_corpus.generate(seed=64, types=120, functions=600)
    machine = Machine(tmp_path, corpus)
    dice = random.Random(64)
    kinds: set[type] = set()
    untold = misplaced = 0
    for function in corpus.functions:
        prototype = from_btf(machine.btf, "x86_64", function.name)
        sizes = machine.sizes(function)
        values = [
            bytes([dice.randrange(2)]) if type_ == "_Bool" else dice.randbytes(size)
            for type_, size in zip((function.result, *function.parameters), sizes, strict=True)
        ]
        masks = machine.masks(function, sizes)
        registers, stack = machine.enter(function, values[1:])
        for parameter, value, mask in zip(prototype.parameters, values[1:], masks[1:], strict=True):
            kinds.add(type(parameter.location))
            if value and isinstance(parameter.location, Unknown):
                assert re.search("packed|padding", parameter.location.cause)
                untold += 1
            elif value:
                found = fetch(parameter.location, registers, stack)
                wrong = masked(found, mask) != masked(value, mask)
                assert not wrong or parameter.location.doubt, (prototype.text, parameter)
                misplaced += wrong
            else:
                assert isinstance(parameter.location, Unknown), "nothing is passed for an empty struct"

        returned = machine.leave(function, values[0])
        if values[0] and isinstance(prototype.return_location, Unknown):
            assert "padding" in prototype.return_location.cause
        elif values[0]:
            assert prototype.return_location is not None
            kinds.add(type(prototype.return_location))
            found = fetch(prototype.return_location, returned, b"")
            assert masked(found, masks[0]) == masked(values[0], masks[0]), prototype.text
        else:
            assert prototype.return_location is None
    total = sum(len(function.parameters) for function in corpus.functions)
    assert untold < 0.15 * total
    assert 0 < misplaced < 0.02 * total, "the corpus has aligned structs that BTF does not tell from others"
    assert kinds == {Register, Registers, Stack, Reference, Unknown}, "the corpus covers all sorts of locations"
