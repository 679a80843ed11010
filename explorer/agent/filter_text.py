"""Conditions in the language of the kernel's event filters, written here from checked data, never taken as text.

The language compares one field with one constant: ``== != < <= > >=``, ``&`` for "has one of these bits", ``~`` for a
pattern, joined by ``&& || !`` (kernel/trace/trace_events_filter.c). Its texts know no escapes, so one that holds both
sorts of quotes cannot be written; a pattern that begins with ``!`` is turned round, and one that begins with a digit is
taken literally (``filter_parse_regex``).
"""

from __future__ import annotations

from typing import Any, List, Optional, Tuple

from explorer.agent.failure import RequestError
from explorer.agent.probe_definition import ProbeRequest
from explorer.agent.protocol import Code

LONGEST = 4000
"""Characters of a filter: the kernel takes a page less one, and our own calls are to be kept out too."""
_LONGEST_TEXT = 255  # MAX_FILTER_STR_VAL less the end
_ORDERS = ("==", "!=", "<", "<=", ">", ">=")
_COMMON = {"tid": "common_pid", "cpu": "CPU"}


def kernel_text(tree: Any, request: ProbeRequest) -> str:
    """A condition as the kernel takes it.

    Args:
        tree: It is well-formed (``filter_conditions.Checker`` took it).
        request: The probe whose events are filtered.

    Raises:
        RequestError: The kernel's language cannot say it.
    """
    name, operands = tree[0], tree[1:]
    if name in ("and", "or"):
        return f" {'&&' if name == 'and' else '||'} ".join(f"({kernel_text(part, request)})" for part in operands)
    if name == "not":
        return f"!({kernel_text(operands[0], request)})"
    subject, constant = operands
    if name in ("==", "!=", "~") and isinstance(constant, str):
        return f"{_text_field(subject, request)} {name} {_quoted(constant, name == '~')}"
    if name == "!=" and constant == 0 and subject[0] == "&":
        field, signed = _number_field(subject[1], request)
        return f"{field} & {_number(subject[2], signed)}"
    if name in _ORDERS:
        field, signed = _number_field(subject, request)
        return f"{field} {name} {_number(constant, signed)}"
    raise _cannot()


def _number_field(tree: Any, request: ProbeRequest) -> Tuple[str, bool]:
    """The field, and whether the kernel takes its constants as signed."""
    if isinstance(tree, list) and tree[0] == "value":
        return request.value_fields[tree[1]].name, request.values[tree[1]].type.startswith("s")
    if isinstance(tree, list) and tree[0] in _COMMON:
        return _COMMON[tree[0]], True
    raise _cannot()


def _text_field(tree: Any, request: ProbeRequest) -> str:
    if isinstance(tree, list) and tree[0] == "text":
        return request.value_fields[tree[1]].name
    if tree == ["comm"]:
        return "comm"
    raise _cannot()


def _number(constant: Any, signed: bool) -> str:
    if not isinstance(constant, int):
        raise _cannot()
    if signed and constant >= 1 << 63:
        constant -= 1 << 64  # the same bits
    if constant < 0 and not signed:
        raise _cannot()
    return str(constant)


def _quoted(text: str, pattern: bool) -> str:
    quote: Optional[str] = next((quote for quote in "\"'" if quote not in text), None)
    plain = all(" " <= character <= "~" for character in text)
    if quote is None or not plain or len(text) > _LONGEST_TEXT or (pattern and text[:1] in tuple("!0123456789")):
        raise _cannot()
    return f"{quote}{text}{quote}"


def _cannot() -> RequestError:
    return RequestError(Code.BAD_REQUEST, "the kernel's filters cannot say this condition")


def joined(texts: List[str]) -> str:
    """All of these conditions; "" for none.

    Raises:
        RequestError: Together they are more than the kernel takes.
    """
    text = " && ".join(f"({text})" for text in texts)
    if len(text) > LONGEST:
        raise RequestError(Code.BAD_REQUEST, "this filter is more than the kernel takes")
    return text
