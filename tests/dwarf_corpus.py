"""A small C program with what is hard about debug information: inlined copies, variants, constants, the stack.

Compiled in several ways, it is read by us and by binutils; the two must agree.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

SOURCE = r"""
#include "inlined.h"
typedef unsigned int mode_type;
enum colour { RED, BLUE = 7 };
struct point { int x, y; const char *name; };
volatile long sink;
#define OUT_OF_LINE __attribute__((noinline, noclone))

static long twice(long value) { return value * 2 + sink; }

OUT_OF_LINE long takes_many(struct point *at, const char *const *names, int (*compare)(const void *, const void *),
                            mode_type mode, enum colour colour, unsigned char flag, long seventh, struct point whole)
{ sink = at->x + mode + colour + flag + seventh + whole.y + (names != 0) + (compare != 0); return sink; }

OUT_OF_LINE void variable(const char *format, ...) { sink = (long)format; }

static __attribute__((noinline)) int narrowed(int used, int unused, int constant)
{ sink += used; return sink + constant; }

OUT_OF_LINE int first(int one, int two)
{ sink = one; return from_header(two, 5) + narrowed(one, 3, 11); }

OUT_OF_LINE long second(long alpha, long beta)
{ sink = 1; sink = twice(beta); sink += from_header((int)alpha, 6) + narrowed((int)beta, 4, 11); return twice(alpha); }

OUT_OF_LINE long on_the_stack(long a, long b, long c, long d, long e, long f, long g)
{ long many[32]; for (int i = 0; i < 32; i++) many[i] = sink; sink = twice(g);
  return many[a & 31] + many[b & 31] + c + d + e + f; }

int main(void) { struct point p = {1, 2, "p"};
  return takes_many(&p, 0, 0, 1, BLUE, 1, 7, p) + first(1, 2) + second(3, 4) + on_the_stack(1, 2, 3, 4, 5, 6, 7); }
"""
HEADER = """
extern volatile long sink;
static inline __attribute__((always_inline)) int from_header(int number, int added)
{ sink += number; return sink + added; }
"""
OTHER = """
#include "inlined.h"
__attribute__((noinline)) int elsewhere(int given) { return from_header(given, 9) * 3; }
"""


def compile_corpus(directory: Path, *flags: str, link: bool = True) -> Path:
    """The program, or, not linked, its one file with everything in it; with a build id.

    Skips the test where there is no gcc.
    """
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed")
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "inlined.h").write_text(HEADER)
    (directory / "corpus.c").write_text(SOURCE)
    (directory / "other.c").write_text(OTHER)
    base = ["gcc", "-O2", "-fno-pie", "-fcf-protection=none", "-fno-asynchronous-unwind-tables", "-g", *flags]
    if link:
        command = [*base, "-no-pie", "-Wl,--build-id=sha1", "corpus.c", "other.c", "-o", "corpus"]
    else:
        command = [*base, "-c", "corpus.c", "-o", "corpus.o"]
    made = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    if made.returncode and ("zstd" in made.stderr or "unrecognized" in made.stderr):
        pytest.skip(f"this gcc cannot: {made.stderr.splitlines()[0]}")
    assert not made.returncode, made.stderr
    return directory / ("corpus" if link else "corpus.o")


def symbol_address(path: Path, name: str) -> int:
    """The address of a symbol, as nm says."""
    for line in subprocess.check_output(["nm", path], text=True).splitlines():
        address, _, found = line.partition(" ")
        if found[2:] == name or found[2:].startswith(f"{name}."):
            return int(address, 16)
    raise LookupError(name)


def inline_chain(path: Path, address: int) -> list[tuple[str, str]]:
    """The functions inlined at an address, innermost first, each with its ``file:line``, as addr2line says."""
    command = ["addr2line", "-f", "-i", "-s", "-e", str(path), hex(address)]
    said = subprocess.run(command, capture_output=True, text=True, check=True)
    if "DWARF error" in said.stderr:
        pytest.skip(f"this addr2line cannot read it: {said.stderr.splitlines()[0]}")
    lines = said.stdout.splitlines()
    return [(name, place.split(" ")[0]) for name, place in zip(lines[::2], lines[1::2], strict=True)]


def inlined_entries(path: Path) -> list[tuple[str, int]]:
    """Every inlined copy with an address, as readelf lists them: name and address, sorted."""
    dump = subprocess.check_output(
        ["readelf", "--debug-dump=info", "-W", str(path)], text=True, stderr=subprocess.DEVNULL
    )
    names: dict[str, str] = {}
    copies: list[tuple[str, dict[str, str]]] = []
    current: dict[str, str] = {}
    for line in dump.splitlines():
        words = line.strip()
        if "Abbrev Number:" in words:
            offset = words.split("><")[1].split(">")[0]
            current = {"tag": words.partition("(DW_TAG_")[2].rstrip(")")}
            if current["tag"] == "inlined_subroutine":
                copies.append((offset, current))
            elif current["tag"] == "subprogram":
                names[offset] = ""
            current["offset"] = offset
        elif "DW_AT_" in words and current:
            attribute, _, value = words.partition("DW_AT_")[2].partition(":")
            current[attribute.strip()] = value.strip()
            if attribute.strip() == "name" and current["tag"] == "subprogram":
                names[current["offset"]] = value.split()[-1]
    found = []
    for _, copy in copies:
        origin = copy["abstract_origin"].rpartition("0x")[2].rstrip(">")
        place = copy.get("entry_pc", copy.get("low_pc"))
        if place is not None:
            found.append((names[origin], int(place.split()[-1], 16)))
    return sorted(found)
