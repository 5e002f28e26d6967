"""Running fence agents: real programs that speak the agents' API, well or badly."""

import asyncio
import os
from pathlib import Path

import msgspec
import pytest

from holdfast import clock
from holdfast.config.model import FenceDevice, Node
from holdfast.failover_decider.fence_agent import fence
from holdfast.failover_decider.fence_runs import FenceRuns
from holdfast.failover_decider.messages import FenceDone, RunFence
from holdfast.failover_decider.state import Fencing, Suspicion, Trail, initial
from holdfast.structs import replace
from tests.support.decider_world import TIMING, cluster
from tests.support.waiting import gone, until

METADATA = """\
<?xml version="1.0"?>
<resource-agent name="fence_switch"><parameters>
<parameter name="action"/><parameter name="plug"/><parameter name="state_file"/>
<parameter name="password"/>
</parameters>
<actions><action name="off"/><action name="status"/></actions></resource-agent>"""

AGENT = """\
#!/bin/sh
# A power switch whose state is a file. It writes down every order it gets.
test $# -eq 0 || exit 1
while IFS='=' read -r key value; do
  eval "$key=\\$value"; echo "$key=$value" >> "{log}"
done
case "$action" in
  metadata) cat "{metadata}"; exit 0 ;;
  off) {off} ;;
  status) {status} ;;
esac
exit 1
"""


def node(*devices: FenceDevice) -> Node:
    return Node(address="127.0.0.1", fence=list(devices))


class Switch:
    """One agent of our making, and what it was told."""

    def __init__(self, folder: Path, *, off: str = "", status: str = "") -> None:
        self.state, self.log = folder / "state", folder / "log"
        self.path = folder / "fence_switch"
        self.state.write_text("on")
        metadata = folder / "metadata.xml"
        metadata.write_text(METADATA)
        self.path.write_text(
            AGENT.format(
                log=self.log,
                metadata=metadata,
                off=off or f"echo off > {self.state}; exit 0",
                status=status or f"grep -q off {self.state} && exit 2; exit 0",
            )
        )
        self.path.chmod(0o755)

    def device(self, **changes: object) -> FenceDevice:
        return FenceDevice(agent=str(self.path), timeout=5.0, **changes)  # type: ignore[arg-type]

    def told(self) -> list[str]:
        return self.log.read_text().splitlines()


async def test_off_is_proven_by_status(tmp_path: Path) -> None:
    switch = Switch(tmp_path)
    result = await fence("alpha", "boot-1", node(switch.device(plug="7")), "off")
    assert (result.outcome, result.detail) == ("off", "status says off")
    actions = [line for line in switch.told() if line.startswith("action=")]
    assert actions == ["action=metadata", "action=off", "action=status"]
    assert "plug=7" in switch.told()


async def test_status_looks_and_touches_nothing(tmp_path: Path) -> None:
    switch = Switch(tmp_path)
    assert (await fence("alpha", "b", node(switch.device()), "status")).outcome == "on"
    assert switch.state.read_text() == "on"
    assert "action=off" not in switch.told()


async def test_an_off_that_status_does_not_confirm_is_a_failure(tmp_path: Path) -> None:
    switch = Switch(tmp_path, off="exit 0")
    result = await fence("alpha", "b", node(switch.device()), "off")
    assert result.outcome == "failed"
    assert "status says on" in result.detail


async def test_a_time_out_is_a_failure_and_leaves_no_process(tmp_path: Path) -> None:
    child = tmp_path / "child"
    switch = Switch(tmp_path, off=f"sleep 600 & echo $! > {child}; wait")
    device = FenceDevice(agent=str(switch.path), timeout=1.0)
    result = await fence("alpha", "b", node(device), "off")
    assert result.outcome == "failed"
    assert "no answer within 1 s" in result.detail
    await until(lambda: gone(int(child.read_text())))


async def test_an_unknown_option_is_refused_before_the_agent_acts(tmp_path: Path) -> None:
    switch = Switch(tmp_path)
    device = switch.device(options={"ipadr": "10.0.0.1"})
    result = await fence("alpha", "b", node(device), "off")
    assert result.outcome == "failed"
    assert "does not know `ipadr`" in result.detail
    assert switch.state.read_text() == "on"


async def test_the_next_device_is_tried(tmp_path: Path) -> None:
    broken, good = tmp_path / "1", tmp_path / "2"
    broken.mkdir()
    good.mkdir()
    first, second = Switch(broken, off="exit 1"), Switch(good)
    result = await fence("alpha", "b", node(first.device(), second.device()), "off")
    assert result.outcome == "off"


async def test_secrets_come_from_a_file_and_never_show(tmp_path: Path) -> None:
    switch = Switch(tmp_path, off="echo wrong login >&2; exit 1")
    secret = tmp_path / "secret"
    secret.write_text("# the switch's login\npassword=hunter2\n")
    result = await fence("alpha", "b", node(switch.device(secret_file=str(secret))), "off")
    assert "password=hunter2" in switch.told()
    assert "hunter2" not in repr(result)
    assert "wrong login" in result.detail


@pytest.mark.parametrize("content", ["", "not xml", "<a>"])
async def test_what_is_no_fence_agent_is_refused(tmp_path: Path, content: str) -> None:
    program = tmp_path / "fence_nothing"
    program.write_text(f"#!/bin/sh\nprintf '%s' '{content}'\n")
    program.chmod(0o755)
    result = await fence("alpha", "b", node(FenceDevice(agent=str(program))), "off")
    assert result.outcome == "failed"
    assert "metadata" in result.detail


async def test_a_missing_agent_says_what_to_install() -> None:
    result = await fence("alpha", "b", node(FenceDevice(agent="fence_nowhere")), "status")
    assert result.outcome == "failed"
    assert "fence_nowhere is not installed" in result.detail


async def test_nothing_inherits_the_deciders_files(tmp_path: Path) -> None:
    switch = Switch(tmp_path, status="ls -l /proc/self/fd >&2; exit 1")
    held = os.open(tmp_path / "held", os.O_CREAT | os.O_RDWR)
    try:
        result = await fence("alpha", "b", node(switch.device()), "status")
    finally:
        os.close(held)
    assert "held" not in result.detail


class Outlets:
    """Two switches of one level, which only prove something together."""

    def __init__(self, folder: Path, **second: str) -> None:
        for name in ("1", "2"):
            (folder / name).mkdir()
        self.first, self.second = Switch(folder / "1"), Switch(folder / "2", **second)
        self.node = node(self.first.device(level=1), self.second.device(level=1))


async def test_both_outlets_are_switched_off_before_either_is_looked_at(tmp_path: Path) -> None:
    outlets = Outlets(tmp_path, off=f"cat {tmp_path}/1/state >> {tmp_path}/2/seen; exit 0")
    outlets.second.state.write_text("off")
    result = await fence("alpha", "b", outlets.node, "off")
    assert result.outcome == "off"
    assert result.agent == f"{outlets.first.path}, {outlets.second.path}"
    assert len(result.devices) == 2
    assert (tmp_path / "2/seen").read_text() == "off\n", "the first was off by then"
    for switch in (outlets.first, outlets.second):
        told = [line for line in switch.told() if line in ("action=off", "action=status")]
        assert told == ["action=off", "action=status", "action=status"]


async def test_one_outlet_of_two_proves_nothing(tmp_path: Path) -> None:
    outlets = Outlets(tmp_path, off="exit 0")
    result = await fence("alpha", "b", outlets.node, "off")
    assert (result.outcome, outlets.first.state.read_text().strip()) == ("failed", "off")
    assert (await fence("alpha", "b", outlets.node, "status")).outcome == "on"


async def test_outlets_that_are_off_one_after_the_other_are_not_off_together(
    tmp_path: Path,
) -> None:
    """Somebody changes cables: when the second is looked at, the first is on again."""
    outlets = Outlets(tmp_path, status=f"echo on > {tmp_path}/1/state; exit 2")
    outlets.first.state.write_text("off")
    assert (await fence("alpha", "b", outlets.node, "status")).outcome == "on"


async def test_an_order_that_is_over_is_not_begun(tmp_path: Path) -> None:
    switch = Switch(tmp_path)
    result = await fence("alpha", "boot-1", node(switch.device()), "off", lambda: False)
    assert result.outcome == "failed"
    assert "the order for boot boot-1 is over" in result.detail
    assert "action=off" not in switch.told()


async def test_an_agent_that_dies_proves_nothing(tmp_path: Path) -> None:
    switch = Switch(tmp_path, status="kill -9 $$")
    for action in ("status", "off"):
        result = await fence("alpha", "b", node(switch.device()), action)
        assert (result.outcome, "status exited with" in result.detail) == ("failed", True)


class Runs:
    """A decider's fence runs, over a state that the test changes."""

    def __init__(self, device: FenceDevice) -> None:
        file = cluster()
        file = msgspec.structs.replace(file, nodes={**file.nodes, "beta": node(device)})
        now = clock.monotonic()
        state = initial(file, TIMING, "alpha", "boot-a", now)
        leads = replace(state.leadership, term=1, valid_until=now + 600.0)
        trail = Trail("i", "c")
        fencing = Fencing(action="off", started=trail)
        suspicion = Suspicion(trail=trail, signal="s", since=now, raised=now, fencing=fencing)
        beta = replace(state.nodes["beta"], boot="boot-1", suspicion=suspicion)
        self.state = replace(
            state, leading=True, leadership=leads, nodes={**state.nodes, "beta": beta}
        )
        self.done: list[FenceDone] = []
        self.runs = FenceRuns(file, lambda: self.state, self.done.append)
        self.order = RunFence(node="beta", boot="boot-1", action="off", not_after=now + 600.0)


@pytest.mark.parametrize("what", ["another leads", "the node runs a new boot"])
async def test_a_run_that_was_overtaken_is_killed_before_its_deed(
    tmp_path: Path, what: str
) -> None:
    """An old leader's order must not hit the new boot."""
    child = tmp_path / "child"
    hangs = f"sleep 600 & echo $! > {child}; wait; echo off > {tmp_path}/state; exit 0"
    switch = Switch(tmp_path, off=hangs)
    runs = Runs(FenceDevice(agent=str(switch.path), timeout=600.0))
    task = asyncio.create_task(runs.runs.carry_out(runs.order))
    await until(lambda: child.exists() and bool(child.read_text()), within=20.0)
    runs.runs.end_overtaken()
    assert not gone(int(child.read_text())), "it stands"
    if what == "another leads":
        runs.state = replace(runs.state, leading=False)
    else:
        beta = replace(runs.state.nodes["beta"], boot="boot-2", suspicion=None)
        runs.state = replace(runs.state, nodes={**runs.state.nodes, "beta": beta})
    runs.runs.end_overtaken()
    async with asyncio.timeout(20):
        await task
    await until(lambda: gone(int(child.read_text())), within=20.0)
    assert switch.state.read_text() == "on"
    assert [(done.boot, done.outcome) for done in runs.done] == [("boot-1", "failed")]


async def test_there_is_one_run_per_target_at_a_time(tmp_path: Path) -> None:
    children = tmp_path / "children"
    switch = Switch(tmp_path, off=f"sleep 600 & echo $! >> {children}; wait")
    runs = Runs(FenceDevice(agent=str(switch.path), timeout=600.0))

    def started() -> list[int]:
        return [int(line) for line in children.read_text().split()] if children.exists() else []

    first = asyncio.create_task(runs.runs.carry_out(runs.order))
    await until(lambda: len(started()) == 1, within=20.0)
    second = asyncio.create_task(runs.runs.carry_out(runs.order))
    await until(lambda: len(started()) == 2, within=20.0)
    assert [gone(pid) for pid in started()] == [True, False]
    await first
    assert runs.done == []
    second.cancel()
    await asyncio.wait([second], timeout=20.0)
    await until(lambda: gone(started()[1]), within=20.0)
