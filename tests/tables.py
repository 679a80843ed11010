"""Tables that tests leave for whoever reads a test run: ``record_property("table", text)`` prints one at its end.

They come through from the lab, as the properties of a test travel with its report.
"""

from __future__ import annotations

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print them, whether their tests passed or not."""
    for reports in terminalreporter.stats.values():
        for report in reports:
            for name, text in getattr(report, "user_properties", ()):
                if name == "table" and report.when == "call":
                    terminalreporter.section(report.nodeid)
                    terminalreporter.write_line(str(text))
