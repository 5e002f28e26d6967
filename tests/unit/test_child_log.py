"""The log of a program that runs for years, and of which strangers may make it write."""

import logging
import subprocess
import sys
from pathlib import Path

from holdfast.child_log import MAX_BYTES, Bounded, last_line, open_log

PROGRAM = """
import logging, sys
from holdfast.child_log import Bounded
logging.basicConfig(handlers=[Bounded(sys.stderr)], level="INFO")
for number in range(20000):
    logging.info("a client was refused: %s", "x" * 200)
    if number == 19990:
        print("said", file=sys.stderr, flush=True)
logging.info("the last line")
"""


def test_it_stays_bounded_while_the_program_runs(tmp_path: Path) -> None:
    log = tmp_path / "data_path.log"
    with open_log(log) as output:
        subprocess.run([sys.executable, "-c", PROGRAM], stderr=output, check=True, timeout=60.0)
    sizes = {one.name: one.stat().st_size for one in tmp_path.iterdir()}
    assert sizes.keys() == {"data_path.log", "data_path.log.1"}
    assert all(0 < size < MAX_BYTES + 4096 for size in sizes.values())
    assert last_line(log).endswith("the last line")
    assert "said" in log.read_text(), "all of its standard error goes on there"


def test_a_log_that_is_no_file_is_left_alone(tmp_path: Path) -> None:
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as cat:
        assert cat.stdin is not None
        handler = Bounded(open(cat.stdin.fileno(), "w", closefd=False))  # noqa: SIM115
        handler.emit(logging.LogRecord("n", logging.INFO, "", 0, "x" * 4096, (), None))
        cat.stdin.close()


def test_one_that_was_deleted_takes_no_room_either(tmp_path: Path) -> None:
    log = tmp_path / "data_path.log"
    with open_log(log) as output:
        log.unlink()
        subprocess.run([sys.executable, "-c", PROGRAM], stderr=output, check=True, timeout=60.0)
        assert output.seek(0, 2) < MAX_BYTES + 4096
    assert list(tmp_path.iterdir()) == []
