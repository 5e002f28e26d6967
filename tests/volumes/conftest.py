"""A volume, served; and what runs under random faults were like."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.data_path import DataPath, running
from tests.support.replicated import running as all_running
from tests.volumes.served import Primary

SIZE = 512 * 1024 * 1024


@pytest.fixture(params=["plain", "replicated"])
def served(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[DataPath]:
    """A fresh sparse volume of SIZE bytes at a unix socket and, without TLS, on loopback.

    Without replicas, or with one, which must be the same byte for byte at the end.
    """
    if request.param == "replicated":
        primary = Primary(tmp_path, size=SIZE)
        with all_running(primary.volume):
            primary.serve()
            yield primary
            primary.volume.settled()
            primary.volume.same()
            for node in primary.volume.nodes.values():
                assert "Traceback" not in node.log.read_text()
        return
    path = DataPath(tmp_path, size=SIZE)
    with running(path, "--tcp", "127.0.0.1:0"):
        yield path
    assert "Traceback" not in path.log.read_text()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line per run: its faults, and what clients saw."""
    reports = [*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")]
    lines = [text for one in reports for name, text in one.user_properties if name == "run"]
    if lines:
        terminalreporter.section("blocks as registers under faults")
        for line in lines:
            terminalreporter.line(str(line))
