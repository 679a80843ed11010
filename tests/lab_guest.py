"""Inside the lab: runs the tests that stdin names and writes what becomes of each to stdout, a line of JSON a report.

Started by ``tests.lab_layer``, which reads the lines. Everything else that is printed here goes to stderr.
"""

from __future__ import annotations

import json
import os
import sys
from typing import TextIO

import pytest


class Relay:
    """A pytest plugin that runs the wanted tests, in the wanted order, and sends their reports away."""

    def __init__(self, wanted: list[str], records: TextIO) -> None:
        self._wanted = wanted
        self._records = records

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        found = {item.nodeid: item for item in items}
        items[:] = [found[nodeid] for nodeid in self._wanted if nodeid in found]

    def pytest_configure(self, config: pytest.Config) -> None:
        self._config = config

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        data = self._config.hook.pytest_report_to_serializable(config=self._config, report=report)
        self._send({"report": data})

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        self._send({"finished": nodeid})

    def _send(self, record: dict[str, object]) -> None:
        self._records.write(json.dumps(record, default=str) + "\n")
        self._records.flush()


def main() -> int:
    records = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    request = json.load(sys.stdin)
    return pytest.main(request["arguments"], plugins=[Relay(request["tests"], records)])


if __name__ == "__main__":
    sys.exit(main())
