"""The ``lab`` layer: what is under tests/lab runs inside the lab's kernel, and is reported here as if it ran here.

A lab works through these tests from the start, while the other layers run here; when they are done, a second one helps.
Emulation keeps one processor busy, so two are used throughout. A lab runs whole files in one pytest
(``tests.lab_guest``); ``tests.lab_driver`` looks after it, and its reports are replayed here when it is their turn.
If its kernel dies or a test hangs, what is left of the file fails with its last words.
Inside the lab this plugin does nothing: the tests just run.

The lab's kernel is the one of ``--lab-kernel``. Tests that use the fixture ``every_kernel`` run on every series that
the lab knows; asked for one series, on that only.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest

from explorer.lab import tether
from explorer.lab.kernel_image import ALL_SERIES, SERIES_6_12
from explorer.lab.packages import Progress

_LAB_TESTS = Path(__file__).parent / "lab"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--lab-kernel", choices=ALL_SERIES, help="run the whole lab layer on this series of kernels")
    parser.addoption("--labs", type=int, choices=(1, 2), default=2, help="how many labs may run at once (2)")


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
        self._labs: Labs | None = None

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        wanted = [item for item in items if not self._asked or _chosen(item) in (None, self._asked)]
        gone = [item for item in items if item not in wanted] if len(wanted) < len(items) else []
        if gone:
            self._config.hook.pytest_deselected(items=gone)
        # Last: the others run while a lab works on these.
        items[:] = sorted(wanted, key=lambda item: list(ALL_SERIES).index(self._of(item)) + 1 if _in_lab(item) else 0)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> None:
        files: dict[tuple[str, Path], list[str]] = {}
        for item in filter(_in_lab, session.items):
            files.setdefault((self._of(item), item.path), []).append(item.nodeid)
        if files and not self._config.option.collectonly and not session.testsfailed:
            self._labs = Labs(self._config, files, self._say)

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
        if self._labs is not None:
            self._labs.end()

    def _of(self, item: pytest.Item) -> str:
        """The series that a test of the lab runs on."""
        return _chosen(item) or self._asked or SERIES_6_12.name

    def _reports(self, item: pytest.Item) -> Iterator[pytest.TestReport]:
        assert self._labs is not None
        try:
            for report in self._labs.reports_of(item.nodeid):
                yield _revived(self._config, report)
        except LostError as error:
            keywords: dict[str, Literal[1]] = dict.fromkeys(item.keywords, 1)
            yield pytest.TestReport(item.nodeid, item.location, keywords, "failed", str(error), "call")

    def _say(self, text: str) -> None:
        reporter = self._config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None:
            reporter.ensure_newline()
            reporter.write_line(f"lab: {text}")


class LostError(Exception):
    """No lab will report a test any more."""


class Labs:
    """The labs at work, looked after by a process that ends with this one.

    Args:
        config: Of the pytest here, whose options about output hold there, too.
        files: What is to be run: by kernel and file the tests.
        say: Takes a line about what a lab is doing.
    """

    def __init__(self, config: pytest.Config, files: dict[tuple[str, Path], list[str]], say: Progress) -> None:
        self._say = say
        self._alone = config.option.labs == 1
        self._reports: dict[str, list[dict[str, Any]]] = {}
        self._finished: set[str] = set()
        self._lost: dict[str, str] = {}
        arguments = ["-p", "no:cacheprovider", "--no-header", "--rootdir", str(config.rootpath)]
        arguments += [f"--tb={config.option.tbstyle}", *["-v"] * config.option.verbose]
        arguments += dict.fromkeys(str(path) for _, path in files)
        request = {
            "arguments": arguments,
            "files": [{"series": series, "tests": tests} for (series, _), tests in files.items()],
        }
        self._process = subprocess.Popen(
            tether.command(sys.executable, "-m", "tests.lab_driver"),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=config.rootpath, start_new_session=True,
        )  # fmt: skip
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request).encode() + b"\n")
        self._process.stdin.flush()

    def reports_of(self, test: str) -> list[dict[str, Any]]:
        """The reports of a test, awaited; from now on nothing else is run here.

        Raises:
            LostError: There will be none.
        """
        assert self._process.stdin is not None
        if not self._alone:
            self._process.stdin.close()
        while test not in self._finished and test not in self._lost:
            self._take_next(test)
        if test in self._lost:
            raise LostError(self._lost[test])
        return self._reports.pop(test)

    def _take_next(self, awaited: str) -> None:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        ended = {"lost": "the process that drives the labs ended", "tests": [awaited]}
        record: dict[str, Any] = json.loads(line) if line else ended
        if "say" in record:
            self._say(record["say"])
        elif "report" in record:
            self._reports.setdefault(record["report"]["nodeid"], []).append(record["report"])
        elif "finished" in record:
            self._finished.update(record["finished"])
        else:
            first, *others = record["tests"]
            self._lost[first] = record["lost"]
            self._lost.update(dict.fromkeys(others, f"not run: the lab was lost in {first}"))

    def end(self) -> None:
        """End the labs."""
        self._process.kill()  # their machines are tethered to it
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            stream.close()


def _revived(config: pytest.Config, data: dict[str, Any]) -> pytest.TestReport:
    """A report from its JSON, which has made lists of the tuples that pytest asks for."""
    data["location"] = tuple(data["location"])
    if data["outcome"] == "skipped" and isinstance(data["longrepr"], list):
        data["longrepr"] = tuple(data["longrepr"])
    report = config.hook.pytest_report_from_serializable(config=config, data=data)
    assert isinstance(report, pytest.TestReport)
    return report
