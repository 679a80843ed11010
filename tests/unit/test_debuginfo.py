"""Finding debug information, joining it with a running kernel, and the index that is kept."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from explorer.session import debuginfo_files
from explorer.session.debuginfo_files import Wanted
from explorer.session.probe_spec import ProbeSpec
from explorer.session.session import Session
from symbols.dwarf.errors import DebugInfoError
from symbols.dwarf.image import Image
from symbols.prototype import Source, Trust
from symbols.verdict import VerdictKind
from tests.debuginfo_kernel import MOVED, RELEASE, agent_of, build_kernel
from tests.dwarf_corpus import symbol_address
from tests.scripted_agent import ScriptedAgent, ScriptedTarget


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_kernel(tmp_path_factory.mktemp("kernel"))


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def wanted(kernel: Path) -> Wanted:
    return Wanted(RELEASE, Image(kernel.read_bytes()).build_id)


def put(kernel: Path, root: Path, place: str) -> Path:
    path = root / place
    path.parent.mkdir(parents=True)
    path.write_bytes(kernel.read_bytes())
    return path


@pytest.mark.parametrize(
    "place",
    [
        "usr/lib/debug/.build-id/{id[0]}{id[1]}/{rest}.debug",
        f"usr/lib/debug/boot/vmlinux-{RELEASE}",
        f"usr/lib/debug/lib/modules/{RELEASE}/vmlinux",
        f"boot/vmlinux-{RELEASE}",
        f"lib/modules/{RELEASE}/build/vmlinux",
        f"lib/modules/{RELEASE}/vmlinux",
    ],
)
def test_found_where_distributions_put_it(kernel: Path, tmp_path: Path, place: str) -> None:
    which = wanted(kernel)
    path = put(kernel, tmp_path, place.format(id=which.build_id, rest=which.build_id[2:]))
    found, image = debuginfo_files.find(which, None, tmp_path)
    assert (found, image.build_id) == (path, which.build_id)


def test_another_build_is_refused_by_its_build_id(kernel: Path, tmp_path: Path) -> None:
    path = put(kernel, tmp_path, f"boot/vmlinux-{RELEASE}")
    with pytest.raises(DebugInfoError, match=rf"{path}: it has the build id .*, where 000000000000… is running"):
        debuginfo_files.find(Wanted(RELEASE, "00" * 20), None, tmp_path)
    with pytest.raises(DebugInfoError, match="build id"):
        debuginfo_files.find(Wanted(RELEASE, "00" * 20), kernel)


def test_a_file_or_a_directory_can_be_given(kernel: Path, tmp_path: Path) -> None:
    assert debuginfo_files.find(wanted(kernel), kernel)[0] == kernel
    path = put(kernel, tmp_path, "some/vmlinux")
    assert debuginfo_files.find(wanted(kernel), path.parent)[0] == path


@pytest.mark.parametrize(("system", "tool"), [("ID=debian", "apt install"), ("ID_LIKE='rhel fedora'", "dnf")])
def test_without_any_the_package_is_named(tmp_path: Path, system: str, tool: str) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/os-release").write_text(system.replace("'", '"') + "\n")
    with pytest.raises(DebugInfoError, match="is installed here") as caught:
        debuginfo_files.find(Wanted(RELEASE, "00" * 20), None, tmp_path)
    assert caught.value.hint.startswith(tool)


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", "empty"), (b"\x28\xb5\x2f\xfd....", "compressed as a whole"), (b"no ELF at all", "not a whole ELF file")],
)
def test_files_that_are_none_are_named(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "vmlinux"
    path.write_bytes(content)
    with pytest.raises(DebugInfoError, match=words):
        debuginfo_files.find(Wanted(RELEASE, "00" * 20), path)


@contextlib.asynccontextmanager
async def looking_at(kernel: Path, agent: ScriptedAgent | None = None) -> AsyncIterator[Session]:
    target = ScriptedTarget(agent or agent_of(kernel))
    target.debuginfo = kernel
    session = Session(target)
    try:
        await session.open()
        await session.load()
        yield session
    finally:
        await session.close()


async def test_a_function_of_the_running_kernel_is_described(kernel: Path) -> None:
    async with looking_at(kernel) as session:
        assert session.catalog is not None
        (symbol,) = session.catalog.find("second")
        assert session.catalog.prototype(symbol).trust is Trust.NONE
        about = await session.debuginfo.about(symbol)
        assert about.function is not None
        assert str(about.function.declared).startswith("corpus.c:")
        assert about.file == kernel
        found = session.catalog.prototype(symbol)
        assert (found.source, found.trust) == (Source.DWARF, Trust.EXACT)
        assert found.text == "long second(long alpha, long beta)"


async def test_copies_are_probes_inside_the_functions_around_them(kernel: Path) -> None:
    agent = agent_of(kernel)
    async with looking_at(kernel, agent) as session:
        assert session.catalog is not None
        about = await session.debuginfo.about_name("from_header")
        assert about.complete
        by_function = {copy.spot.symbol.name: copy for copy in about.copies if copy.spot}
        assert set(by_function) == {"first", "second", "elsewhere"}
        copy = by_function["second"]
        assert copy.address == symbol_address(kernel, "second") + (copy.spec.offset if copy.spec else 0)
        assert copy.spec == ProbeSpec("second", offset=copy.address - symbol_address(kernel, "second"))
        verdict = session.catalog.verdict_on_name("from_header")
        assert verdict.kind is VerdictKind.INLINED
        assert "3 inlined copies" in verdict.cause
        assert copy.spec is not None
        await session.arm(copy.spec)
        (armed,) = agent.armed.values()
        assert armed["offset"] == copy.spec.offset
        assert armed["values"] == [{"register": "di", "dereference": [], "type": "s32"}]
        probe = session.probes[copy.spec]
        assert [(field.name, field.reads) for field in probe.fields] == [("number", 1), ("added", 0)]
        assert "always 6" in probe.fields[1].cause


async def test_an_address_inside_a_function_reads_no_entry_arguments(kernel: Path) -> None:
    agent = agent_of(kernel)
    async with looking_at(kernel, agent) as session:
        await session.arm(ProbeSpec("", address=symbol_address(kernel, "takes_many") + MOVED + 4))
        (probe,) = session.probes.values()
        assert not {field.name for field in probe.fields} & {"at", "names", "compare", "mode"}


async def test_the_index_is_kept_and_a_damaged_one_made_again(kernel: Path, tmp_path: Path) -> None:
    async with looking_at(kernel) as session:
        index = await session.debuginfo.index()
        assert "from_header" in index
    (kept,) = (tmp_path / "cache/kexplore/inlined").iterdir()
    whole = kept.read_bytes()
    before = kept.stat().st_mtime_ns
    async with looking_at(kernel) as session:
        await session.debuginfo.index()
    assert kept.stat().st_mtime_ns == before
    kept.write_bytes(whole[: len(whole) // 2])
    async with looking_at(kernel) as session:
        assert "from_header" in await session.debuginfo.index()
    assert kept.read_bytes() == whole
    assert os.listdir(kept.parent) == [kept.name]


async def test_a_kernel_that_tells_no_build_id_gets_nothing(kernel: Path) -> None:
    agent = agent_of(kernel)
    agent.facts["notes"] = b""
    async with looking_at(kernel, agent) as session:
        assert session.catalog is not None
        about = await session.debuginfo.about(session.catalog.find("second")[0])
        assert about.file is None
        assert "build id" in about.cause


async def test_names_do_where_the_kernel_hides_its_addresses(kernel: Path) -> None:
    agent = agent_of(kernel)
    agent.facts["kallsyms"] = b"".join(b"0" * 16 + line[16:] + b"\n" for line in agent.facts["kallsyms"].splitlines())
    async with looking_at(kernel, agent) as session:
        about = await session.debuginfo.about_name("from_header")
        assert sorted(copy.place.partition("+")[0] for copy in about.copies) == ["elsewhere", "first", "second"]
