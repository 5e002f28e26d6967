"""Finding and ending processes for good, and the switch that does so when all else hangs."""

import asyncio
import contextlib
import os
import select
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from holdfast import clock, ids
from holdfast.child_log import MAX_BYTES, last_line
from holdfast.config.model import ProcessResource
from holdfast.recovery import children, gate, gated, processes
from holdfast.recovery.deadman import DeadMan
from holdfast.recovery.kinds.base import ActionFailed
from holdfast.recovery.kinds.process import ProcessKind
from holdfast.recovery.launcher import Launcher
from holdfast.recovery.messages import RunAction, Spawned
from holdfast.recovery.processes import Process, Workload
from holdfast.recovery.state import ResourceState
from tests.support.waiting import until

Spawn = Callable[..., Process]


@pytest.fixture
def spawn() -> Iterator[Spawn]:
    """Start a program in a process group of its own; all of them end with the test."""
    started: list[subprocess.Popen[bytes]] = []

    def start(*command: str, token: str = "", name: str = "", ready: bool = False) -> Process:
        marks = {processes.TOKEN_VARIABLE: token, processes.NAME_VARIABLE: name}
        popen = subprocess.Popen(
            command,
            env={"PATH": os.defpath, **marks},
            stdout=subprocess.PIPE,
            process_group=0,
        )
        started.append(popen)
        if ready:
            assert popen.stdout is not None
            assert popen.stdout.readline() == b"ready\n"
        return processes.identify(popen.pid)

    yield start
    for popen in started:
        processes.kill(Workload(Process(popen.pid, -1), ""))
        popen.kill()
        popen.wait()
        assert popen.stdout is not None
        popen.stdout.close()


def wait_ended(process: Process, within: float = 10.0) -> None:
    """Block until it has ended; no event loop runs meanwhile."""
    fd = processes.open_pidfd(process)
    if fd is not None:
        try:
            poll = select.poll()
            poll.register(fd, select.POLLIN)
            assert poll.poll(within * 1000), "it did not end"
        finally:
            os.close(fd)


def test_the_name_finds_every_start_of_a_resource_and_no_other(spawn: Spawn) -> None:
    first = spawn("/bin/sleep", "1000", token=ids.uuid7(), name="/state/log/group.web.log")
    second = spawn("/bin/sleep", "1000", token=ids.uuid7(), name="/state/log/group.web.log")
    spawn("/bin/sleep", "1000", token=ids.uuid7(), name="/state/log/group.web.log2")
    found = processes.members(Workload(None, "", "/state/log/group.web.log"))
    assert set(found) == {first, second}


def test_members_are_the_group_and_the_bearers_of_the_token(spawn: Spawn) -> None:
    token = ids.uuid7()
    script = "setsid sleep 1000 & sleep 1000 & echo ready; wait"
    leader = spawn("/bin/sh", "-c", script, token=token, ready=True)
    other = spawn("/bin/sleep", "1000", token=ids.uuid7())
    found = processes.members(Workload(leader, token))
    assert leader in found
    assert other not in found
    assert len(found) == 3
    assert processes.members(Workload(None, "")) == []
    assert processes.kill(Workload(None, token))
    wait_ended(leader)
    for process in found:
        wait_ended(process)
    assert not processes.kill(Workload(leader, token))


def test_a_reused_pid_is_somebody_else(spawn: Spawn) -> None:
    now = spawn("/bin/sleep", "1000")
    before = Process(now.pid, now.ticks - 1)
    assert processes.alive(now)
    assert not processes.alive(before)
    assert processes.open_pidfd(before) is None
    assert processes.members(Workload(before, "")) == []
    processes.send(before, signal.SIGKILL)
    assert processes.alive(now)


@pytest.mark.parametrize("text", ["", "epoch:5.1x", "7", "a:1", "-1:5", "epoch:5"])
def test_other_instances_are_no_process(text: str) -> None:
    assert processes.parse_instance(text) is None
    assert processes.parse_instance("12:345") == Process(12, 345)


async def test_wait_gone_sees_the_last_one_end(spawn: Spawn) -> None:
    token = ids.uuid7()
    leader = spawn("/bin/sh", "-c", "sleep 1000 & echo ready; wait", token=token, ready=True)
    workload = Workload(leader, token)
    assert not await processes.wait_gone(workload, 0.05)
    os.kill(leader.pid, signal.SIGKILL)
    assert not await processes.wait_gone(workload, 0.05), "its child is still there"
    processes.kill(workload)
    assert await processes.wait_gone(workload, 10.0)


def test_the_switch_needs_no_event_loop(spawn: Spawn) -> None:
    dead_man = DeadMan()
    token = ids.uuid7()
    script = "trap '' TERM; echo ready; exec sleep 1000"
    process = spawn("/bin/sh", "-c", script, token=token, ready=True)
    dead_man.arm(clock.monotonic() + 3600.0)
    dead_man.hold(token, process)
    dead_man.start()
    try:
        assert processes.alive(process)
        dead_man.arm(clock.monotonic() + 0.2)
        wait_ended(process)
        assert dead_man.drop(token), "it must say that it was the one"
        assert not dead_man.drop(token)
    finally:
        dead_man.close()


def test_what_is_born_after_the_end_dies_at_once(spawn: Spawn) -> None:
    dead_man = DeadMan()
    dead_man.start()
    try:
        token = ids.uuid7()
        process = spawn("/bin/sleep", "1000", token=token)
        dead_man.hold(token, process)
        wait_ended(process)
    finally:
        dead_man.close()


async def test_nothing_is_executed_once_the_switch_is_due(tmp_path: Path) -> None:
    dead_man = DeadMan()
    told: list[Spawned] = []
    born = tmp_path / "born"
    kind = ProcessKind(
        ProcessResource(command=["/bin/sh", "-c", f"echo > {born}"]),
        node="alpha",
        log=tmp_path / "log",
        dead_man=dead_man,
        spawned=told.append,
    )
    known = ResourceState(token=ids.uuid7())
    action = RunAction(1, "start", "web", "server", 1, known, 5.0, ids.uuid7(), ids.uuid7())
    dead_man.arm(clock.monotonic() - 1.0)
    with pytest.raises(ActionFailed, match="the lease is about to end"):
        await kind.start(action)
    assert (told, born.exists()) == ([], False)
    dead_man.arm(clock.monotonic() + 3600.0)
    running = await kind.start(action)
    assert running.died is not None
    async with asyncio.timeout(20.0):
        await running.died.wait()
    assert born.exists()


def test_closing_the_switch_kills_nothing(spawn: Spawn) -> None:
    dead_man = DeadMan()
    dead_man.arm(clock.monotonic() + 3600.0)
    dead_man.start()
    process = spawn("/bin/sleep", "1000")
    dead_man.hold("token", process)
    dead_man.close()
    assert processes.alive(process)


def our_children() -> set[int]:
    """Pids of this process's children, zombies too."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if int(stat.read_text().rpartition(")")[2].split()[1]) == os.getpid():
                found.add(int(stat.parent.name))
    return found


async def test_a_start_given_up_leaves_no_process(tmp_path: Path) -> None:
    before, born = our_children(), tmp_path / "born"
    launcher = Launcher()
    task = asyncio.create_task(
        launcher.launch(
            ["/bin/sh", "-c", f"echo > {born}; exec sleep 1000"],
            environment={},
            directory=None,
            log=tmp_path / "log",
        )
    )
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await launcher.settled(10.0)
    await until(lambda: our_children() <= before, what="ended and reaped")
    assert not born.exists()


async def test_a_word_that_comes_too_late_executes_nothing(tmp_path: Path) -> None:
    """The host stood still between our last look at the clock and the execution."""
    born = tmp_path / "born"
    order = gate.order(["/bin/sh", "-c", f"echo > {born}"], {}, "/")
    for late in (True, False):
        made = await asyncio.to_thread(gated.make, order, {}, tmp_path / "log")
        child = children.Child(made.popen, made.process)
        made.go(clock.monotonic() + (-0.001 if late else 60.0))
        async with asyncio.timeout(10.0):
            assert await made.answer() == (gate.LATE if late else b"")
            await child.ended.wait()
        made.close()
        assert born.exists() != late


async def test_without_its_starter_it_becomes_nothing(tmp_path: Path) -> None:
    born = tmp_path / "born"
    order = gate.order(["/bin/sh", "-c", f"echo > {born}"], {}, "/")
    made = await asyncio.to_thread(gated.make, order, {}, tmp_path / "log")
    child = children.Child(made.popen, made.process)
    made.close()
    await asyncio.wait_for(child.ended.wait(), 10.0)
    assert (child.code, born.exists()) == (1, False)


async def test_a_program_gets_what_is_meant_for_it_and_nothing_of_the_gate(tmp_path: Path) -> None:
    log = tmp_path / "log"
    script = 'pwd; env; echo "$1"; ls /proc/self/fd; cat /proc/self/status'
    # As of hands that were started with `nohup`.
    was = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        child = await Launcher().launch(
            ["sh", "-c", script, "sh", "two words é"],
            environment={"PATH": os.defpath, "A": "x=y\nz", processes.TOKEN_VARIABLE: "token"},
            directory=str(tmp_path),
            log=log,
        )
    finally:
        signal.signal(signal.SIGHUP, was)
    await asyncio.wait_for(child.ended.wait(), 10.0)
    said = log.read_text().splitlines()
    assert said[0] == str(tmp_path)
    assert {"A=x=y", "z", "HOLDFAST_TOKEN=token", "two words é"} <= set(said)
    assert [line for line in said if line.isdecimal()] == ["0", "1", "2", "3"], "3 is the list's"
    ignored = next(line for line in said if line.startswith("SigIgn:"))
    # But for 32 and 33, which make leaves ignored: the C library lets nobody change them.
    assert int(ignored.split()[1], 16) & 0x7FFFFFFF == 0


async def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await Launcher().launch(
            ["/no/such/program"], environment={}, directory=None, log=tmp_path / "log"
        )


async def test_the_log_is_bounded_at_the_next_start(tmp_path: Path) -> None:
    log = tmp_path / "web.server.log"
    log.write_bytes(b"x" * (MAX_BYTES + 1))
    child = await Launcher().launch(
        ["/bin/sh", "-c", "echo first; echo last words"],
        environment=children.clean_environment(),
        directory=None,
        log=log,
    )
    await asyncio.wait_for(child.ended.wait(), 10.0)
    assert last_line(log) == "last words"
    assert (tmp_path / "web.server.log.1").stat().st_size > MAX_BYTES
    assert child.how() == "it exited with 0"
