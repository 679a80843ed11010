"""Inside the lab: runs the tests that stdin names and writes what becomes of each to stdout, a line of JSON a report.

Started by ``tests.lab_driver``, which reads the lines; each line on stdin names the tests to run next, those of a file.
Everything else that is printed here goes to stderr.
"""

from __future__ import annotations

import itertools
import json
import os
import sys
from typing import TextIO

import pytest


class Relay:
    """A pytest plugin that runs the wanted tests, in the wanted order, and sends their reports away."""

    def __init__(self, wanted: TextIO, records: TextIO) -> None:
        self._wanted = wanted
        self._records = records

    def pytest_configure(self, config: pytest.Config) -> None:
        self._config = config

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        if session.testsfailed:
            return None  # pytest's own loop says what could not be collected
        found = {item.nodeid: item for item in session.items}
        for line in self._wanted:
            items = [found[nodeid] for nodeid in json.loads(line)]
            for item, following in itertools.zip_longest(items, items[1:]):
                self._config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        return True

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        data = self._config.hook.pytest_report_to_serializable(config=self._config, report=report)
        self._send({"report": data})

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        self._send({"finished": [nodeid]})

    def _send(self, record: dict[str, object]) -> None:
        self._records.write(json.dumps(record, default=str) + "\n")
        self._records.flush()


def main() -> int:
    # pytest takes 0, 1 and 2 for itself.
    wanted, records = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return pytest.main(sys.argv[1:], plugins=[Relay(wanted, records)])


if __name__ == "__main__":
    sys.exit(main())
