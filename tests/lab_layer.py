"""The ``lab`` layer: what is under tests/lab runs inside the lab's kernel, and is reported here as if it ran here.

The lab is booted at the first such test and runs all of them in one pytest (``tests.lab_guest``), whose reports are
replayed as they arrive. If its kernel dies or a test hangs, the tests not yet reported fail with its last words.
Inside the lab this plugin does nothing: the tests just run.

The lab's kernel is the one of ``--lab-kernel``. Tests that use the fixture ``every_kernel`` run on every series that
the lab knows, one lab after the other; asked for one series, on that only.
"""

from __future__ import annotations

import asyncio
import json
import os
import platform
import sys
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest

from explorer.lab.kernel_image import ALL_SERIES, SERIES_6_12, KernelSeries
from explorer.lab.machine import Lab
from explorer.lab.packages import Progress
from symbols.errors import KexploreError

_LAB_TESTS = Path(__file__).parent / "lab"
_SILENCE_SECONDS = 600.0
"""How long one test may take, emulation included."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--lab-kernel", choices=ALL_SERIES, help="run the whole lab layer on this series of kernels")


@pytest.fixture(params=ALL_SERIES)
def every_kernel(request: pytest.FixtureRequest) -> str:
    """The series that the test runs on, once for each."""
    series: str = request.param
    assert platform.release().startswith(f"{series}."), "this is not the kernel that the test was to run on"
    return series


def pytest_configure(config: pytest.Config) -> None:
    if os.environ.get("KEXPLORE_LAB") != "1":
        config.pluginmanager.register(LabLayer(config), "lab layer")


def _in_lab(item: pytest.Item) -> bool:
    return _LAB_TESTS in item.path.parents


def _chosen(item: pytest.Item) -> str | None:
    """The series that the fixture ``every_kernel`` chose for it."""
    callspec = getattr(item, "callspec", None)
    return None if callspec is None else callspec.params.get("every_kernel")


class LabLayer:
    """Runs the lab's items on the lab; one for each pytest session."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._asked: str | None = config.option.lab_kernel
        self._items: list[pytest.Item] = []
        self._series: str | None = None
        self._guest: Guest | None = None
        self._failure: str | None = None

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        wanted = [item for item in items if not self._asked or _chosen(item) in (None, self._asked)]
        gone = [item for item in items if item not in wanted] if len(wanted) < len(items) else []
        if gone:
            self._config.hook.pytest_deselected(items=gone)
        # Last: the quick ones should not wait for a boot. Kernel by kernel: one lab at a time.
        items[:] = sorted(wanted, key=lambda item: list(ALL_SERIES).index(self._of(item)) + 1 if _in_lab(item) else 0)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self._items = [item for item in session.items if _in_lab(item)]

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> bool | None:
        if not _in_lab(item):
            return None
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        for report in self._reports(item):
            item.ihook.pytest_runtest_logreport(report=report)
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        return True

    def pytest_sessionfinish(self) -> None:
        self._end()

    def _of(self, item: pytest.Item) -> str:
        """The series that a test of the lab runs on."""
        return _chosen(item) or self._asked or SERIES_6_12.name

    def _begin(self, series: str) -> Guest:
        """A guest of this series; the one of another ends."""
        if self._guest is None or self._series != series:
            self._end()
            self._series, self._guest = series, Guest()
            items = [item for item in self._items if self._of(item) == series]
            self._guest.start(self._config, items, ALL_SERIES[series], self._say)
        return self._guest

    def _end(self) -> None:
        if self._guest is not None:
            guest, self._guest, self._failure = self._guest, None, None
            guest.close()

    def _reports(self, item: pytest.Item) -> Iterator[pytest.TestReport]:
        try:
            if self._failure is not None and self._series == self._of(item):
                raise GuestError(self._failure)
            guest = self._begin(self._of(item))
            while "finished" not in (record := guest.next_record()):
                report = _revived(self._config, record["report"])
                if report.nodeid != item.nodeid:
                    raise GuestError(f"the lab ran {report.nodeid} in place of this test")
                yield report
        except (GuestError, KexploreError) as error:
            self._failure = self._failure or f"not run: the lab was lost in {item.nodeid}"
            cause = f"{error}\n{getattr(error, 'hint', '')}".strip()
            keywords: dict[str, Literal[1]] = dict.fromkeys(item.keywords, 1)
            yield pytest.TestReport(item.nodeid, item.location, keywords, "failed", cause, "call")

    def _say(self, text: str) -> None:
        reporter = self._config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None:
            reporter.ensure_newline()
            reporter.write_line(f"lab: {text}")


class GuestError(Exception):
    """The lab's pytest did not report a test."""


class Guest:
    """The lab and the pytest in it, driven step by step from a program that is not asynchronous."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner()
        self._lab: Lab | None = None
        self._records: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._partial = b""
        self._said: deque[str] = deque(maxlen=60)

    def start(self, config: pytest.Config, items: list[pytest.Item], series: KernelSeries, progress: Progress) -> None:
        """Boot the lab and tell its pytest what to run."""
        arguments = ["-p", "no:cacheprovider", "--no-header", "--rootdir", str(config.rootpath)]
        arguments += [f"--tb={config.option.tbstyle}", *["-v"] * config.option.verbose]
        arguments += dict.fromkeys(str(item.path) for item in items)
        request = {"arguments": arguments, "tests": [item.nodeid for item in items]}
        self._runner.run(self._start(json.dumps(request).encode(), str(config.rootpath), series, progress))

    async def _start(self, request: bytes, root: str, series: KernelSeries, progress: Progress) -> None:
        self._lab = await Lab.boot(
            [sys.executable, "-m", "tests.lab_guest"],
            progress=progress,
            output=self._take,
            cwd=root,
            env={"PYTEST_DEBUG_TEMPROOT": "/run", "HYPOTHESIS_STORAGE_DIRECTORY": "/run/hypothesis"},
            series=series,
            bcc=True,
        )
        await self._lab.send_input(request)
        await self._lab.send_input(b"")

    def next_record(self) -> dict[str, Any]:
        """What the guest tells next.

        Raises:
            GuestError: Its pytest has ended, or says nothing for too long.
            LabError: Its machine has ended.
        """
        return self._runner.run(self._next_record())

    async def _next_record(self) -> dict[str, Any]:
        assert self._lab is not None
        record = asyncio.create_task(self._records.get())
        end = asyncio.create_task(self._lab.wait())
        try:
            await asyncio.wait({record, end}, timeout=_SILENCE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            if record.done():
                return record.result()
            if end.done():  # all that it said before was taken before
                raise GuestError(f"the lab's pytest ended with {end.result()} before this test\n{self._last_words()}")
            await self._lab.close()
            raise GuestError(f"no word from the lab for {_SILENCE_SECONDS:.0f} s\n{self._last_words()}")
        finally:
            record.cancel()
            end.cancel()
            await asyncio.wait({record, end})

    def _last_words(self) -> str:
        assert self._lab is not None
        return "\n".join([*self._said, self._lab.console])

    async def _take(self, descriptor: int, data: bytes) -> None:
        if descriptor == 1:
            *lines, self._partial = (self._partial + data).split(b"\n")
            for line in lines:
                self._records.put_nowait(json.loads(line))
        else:
            self._said.extend(data.decode(errors="replace").splitlines())

    def close(self) -> None:
        """End the lab."""
        if self._lab is not None:
            self._runner.run(self._lab.close())
        self._runner.close()


def _revived(config: pytest.Config, data: dict[str, Any]) -> pytest.TestReport:
    """A report from its JSON, which has made lists of the tuples that pytest asks for."""
    data["location"] = tuple(data["location"])
    if data["outcome"] == "skipped" and isinstance(data["longrepr"], list):
        data["longrepr"] = tuple(data["longrepr"])
    report = config.hook.pytest_report_from_serializable(config=config, data=data)
    assert isinstance(report, pytest.TestReport)
    return report
