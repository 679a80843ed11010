"""Bytes to instructions, also where a probe hides what was there."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from symbols.disassembly import Flow, Instruction, disassemble, filler
from symbols.errors import KexploreError

START = 0xFFFFFFFF81234560
# endbr64; nopl 0(%rax,%rax); push %rbx; mov 0x20(%rdi),%rax; mov 0x10(%rip),%rcx; call +5; je -26; ret; int3; nop
CODE = bytes.fromhex("f30f1efa 0f1f440000 53 488b4720 488b0d10000000 e805000000 74e6 c3 cc 90")
BEGINS = [0, 4, 9, 10, 14, 21, 26, 28, 29, 30]


def offsets(instructions: list[Instruction]) -> list[int]:
    return [instruction.address - START for instruction in instructions]


def test_instructions_where_they_begin_and_where_they_lead() -> None:
    found = disassemble("x86_64", START, CODE)
    assert offsets(found) == BEGINS
    assert b"".join(instruction.code for instruction in found) == CODE
    assert [i.mnemonic for i in found[:4]] == ["endbr64", "nopl", "pushq", "movq"]
    assert found[4].reference == START + 21 + 0x10
    call, branch, end = found[5:8]
    assert (call.flow, call.target) == (Flow.CALL, START + 26 + 5)
    assert (branch.flow, branch.target) == (Flow.BRANCH, START + 28 - 26)
    assert (end.flow, end.target) == (Flow.END, None)
    assert filler(found) == 8


def test_nothing_behind_a_function_that_goes_on_is_called_filler() -> None:
    found = disassemble("x86_64", START, CODE[:10] + b"\x90\x90")
    assert filler(found) == len(found)


def test_behind_a_breakpoint_instructions_are_listed_from_where_all_ways_agree() -> None:
    hidden = CODE[:10] + b"\xcc" + CODE[11:]
    found = disassemble("x86_64", START, hidden, {10: 1})
    gap = next(instruction for instruction in found if not instruction.mnemonic)
    assert gap.address - START == 10
    assert set(offsets(found)) <= set(BEGINS)
    assert offsets(found)[-1] == BEGINS[-1], "certain again before the end"


def test_a_second_breakpoint_is_where_an_instruction_begins() -> None:
    hidden = bytearray(CODE)
    hidden[10] = hidden[14] = 0xCC
    found = disassemble("x86_64", START, bytes(hidden), {10: 1, 14: 1})
    assert offsets(found)[3:5] == [10, 14]
    assert found[3].end == START + 14


@given(code=st.binary(min_size=1, max_size=80), hole=st.integers(0, 79))
def test_a_hidden_instruction_never_makes_a_wrong_boundary(code: bytes, hole: int) -> None:
    truth = disassemble("x86_64", START, code)
    if any(not instruction.mnemonic for instruction in truth):
        return  # bytes that are no instructions have no boundaries to compare
    at = truth[hole % len(truth)].address - START
    hidden = code[:at] + b"\xcc" + code[at + 1 :]
    found = disassemble("x86_64", START, hidden, {at: 1})
    assert b"".join(instruction.code for instruction in found) == hidden
    assert set(offsets(found)) <= set(offsets(truth)) | {at}


@given(code=st.binary(max_size=200))
def test_every_byte_is_accounted_for(code: bytes) -> None:
    for architecture in ("x86_64", "aarch64"):
        assert b"".join(i.code for i in disassemble(architecture, START, code)) == code


def test_a_trap_with_operands_is_not_taken_for_one_without() -> None:
    # ud1 0xc(%eax),%eax, as compilers write it; capstone 5 ends it after two bytes of its opcode
    found = disassemble("x86_64", START, bytes.fromhex("53 670fb9400c c3"))
    assert found[0].mnemonic == "pushq"
    assert not found[1].mnemonic


def test_aarch64_instructions_are_four_bytes_even_where_unknown() -> None:
    # nop; bl +8; (no instruction); cbz x0, -12; ret
    code = b"".join(word.to_bytes(4, "little") for word in (0xD503201F, 0x94000002, 0xFFFFFFFF, 0xB4FFFFA0, 0xD65F03C0))
    found = disassemble("aarch64", START, code)
    assert offsets(found) == [0, 4, 8, 12, 16]
    assert [i.flow for i in found] == [Flow.ON, Flow.CALL, Flow.ON, Flow.BRANCH, Flow.END]
    assert (found[1].target, found[3].target) == (START + 12, START)
    assert not found[2].mnemonic


def test_an_unknown_architecture_is_refused() -> None:
    with pytest.raises(KexploreError, match="instructions of s390x"):
        disassemble("s390x", START, b"\0")
