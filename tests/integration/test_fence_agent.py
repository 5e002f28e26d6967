"""Running fence agents: real programs that speak the agents' API, well or badly."""

import os
from pathlib import Path

import pytest

from holdfast.config.model import FenceDevice
from holdfast.failover_decider.fence_agent import fence
from tests.support.waiting import until

METADATA = """\
<?xml version="1.0"?>
<resource-agent name="fence_switch"><parameters>
<parameter name="action"/><parameter name="plug"/><parameter name="state_file"/>
<parameter name="password"/>
</parameters></resource-agent>"""

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
    result = await fence("alpha", "boot-1", [switch.device(plug="7")], "off")
    assert (result.outcome, result.detail) == ("off", "status says off")
    actions = [line for line in switch.told() if line.startswith("action=")]
    assert actions == ["action=metadata", "action=off", "action=status"]
    assert "plug=7" in switch.told()


async def test_status_looks_and_touches_nothing(tmp_path: Path) -> None:
    switch = Switch(tmp_path)
    assert (await fence("alpha", "b", [switch.device()], "status")).outcome == "on"
    assert switch.state.read_text() == "on"
    assert "action=off" not in switch.told()


async def test_an_off_that_status_does_not_confirm_is_a_failure(tmp_path: Path) -> None:
    switch = Switch(tmp_path, off="exit 0")
    result = await fence("alpha", "b", [switch.device()], "off")
    assert result.outcome == "failed"
    assert "status says on" in result.detail


async def test_a_time_out_is_a_failure_and_leaves_no_process(tmp_path: Path) -> None:
    child = tmp_path / "child"
    switch = Switch(tmp_path, off=f"sleep 600 & echo $! > {child}; wait")
    device = FenceDevice(agent=str(switch.path), timeout=1.0)
    result = await fence("alpha", "b", [device], "off")
    assert result.outcome == "failed"
    assert "no answer within 1.0 s" in result.detail
    await until(lambda: not _alive(int(child.read_text())))


def _alive(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


async def test_an_unknown_option_is_refused_before_the_agent_acts(tmp_path: Path) -> None:
    switch = Switch(tmp_path)
    device = switch.device(options={"ipadr": "10.0.0.1"})
    result = await fence("alpha", "b", [device], "off")
    assert result.outcome == "failed"
    assert "does not know the option ipadr" in result.detail
    assert switch.state.read_text() == "on"


async def test_the_next_device_is_tried(tmp_path: Path) -> None:
    broken, good = tmp_path / "1", tmp_path / "2"
    broken.mkdir()
    good.mkdir()
    first, second = Switch(broken, off="exit 1"), Switch(good)
    result = await fence("alpha", "b", [first.device(), second.device()], "off")
    assert result.outcome == "off"


async def test_secrets_come_from_a_file_and_never_show(tmp_path: Path) -> None:
    switch = Switch(tmp_path, off="echo wrong login >&2; exit 1")
    secret = tmp_path / "secret"
    secret.write_text("# the switch's login\npassword=hunter2\n")
    result = await fence("alpha", "b", [switch.device(secret_file=str(secret))], "off")
    assert "password=hunter2" in switch.told()
    assert "hunter2" not in repr(result)
    assert "wrong login" in result.detail


@pytest.mark.parametrize("content", ["", "not xml", "<a>"])
async def test_what_is_no_fence_agent_is_refused(tmp_path: Path, content: str) -> None:
    program = tmp_path / "fence_nothing"
    program.write_text(f"#!/bin/sh\nprintf '%s' '{content}'\n")
    program.chmod(0o755)
    result = await fence("alpha", "b", [FenceDevice(agent=str(program))], "off")
    assert result.outcome == "failed"
    assert "metadata" in result.detail


async def test_a_missing_agent_says_what_to_install() -> None:
    result = await fence("alpha", "b", [FenceDevice(agent="fence_nowhere")], "status")
    assert result.outcome == "failed"
    assert "fence_nowhere is not installed" in result.detail


async def test_nothing_inherits_the_deciders_files(tmp_path: Path) -> None:
    switch = Switch(tmp_path, status="ls -l /proc/self/fd >&2; exit 1")
    held = os.open(tmp_path / "held", os.O_CREAT | os.O_RDWR)
    try:
        result = await fence("alpha", "b", [switch.device()], "status")
    finally:
        os.close(held)
    assert "held" not in result.detail
