"""Probes of made-up functions, for filters to ask."""

from __future__ import annotations

from explorer.session.filters.scope import Scope
from explorer.session.probe import Field
from explorer.session.probe_spec import ProbeKind, ProbeSpec
from symbols.c_types import CType, TypeKind

INT = CType("int", TypeKind.SIGNED, 4)
LONG = CType("long", TypeKind.SIGNED, 8)
SIZE = CType("size_t", TypeKind.UNSIGNED, 8)
FLAGS = CType("unsigned int", TypeKind.UNSIGNED, 4)
STRING = CType("const char *", TypeKind.POINTER, 8, pointee="char")
POINTER = CType("struct file *", TypeKind.POINTER, 8, pointee="struct file")
ENUM = CType("enum pid_type", TypeKind.ENUM, 4, enumerators=(("PIDTYPE_PID", 0), ("PIDTYPE_TGID", 1)))
STRUCT = CType("struct path", TypeKind.AGGREGATE, 16)

ENTRY = Scope(
    ProbeSpec("do_open"),
    (
        Field("dfd", INT, 1),  # value 0
        Field("filename", STRING, 2, string_at=1),  # values 1 and 2
        Field("flags", FLAGS, 1),  # 3
        Field("count", SIZE, 1),  # 4
        Field("file", POINTER, 1),  # 5
        Field("type", ENUM, 1),  # 6
        Field("path", STRUCT, 2),  # 7 and 8
        Field("gone", INT, 0, cause="in no register"),
        Field("pos", LONG, 1),  # 9
        Field("other", STRING, 2, string_at=1),  # 10 and 11
    ),
    "x86_64",
)
RETURN = Scope(ProbeSpec("do_open", kind=ProbeKind.RETURN), (Field("return", LONG, 1),), "x86_64")
RETURN_POINTER = Scope(ProbeSpec("open_it", kind=ProbeKind.RETURN), (Field("return", POINTER, 1),), "x86_64")
