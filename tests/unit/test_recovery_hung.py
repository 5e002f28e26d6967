"""Starts that hang in the kernel, for real: given up, they never execute anything later."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from holdfast import clock, ids
from holdfast.config.model import CommandResource, ProcessResource
from holdfast.recovery.deadman import DeadMan
from holdfast.recovery.kinds.base import ActionFailed
from holdfast.recovery.kinds.command import CommandKind
from holdfast.recovery.kinds.process import ProcessKind
from holdfast.recovery.messages import RunAction, Spawned
from holdfast.recovery.state import ResourceState, Verb
from tests.support.hands_hung import hung_log, hung_program
from tests.support.waiting import until

LATER = 1.0
"""Seconds in which a program would have run that storage held back till then."""


def armed() -> DeadMan:
    """A switch whose time has not come."""
    dead_man = DeadMan()
    dead_man.arm(clock.monotonic() + 3600.0)
    return dead_man


def process(folder: Path, program: Path, name: str = "log") -> ProcessKind:
    """A resource that is this program."""
    config = ProcessResource(command=[str(program)])
    return ProcessKind(
        config, node="alpha", log=folder / name, dead_man=armed(), spawned=lambda _: None
    )


def command(folder: Path, start: list[str], told: list[Spawned], dead_man: DeadMan) -> CommandKind:
    """A resource whose probe always says that it does not run."""
    config = CommandResource(start=start, stop=["/bin/true"], probe=["/bin/sh", "-c", "exit 7"])
    return CommandKind(
        config, node="alpha", log=folder / "log", dead_man=dead_man, spawned=told.append
    )


def action(verb: Verb, known: ResourceState, timeout: float = 2.0) -> RunAction:
    """One action on the resource."""
    return RunAction(1, verb, "web", "server", 1, known, timeout, ids.uuid7(), ids.uuid7())


def ran_later(ran: Path) -> bool:
    """Whether a program is executed while our event loop stands still, as a stalled one does."""
    deadline = time.monotonic() + LATER
    while time.monotonic() < deadline:
        if ran.exists():
            return True
        time.sleep(0.01)
    return False


async def give_up(task: "asyncio.Task[object]") -> None:
    """As an actor does when another action takes its place."""
    task.cancel()
    await asyncio.wait({task}, timeout=5.0)
    assert task.cancelled()


async def test_a_program_that_hangs_in_being_executed_is_found_by_its_stop(tmp_path: Path) -> None:
    known = ResourceState(state="starting", token=ids.uuid7())
    with hung_program(tmp_path) as program:
        kind = process(tmp_path, program.path)
        starting = asyncio.create_task(kind.start(action("start", known)))
        await until(lambda: program.hangs, what="executed")
        await give_up(starting)
        await kind.stop(action("stop", known))
        program.answer()
        assert not ran_later(program.ran), "it was called stopped"


async def test_a_successor_finds_a_program_that_hangs_in_being_executed(tmp_path: Path) -> None:
    known = ResourceState(state="starting", token=ids.uuid7())
    with hung_program(tmp_path) as program:
        starting = asyncio.create_task(
            process(tmp_path, program.path).start(action("start", known))
        )
        await until(lambda: program.hangs, what="executed")
        stopped = await process(tmp_path, program.path).stop(action("stop", known))
        assert stopped.found
        program.answer()
        assert not ran_later(program.ran), "it was called stopped"
        await starting


async def test_the_switch_ends_a_program_that_hangs_in_being_executed(tmp_path: Path) -> None:
    known = ResourceState(state="starting", token=ids.uuid7())
    with hung_program(tmp_path) as program:
        kind = process(tmp_path, program.path)
        kind._dead_man.start()
        try:
            starting = asyncio.create_task(kind.start(action("start", known)))
            await until(lambda: program.hangs, what="executed")
            kind._dead_man.arm(clock.monotonic())
            async with asyncio.timeout(10.0):
                running = await starting
                assert running.died is not None
                await running.died.wait()
            program.answer()
            assert not ran_later(program.ran), "the lease was over"
        finally:
            kind._dead_man.close()


async def test_a_stop_is_not_believed_while_a_start_hangs_where_nothing_shows(
    tmp_path: Path,
) -> None:
    known = ResourceState(state="starting", token=ids.uuid7())
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\necho $$ >> {tmp_path / 'ran'}\n")
    program.chmod(0o755)
    kind = process(tmp_path, program)
    with hung_log(tmp_path / "log") as log:
        starting = asyncio.create_task(kind.start(action("start", known)))
        await asyncio.wait({starting}, timeout=0.3)
        await give_up(starting)
        with pytest.raises(ActionFailed, match="hangs"):
            await kind.stop(action("stop", known, timeout=0.2))
        with pytest.raises(ActionFailed, match="hangs"):
            await kind.start(action("start", known))
        log.answer()
        assert not ran_later(tmp_path / "ran"), "it was given up"
        assert not (await kind.stop(action("stop", known, timeout=10.0))).killed
        assert not (tmp_path / "ran").exists()


async def test_starts_that_hang_leave_the_threads_of_others_alone(tmp_path: Path) -> None:
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(2))
    known = ResourceState(state="starting", token=ids.uuid7())
    kinds = [process(tmp_path, Path("/bin/true"), f"log{n}") for n in range(4)]
    with ExitStack() as stack:
        for n in range(4):
            stack.enter_context(hung_log(tmp_path / f"log{n}"))
        tasks = [asyncio.create_task(kind.start(action("start", known))) for kind in kinds]
        await asyncio.wait(tasks, timeout=0.3)
        for task in tasks:
            await give_up(task)
        async with asyncio.timeout(5.0):
            await asyncio.to_thread(clock.monotonic)
    for kind in kinds:
        await kind.stop(action("stop", known, timeout=10.0))


async def test_no_start_command_is_executed_once_the_switch_is_due(tmp_path: Path) -> None:
    dead_man, ran = armed(), tmp_path / "ran"
    kind = command(tmp_path, ["/bin/sh", "-c", f"echo > {ran}"], [], dead_man)
    dead_man.arm(clock.monotonic() - 1.0)
    known = ResourceState(state="starting", token=ids.uuid7())
    with pytest.raises(ActionFailed, match="the lease is about to end"):
        await kind.start(action("start", known))
    assert not ran.exists()
    assert not (await kind.stop(action("stop", known))).found, "a stop needs no lease"


async def test_a_start_command_that_hangs_is_killed_with_the_lease(tmp_path: Path) -> None:
    dead_man, told = armed(), list[Spawned]()
    dead_man.start()
    try:
        kind = command(tmp_path, ["/bin/sleep", "1000"], told, dead_man)
        known = ResourceState(state="starting", token=ids.uuid7())
        starting = asyncio.create_task(kind.start(action("start", known, timeout=60.0)))
        await until(lambda: bool(told), what="begun")
        dead_man.arm(clock.monotonic())
        with pytest.raises(ActionFailed, match="-9"):
            await asyncio.wait_for(starting, 10.0)
    finally:
        dead_man.close()


async def test_a_start_command_left_by_an_earlier_run_is_ended_before_the_probe_is_believed(
    tmp_path: Path,
) -> None:
    token, told = ids.uuid7(), list[Spawned]()
    with hung_program(tmp_path) as program:
        before = command(tmp_path, [str(program.path)], told, armed())
        known = ResourceState(state="starting", token=token)
        starting = asyncio.create_task(before.start(action("start", known, timeout=60.0)))
        await until(lambda: program.hangs, what="executed")
        after = command(tmp_path, [str(program.path)], [], armed())
        known = ResourceState(state="starting", token=token, instance=told[-1].instance)
        after.hold(known)
        assert not (await after.stop(action("stop", known))).found
        program.answer()
        assert not ran_later(program.ran), "it was called stopped"
        with pytest.raises(ActionFailed):
            await starting
