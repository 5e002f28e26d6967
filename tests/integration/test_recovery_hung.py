"""A real recovery service on storage that hangs, and one that stands still past its lease."""

import asyncio
import os
import signal
import time
from pathlib import Path

import pytest

from holdfast import clock
from holdfast.timing import PROFILES
from tests.support.buses import MakeBus
from tests.support.hands_host import PATIENCE, Host, host
from tests.support.hands_hung import hung_log, hung_program
from tests.support.nats import NatsServer
from tests.support.waiting import gone, until

PROGRAM = """
[groups.web]
nodes = ["alpha", "beta"]
[groups.web.resources.server]
kind = "process"
command = ["{program}"]
environment = {{ TEST_FOLDER = "{folder}" }}
start_timeout = {timeout}
stop_timeout = 0.5
"""
COMMAND = """
[groups.web]
nodes = ["alpha", "beta"]
[groups.web.resources.server]
kind = "command"
start = ["/bin/sh", "-c", "echo > {folder}/executed; echo > {folder}/flag"]
stop = ["/bin/rm", "-f", "{folder}/flag"]
probe = ["/bin/sh", "-c", "test -e {folder}/flag || exit 7"]
"""
PROCESS = """
[groups.web]
nodes = ["alpha", "beta"]
[groups.web.resources.server]
kind = "process"
command = ["/bin/sh", "-c", "echo > {folder}/executed; exec sleep 1000"]
environment = {{ TEST_FOLDER = "{folder}" }}
"""


async def test_killed_while_a_program_hangs_it_finds_that_one_when_it_is_back(
    nats_server: NatsServer, make_bus: MakeBus, tmp_path: Path
) -> None:
    with hung_program(tmp_path) as program:
        groups = PROGRAM.format(program=program.path, folder=tmp_path, timeout=60.0)
        bus = await make_bus([nats_server])
        async with host(bus, nats_server, tmp_path, groups, profile="tolerant") as alpha:
            assert (await alpha.order("start", 1, "a")).accepted
            await until(lambda: program.hangs, within=PATIENCE, what="executed")
            waiting = [p for p in children(alpha) if b"HOLDFAST_TOKEN=" in environ(p)]
            assert len(waiting) == 1, "it bears its marks before it is what it will be"
            await alpha.end(signal.SIGKILL)
            assert not gone(waiting[0])
            alpha.start()
            await until(lambda: gone(waiting[0]), within=PATIENCE, what="a half-done start undone")
            program.answer()
            await alpha.group("active")
            assert program.runs == [await alpha.pid()], "executed once"


async def test_a_start_that_hangs_is_given_up_stopped_and_not_done_later(
    nats_server: NatsServer, make_bus: MakeBus, tmp_path: Path
) -> None:
    with hung_program(tmp_path) as program:
        groups = PROGRAM.format(program=program.path, folder=tmp_path, timeout=0.5)
        async with host(await make_bus([nats_server]), nats_server, tmp_path, groups) as alpha:
            assert "not up within" in (await alpha.done("start", 1, "a")).error
            assert (await alpha.done("stop", 1, "b")).error == ""
            program.answer()
            await alpha.done("stop", 1, "c")
            assert program.runs == []


@pytest.mark.parametrize("groups", [PROCESS, COMMAND], ids=["process", "command"])
async def test_hands_that_stood_still_past_their_lease_execute_nothing(
    nats_server: NatsServer, make_bus: MakeBus, tmp_path: Path, groups: str
) -> None:
    configured = groups.format(folder=tmp_path)
    async with host(await make_bus([nats_server]), nats_server, tmp_path, configured) as alpha:
        with hung_log(tmp_path / "state" / "recovery" / "log" / "web.server.log") as log:
            assert (await alpha.order("start", 1, "a")).accepted
            await alpha.group("starting")
            # Between order and execution: it waits for its log, and then is not run any more.
            os.kill(alpha.service_pid, signal.SIGSTOP)
            alpha.voters.silent = {"beta", "witness"}
            over = clock.monotonic() + PROFILES["fast"].ttl
            await until(lambda: clock.monotonic() > over, what="the lease is over")
            log.answer()
            os.kill(alpha.service_pid, signal.SIGCONT)
            await alpha.leased(held=False)
            await until(
                lambda: alpha.pulses[-1].groups[0].state in ("stopped", "unknown"),
                within=PATIENCE,
                what="the end of the start",
            )
            await asyncio.to_thread(seen_within, tmp_path / "executed", 1.0)
            assert not (tmp_path / "executed").exists(), "the group is beta's by now"


def seen_within(path: Path, seconds: float) -> None:
    """Give what must not happen the time to happen."""
    deadline = time.monotonic() + seconds
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.01)


def children(alpha: Host) -> list[int]:
    """Pids of the service's children."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[1]) == alpha.service_pid:
            found.append(int(stat.parent.name))
    return found


def environ(pid: int) -> bytes:
    """What a process was started with."""
    return Path(f"/proc/{pid}/environ").read_bytes()
