"""Prototypes from BTF: locations joined with types, and how far they can be believed."""

from __future__ import annotations

from symbols.btf import Btf
from symbols.btf_records import VOID_ID
from symbols.location import Reference, Register, Stack, Unknown
from symbols.prototype import Prototype, Source, Trust
from symbols.prototypes import from_btf, without_btf
from tests.btf_builder import BtfBuilder


class Kernel:
    """Types as a kernel has them."""

    def __init__(self) -> None:
        self.b = b = BtfBuilder()
        self.int = b.integer("int", 4, signed=True)
        self.long = b.integer("long int", 8, signed=True)
        self.char = b.integer("char", 1)
        self.text = b.pointer(b.const(self.char))
        self.how = b.pointer(b.forward("open_how"))
        self.size = b.typedef("size_t", b.integer("long unsigned int", 8))
        self.regs = b.pointer(b.const(b.struct("pt_regs", 168, [])))

    def prototype(self, name: str, architecture: str = "x86_64", instances: int = 1) -> Prototype:
        return from_btf(Btf(self.b.build()), architecture, name, instances=instances)


def test_do_sys_openat2_as_in_the_lesson() -> None:
    k = Kernel()
    parameters = [("dfd", k.int), ("filename", k.text), ("how", k.how), ("usize", k.size)]
    k.b.function("do_sys_openat2", k.long, parameters)
    prototype = k.prototype("do_sys_openat2")
    assert prototype.text == "long do_sys_openat2(int dfd, const char *filename, struct open_how *how, size_t usize)"
    assert (prototype.source, prototype.trust, prototype.cause) == (Source.BTF, Trust.EXACT, "")
    assert [parameter.location for parameter in prototype.parameters] == [
        Register("di", 0x70, 4), Register("si", 0x68, 8), Register("dx", 0x60, 8), Register("cx", 0x58, 8),
    ]  # fmt: skip
    assert prototype.return_location == Register("ax", 0x50, 8)
    assert prototype.parameters[1].type.is_string
    assert prototype.to_json()["parameters"][0] == {
        "name": "dfd", "type": "int",
        "location": {"kind": "register", "register": "di", "pt_regs_offset": 112, "size": 4},
        "trust": "exact", "cause": None,
    }  # fmt: skip


def test_void_and_varargs() -> None:
    k = Kernel()
    k.b.function("_printk", VOID_ID, [("fmt", k.text), ("", VOID_ID)])
    prototype = k.prototype("_printk")
    assert prototype.text == "void _printk(const char *fmt, ...)"
    assert prototype.varargs
    assert len(prototype.parameters) == 1
    assert prototype.return_location is None


def test_aggregates_by_value() -> None:
    k = Kernel()
    path = k.b.struct("path", 16, [("mnt", k.text, 0), ("dentry", k.text, 64)])
    crooked = k.b.struct("crooked", 9, [("c", k.char, 0), ("l", k.long, 8)])
    large = k.b.struct("large", 40, [("l", k.b.array(k.long, 5), 0)])
    empty = k.b.struct("token", 0, [])
    parameters = [("p", path), ("t", empty), ("c", crooked), ("l", large), ("n", k.int)]
    k.b.function("f", large, parameters)
    prototype = k.prototype("f")
    assert prototype.return_location == Reference(Register("ax", 0x50, 8), 40)
    path_at, token_at, crooked_at, large_at, last_at = (parameter.location for parameter in prototype.parameters)
    assert path_at.text() == "si:dx", "di has the address for the result"
    assert isinstance(token_at, Unknown)
    assert crooked_at == Stack(1, 8, 9)
    assert large_at == Stack(3, 24, 40)
    assert last_at == Register("cx", 0x58, 4)


def test_floating_and_declared_only_values_are_unknown() -> None:
    k = Kernel()
    vector = k.b.struct("vector", 8, [("x", k.b.floating("double", 8), 0)])
    k.b.function("scale", VOID_ID, [("v", vector)])
    k.b.function("show", VOID_ID, [("n", k.int), ("how", k.b.forward("hidden"))])
    scale, show = k.prototype("scale").parameters[0].location, k.prototype("show").parameters[1].location
    assert isinstance(scale, Unknown)
    assert "floating point" in scale.cause
    assert isinstance(show, Unknown)
    assert "struct hidden is only declared" in show.cause


def test_a_variant_is_looked_up_whole_before_its_base() -> None:
    k = Kernel()
    k.b.function("walk", k.int, [("depth", k.int), ("name", k.text)])
    k.b.function("walk.isra.0", k.int, [("depth", k.int)])
    exact, base = k.prototype("walk.isra.0"), k.prototype("walk.constprop.1")
    assert (exact.trust, exact.text) == (Trust.EXACT, "int walk.isra.0(int depth)")
    assert (base.trust, base.text) == (Trust.VARIANT, "int walk.constprop.1(int depth, const char *name)")
    assert "prototype of walk" in base.cause


def test_a_cold_part_has_no_arguments() -> None:
    k = Kernel()
    k.b.function("walk", k.int, [("depth", k.int)])
    assert (k.prototype("walk.cold").trust, k.prototype("walk.cold").parameters) == (Trust.NONE, ())


def test_system_call_entries() -> None:
    k = Kernel()
    k.b.function("__x64_sys_openat", k.long, [("regs", k.regs)])
    k.b.function("__se_sys_openat", k.long, [("dfd", k.long)])
    described, undescribed = k.prototype("__x64_sys_openat"), k.prototype("__ia32_compat_sys_openat")
    for prototype in (described, undescribed):
        assert prototype.trust is Trust.WRAPPER
        assert prototype.text.endswith("(const struct pt_regs *regs)")
        assert prototype.parameters[0].location == Register("di", 0x70, 8)
    assert (described.source, undescribed.source) == (Source.BTF, Source.NONE)
    assert k.prototype("__se_sys_openat").trust is Trust.EXACT
    assert k.prototype("__arm64_sys_openat", "aarch64").parameters[0].location == Register("x0", 0, 8)


def test_different_functions_of_one_name_are_not_guessed() -> None:
    k = Kernel()
    k.b.function("show", k.int, [("n", k.int)])
    k.b.function("show", k.int, [("name", k.text)])
    prototype = k.prototype("show", instances=2)
    assert prototype.trust is Trust.NONE
    assert "int show(int n)" in prototype.cause
    assert "int show(const char *name)" in prototype.cause


def test_one_description_of_several_functions_is_doubted() -> None:
    k = Kernel()
    k.b.function("show", k.int, [("n", k.int)])
    assert k.prototype("show", instances=3).trust is Trust.VARIANT
    assert k.prototype("show").trust is Trust.EXACT


def test_nothing_known_leaves_the_raw_registers() -> None:
    prototype = without_btf("x86_64", "mystery", "no BTF")
    assert prototype.text == "mystery(di, si, dx, cx, r8, r9)"
    assert (prototype.trust, prototype.cause, prototype.parameters) == (Trust.NONE, "no BTF", ())
    assert without_btf("vax", "mystery", "no BTF").text == "mystery(?)"


def test_damage_is_told_in_the_prototype() -> None:
    k = Kernel()
    k.b.function("broken", 4000, [])
    prototype = k.prototype("broken")
    assert prototype.trust is Trust.NONE
    assert "no type 4000" in prototype.cause


def test_a_location_is_trusted_no_more_than_its_prototype_and_some_less() -> None:
    k = Kernel()
    path = k.b.struct("path", 16, [("mnt", k.text, 0), ("dentry", k.text, 64)])
    parameters = [(f"p{number}", k.long) for number in range(7)]
    k.b.function("f", VOID_ID, [*parameters, ("path", path), ("f", k.b.floating("double", 8)), ("z", k.int)])
    prototype = k.prototype("f")
    first, likely, floating, lost = (prototype.to_json()["parameters"][n] for n in (0, 7, 8, 9))
    assert (first["trust"], first["cause"]) == ("exact", None)
    assert likely["location"]["sp_offset"] == 16
    assert likely["trust"] == "variant"
    assert "attribute" in likely["cause"]
    assert (floating["trust"], lost["trust"]) == ("none", "none")
    assert floating["cause"] in lost["cause"]
    clone = k.prototype("f.isra.0")
    assert clone.trust_in(clone.parameters[0].location) == (Trust.VARIANT, clone.cause)
    assert clone.trust_in(clone.parameters[8].location)[0] is Trust.NONE
    assert clone.to_json()["return"] == {"type": "void", "location": None, "trust": "variant", "cause": clone.cause}


def test_why_btf_may_have_left_a_function_out() -> None:
    k = Kernel()
    assert "assembly" in k.prototype("memcpy").cause
    assert "none of the 3 functions of this name" in k.prototype("show", instances=3).cause


def test_shapes_of_padding() -> None:
    """Words without a member: only bit-fields without a name, or an alignment, leave such."""
    k = Kernel()
    word = k.b.struct("word", 16, [("a", k.long, 0)])
    full = k.b.struct("full", 16, [("a", k.long, 0), ("tail", k.b.array(k.char, 0), 64), ("b", k.char, 64)])
    split = k.b.bit_fields("split", 16, [("a", k.long, 0, 60), ("b", k.long, 64, 4)])
    k.b.function("f", VOID_ID, [("full", full), ("split", split), ("word", word), ("z", k.int)])
    assert [parameter.location.text() for parameter in k.prototype("f").parameters] == [
        "di:si", "dx:cx", "unknown", "unknown",
    ]  # fmt: skip
    assert [parameter.location.text() for parameter in k.prototype("f", "riscv64").parameters] == [
        "a0:a1", "a2:a3", "a4:a5", "a6",
    ]  # fmt: skip
