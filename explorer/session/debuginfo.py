"""What debug information adds to a session: prototypes that BTF lacks, source lines, inlined copies to be probed.

Files are opened when something is first asked of them, and read in threads. The index of all inlined copies is made by
a process of its own and kept in the user's cache by build id.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from explorer.cache import cache_root
from explorer.session.debuginfo_files import Wanted, find
from explorer.session.kernel_addresses import KernelAddresses, Spot
from explorer.session.probe_spec import ProbeSpec
from symbols.catalog import Catalog
from symbols.dwarf.debug_info import DebugInfo, FunctionDescription, InlinedCopy
from symbols.dwarf.errors import DebugInfoError
from symbols.dwarf.image import find_build_id
from symbols.dwarf.inline_index import InlineIndex
from symbols.errors import KexploreError
from symbols.prototype import Parameter, Trust
from symbols.symbol import Symbol

_BELIEVED = frozenset({Trust.EXACT, Trust.WRAPPER})


@dataclasses.dataclass(frozen=True, slots=True)
class Copy:
    """An inlined copy in the running kernel.

    Attributes:
        address: As the file counts.
        entry: Where debug information describes it.
        spot: Where it is in the running kernel; None when that cannot be told.
        spec: The probe that it takes; None when it cannot be probed.
        cause: Why it cannot be probed.
    """

    address: int
    entry: int
    spot: Spot | None
    spec: ProbeSpec | None
    cause: str = ""

    @property
    def place(self) -> str:
        """``vfs_read+0x23``."""
        if self.spot is None:
            return f"{self.address:#x} of the file"
        return f"{self.spot.symbol.qualified_name}{f'+{self.spot.offset:#x}' if self.spot.offset else ''}"


@dataclasses.dataclass(frozen=True, slots=True)
class About:
    """What debug information tells of a function.

    Attributes:
        name: The function.
        function: Its own code; None where it has none, or none that is known.
        copies: Where it was inlined, by address.
        complete: Whether these are all; otherwise those in its own source file only.
        file: What this was read from; None when nothing could be read.
        cause: Why nothing is known; "" when something is.
    """

    name: str
    function: FunctionDescription | None = None
    copies: tuple[Copy, ...] = ()
    complete: bool = True
    file: Path | None = None
    cause: str = ""


@dataclasses.dataclass(slots=True)
class _Opened:
    """The debug information of the kernel or of one module."""

    path: Path
    build_id: str
    info: DebugInfo
    addresses: KernelAddresses
    index: InlineIndex | None = None


class Debuginfo:
    """Debug information of one session's kernel and modules.

    Args:
        release: Of the kernel, as ``uname -r`` prints it.
        machine: As ``uname -m`` prints it.
        fact: Asks the agent for a fact.
        catalog: The symbols; None as long as they are not there.
        given: Where to look, in place of the usual places.
        root: Where the usual places begin.
        changed: Called when the index came nearer or is there.

    Attributes:
        progress: Of the index being made, 0 to 1; None while none is.
        failure: Why no index could be made; "" as long as nothing failed.
    """

    def __init__(
        self,
        release: str,
        machine: str,
        fact: Callable[[str], Awaitable[bytes]],
        catalog: Callable[[], Catalog | None],
        given: Path | None = None,
        root: Path = Path("/"),
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self._release, self._machine = release, machine
        self._fact, self._catalog = fact, catalog
        self._given, self._root, self._changed = given, root, changed
        self._opened: dict[str | None, _Opened | KexploreError] = {}
        self._told: dict[tuple[str, int | None], About] = {}
        self._lock = asyncio.Lock()
        self._indexing = asyncio.Lock()
        self._process: asyncio.subprocess.Process | None = None
        self._wanted: Symbol | None = None
        self._asking: asyncio.Task[None] | None = None
        self._background: asyncio.Task[None] | None = None
        self.progress: float | None = None
        self.failure = ""

    def known(self, symbol: Symbol) -> About | None:
        """What was found out about a symbol before; None when it has not been asked for."""
        return self._told.get((symbol.qualified_name, symbol.address))

    def ask(self, symbol: Symbol) -> About | None:
        """What is known of a symbol; None while it is looked up, which ends in ``changed``.

        Only the symbol that was asked for last is looked up next. The first time, the index is begun as well.
        """
        known = self.known(symbol)
        if known is None or self._can_be_completed(known, symbol):
            self._wanted = symbol
            if self._asking is None or self._asking.done():
                self._asking = asyncio.create_task(self._answer(), name="debug information")
        return known

    async def path(self) -> Path:
        """The file with the debug information of the kernel.

        Raises:
            KexploreError: There is none.
        """
        async with self._lock:
            return (await self._open(None)).path

    async def about(self, symbol: Symbol) -> About:
        """What debug information tells of a symbol; a prototype that BTF lacks goes to the catalog.

        Never raises for lack of debug information: ``About.cause`` tells.
        """
        known = self.known(symbol)
        if known is None or self._can_be_completed(known, symbol):
            async with self._lock:
                try:
                    opened = await self._open(symbol.module)
                    known = await asyncio.to_thread(self._about, opened, symbol)
                except KexploreError as error:
                    known = About(symbol.base_name, cause=error.message)
            self._told[symbol.qualified_name, symbol.address] = known
        return known

    async def about_name(self, name: str) -> About:
        """What debug information tells of a function without a symbol; makes the index if it has to.

        Raises:
            KexploreError: There is no debug information, or no index could be made.
        """
        module, _, plain = name.rpartition(":")
        index = await self.index(module or None)
        async with self._lock:
            opened = await self._open(module or None)
            copies = await asyncio.to_thread(lambda: self._copies(opened, index.find(plain)))
        return About(plain, None, copies, True, opened.path)

    async def describe(self, copies: Sequence[Copy], module: str | None = None) -> list[InlinedCopy]:
        """The source lines and the arguments of copies.

        Raises:
            KexploreError: The debug information is damaged.
        """
        async with self._lock:
            opened = await self._open(module)
            return await asyncio.to_thread(lambda: [opened.info.copy(copy.entry) for copy in copies])

    async def arguments_at(self, symbol: Symbol, offset: int) -> tuple[Parameter, ...]:
        """The arguments of the function whose inlined copy begins at a place; none when no copy does.

        Where copies of several functions begin (one inlined into the other), names are ``function.argument``.
        """
        async with self._lock:
            try:
                opened = await self._open(symbol.module)
                return await asyncio.to_thread(self._arguments, opened, symbol, offset)
            except KexploreError:  # without debug information the probe reads the registers
                return ()

    async def index(self, module: str | None = None) -> InlineIndex:
        """The index of all inlined copies; made when the cache has none that is whole and of this version.

        Raises:
            KexploreError: It cannot be made.
        """
        async with self._indexing:
            async with self._lock:
                opened = await self._open(module)
            if opened.index is None:
                target = cache_root() / "inlined" / f"{opened.build_id}.v1"
                index = await asyncio.to_thread(_cached, target, opened.build_id)
                if index is None:
                    await self._make(opened, target)
                    index = await asyncio.to_thread(_cached, target, opened.build_id)
                if index is None:
                    raise DebugInfoError(f"the index of inlined copies in {target} cannot be read back")
                opened.index = index
                catalog = self._catalog()
                if catalog is not None and module is None:
                    catalog.add_inlined(index)
                self._changed()
            return opened.index

    async def index_in_background(self) -> None:
        """Have the index of the kernel made, if there is debug information; the cause of a failure is kept."""
        try:
            await self.index()
        except KexploreError as error:
            self.failure = error.message
            self._changed()

    async def close(self) -> None:
        """Give up what is under way."""
        tasks = [task for task in (self._asking, self._background) if task is not None and not task.done()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        await self._end_process()

    async def _end_process(self) -> None:
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()
            await self._process.wait()

    async def _answer(self) -> None:
        while self._wanted is not None:
            symbol, self._wanted = self._wanted, None
            await self.about(symbol)
            if self._background is None and isinstance(self._opened.get(None), _Opened):
                self._background = asyncio.create_task(self.index_in_background(), name="index of inlined copies")
            self._changed()

    def _can_be_completed(self, known: About, symbol: Symbol) -> bool:
        """Whether an index that came meanwhile would tell more."""
        opened = self._opened.get(symbol.module)
        return not known.complete and isinstance(opened, _Opened) and opened.index is not None

    async def _open(self, module: str | None) -> _Opened:
        if module not in self._opened:
            try:
                self._opened[module] = await self._find(module)
            except KexploreError as error:
                self._opened[module] = error
        opened = self._opened[module]
        if isinstance(opened, KexploreError):
            raise opened
        return opened

    async def _find(self, module: str | None) -> _Opened:
        catalog = self._catalog()
        if catalog is None:
            raise DebugInfoError("the list of names has not been loaded yet")
        build_id = find_build_id(await self._fact(f"notes:{module}" if module else "notes"))
        if not build_id:
            raise DebugInfoError(
                "this kernel does not tell its build id, so no debug information can be matched with it"
            )

        def opening() -> _Opened:
            path, image = find(Wanted(self._release, build_id, module), self._given, self._root)
            info = DebugInfo(image, self._machine)
            return _Opened(path, build_id, info, KernelAddresses(image, catalog, module))

        return await asyncio.to_thread(opening)

    def _about(self, opened: _Opened, symbol: Symbol) -> About:
        address = opened.addresses.in_file(symbol)
        if address is None:
            return About(symbol.base_name, cause="it is not in the debug information under this name", file=opened.path)
        catalog = self._catalog()
        if catalog is not None and catalog.prototype(symbol).trust not in _BELIEVED:
            prototype = opened.info.prototype(address, symbol.name)
            if prototype is not None:
                catalog.add_prototype(symbol, prototype)
        function = opened.info.function(address)
        name = function.name if function else symbol.base_name
        if opened.index is not None:
            return About(name, function, self._copies(opened, opened.index.find(name)), True, opened.path)
        if function is None:
            return About(name, file=opened.path, cause="debug information does not describe it (assembly, perhaps)")
        near = opened.info.copies_near(address, name)
        return About(name, function, self._copies(opened, near), function.private, opened.path)

    def _copies(self, opened: _Opened, found: Sequence[tuple[int, int]]) -> tuple[Copy, ...]:
        return tuple(self._copy(opened, address, entry) for address, entry in found)

    def _copy(self, opened: _Opened, address: int, entry: int) -> Copy:
        spot = opened.addresses.spot(address)
        catalog = self._catalog()
        if spot is None or catalog is None:
            return Copy(address, entry, None, None, "no symbol of the running kernel is there")
        symbol = spot.symbol
        verdict = catalog.verdict(symbol)
        if not verdict.can_arm:
            return Copy(address, entry, spot, None, verdict.cause)
        if symbol.address is not None and catalog.count(symbol) > 1:
            return Copy(address, entry, spot, ProbeSpec("", address=symbol.address + spot.offset))
        return Copy(address, entry, spot, ProbeSpec(symbol.name, symbol.module or "", spot.offset))

    def _arguments(self, opened: _Opened, symbol: Symbol, offset: int) -> tuple[Parameter, ...]:
        address = opened.addresses.in_file(symbol)
        copies = [] if address is None else opened.info.copies_at(address + offset)
        if len(copies) == 1:
            return copies[0].parameters
        named = {f"{copy.name}.{parameter.name}": parameter for copy in copies for parameter in copy.parameters}
        return tuple(dataclasses.replace(parameter, name=name) for name, parameter in named.items())

    async def _make(self, opened: _Opened, target: Path) -> None:
        """Run the process that makes the index.

        Raises:
            DebugInfoError: It failed.
        """
        command = [sys.executable, "-m", "explorer.session.inline_index_build", str(opened.path), opened.build_id]
        pipe = asyncio.subprocess.PIPE
        self._process = process = await asyncio.create_subprocess_exec(
            *command, str(target), stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=pipe, start_new_session=True
        )
        assert process.stdout is not None
        assert process.stderr is not None
        self.progress = 0.0
        try:
            while line := await process.stdout.readline():
                done, total = line.split()
                self.progress = int(done) / max(int(total), 1)
                self._changed()
            words = (await process.stderr.read()).decode("utf-8", "replace").strip()
            if await process.wait():
                raise DebugInfoError(
                    f"no index of inlined copies: {words.splitlines()[-1] if words else 'it was ended'}"
                )
        finally:
            self.progress = None
            await self._end_process()
            self._process = None


def _cached(path: Path, build_id: str) -> InlineIndex | None:
    """The index in the cache; None when there is none, or it is damaged or of another version."""
    try:
        return InlineIndex(path.read_bytes(), build_id)
    except (OSError, DebugInfoError):
        return None
