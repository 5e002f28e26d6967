"""Debian's fence agents: each one's metadata, and two of them end to end behind real protocols."""

import asyncio
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from holdfast.config.load import load
from holdfast.config.model import FenceDevice, Node
from holdfast.failover_decider.fence_agent import fence
from holdfast.fence_agents import options, program
from holdfast.fence_agents.check import Checked, check_devices
from holdfast.fence_agents.errors import FenceError
from holdfast.fence_agents.metadata import OLD_NAMES
from tests.support.documents import ROOT
from tests.support.nats import free_ports
from tests.support.waiting import until

pytestmark = pytest.mark.fencing
AGENTS = sorted(Path("/usr/sbin").glob("fence_*"))
needs_agents = pytest.mark.skipif(
    len(AGENTS) < 20, reason="Debian's package fence-agents is not installed"
)
IN_TIME = 20.0
NO_AGENT = {"fence_ack_manual"}
"""A program of the package that asks a person."""
NO_POWER = {
    "fence_brocade", "fence_cisco_mds", "fence_compute", "fence_ifmib", "fence_mpath",
    "fence_sanbox2", "fence_scsi",
}  # fmt: skip
NO_STATUS = {
    "fence_heuristics_ping", "fence_kdump", "fence_ovh", "fence_rcd_serial", "fence_watchdog",
}  # fmt: skip


def node(*devices: FenceDevice) -> Node:
    return Node(address="127.0.0.1", fence=list(devices))


# --- every agent ---------------------------------------------------------------------------------


@needs_agents
@pytest.mark.timeout(300)
async def test_the_metadata_of_every_installed_agent_is_understood() -> None:
    """One after another: each is an interpreter of its own."""
    refused: dict[str, str] = {}
    for path in AGENTS:
        try:
            agent = await program.describe(path)
        except FenceError:
            assert path.name in NO_AGENT
            continue
        assert agent.parameters, path.name
        for old, new in agent.renamed.items():
            assert new in agent.parameters, (path.name, old)
            assert agent.known_as(old) == new
        for old, new in OLD_NAMES.items():
            if new in agent.parameters:
                assert agent.known_as(old) == agent.known_as(new) == new, path.name
        device = FenceDevice(agent=path.name, options={"no_such_key": "1", "action": "on"})
        told = {p.key: p.problem for p in options.problems(agent, device, "f", {})}
        assert told["f.options.no_such_key"] == f"{agent.name} does not know `no_such_key`"
        assert told["f.options.action"] == "`action` is not an option"
        if "f.agent" in told:
            refused[path.name] = told["f.agent"]
    for name in NO_POWER & {path.name for path in AGENTS}:
        assert "not from power" in refused.pop(name)
    for name in NO_STATUS & {path.name for path in AGENTS}:
        assert "has no action" in refused.pop(name)
    assert refused == {}, "these can switch a node off and should be usable"


@needs_agents
async def test_old_names_required_values_and_hazards_of_a_real_agent() -> None:
    agent = await program.describe(program.find("fence_apc_snmp"))

    def told(plug: str | None = "7", **given: str) -> dict[str, str]:
        device = FenceDevice(agent="fence_apc_snmp", plug=plug, options=given)
        return {p.key: p.cure for p in options.problems(agent, device, "f", {})}

    assert told(ip="10.0.0.1") == told(ipaddr="10.0.0.1") == {}
    assert told(ipaddr="a", ip="b") == {"f.options.ip": "give one of the two"}
    assert set(told()) == {"f.options.ip"}
    assert told(ipp="a") == {
        "f.options.ipp": "agents ignore what they do not know: did you mean `ip`?",
        "f.options.ip": told()["f.options.ip"],
    }
    assert set(told(ip="a", snmp_version="9")) == {"f.options.snmp_version"}
    assert set(told(ip="a", power_wait="soon")) == {"f.options.power_wait"}
    assert set(told(ip="a\naction=on")) == {"f.options.ip"}
    assert set(told(ip="a", port="8")) == {"f.options.port"}
    assert told(None, ip="a", port="8") == {}
    device = FenceDevice(agent="a", options={"ipaddr": "10.0.0.1", "login": "u", "port": "8"})
    sent = options.order(agent, device, {"passwd": "secret"}, "alpha", "boot-1")
    assert sent == {"ip": "10.0.0.1", "username": "u", "password": "secret", "plug": "8"}


@needs_agents
async def test_a_misspelt_plug_may_not_count_as_off() -> None:
    agent = await program.describe(program.find("fence_virsh"))
    given = {"ip": "a", "username": "u", "missing_as_off": "1"}
    device = FenceDevice(agent="fence_virsh", options=given)
    assert [p.key for p in options.problems(agent, device, "f", {})] == ["f.options.missing_as_off"]


@needs_agents
async def test_the_hypervisors_node_is_not_taken_for_ours() -> None:
    """fence_pve knows `nodename`, and means by it the hypervisor."""
    agent = await program.describe(program.find("fence_pve"))
    assert options.target(agent, FenceDevice(agent="fence_pve"), "alpha") == {"plug": "alpha"}


@needs_agents
async def test_the_example_for_real_hosts_is_what_the_agents_take() -> None:
    assert await check_devices(load(ROOT / "docs/examples/fencing.toml")) == Checked()


@needs_agents
def test_config_check_names_file_key_and_cure(tmp_path: Path) -> None:
    path = tmp_path / "cluster.toml"
    text = (ROOT / "docs/examples/fencing.toml").read_text()
    path.write_text(text.replace("lanplus", "lanpluss"))
    command = [sys.executable, "-m", "holdfast.console", "config", "check", str(path), "--json"]
    done = subprocess.run(command, capture_output=True, timeout=60, check=False)
    told = json.loads(done.stdout)
    assert (done.returncode, told["file"], told["unchecked"]) == (2, str(path), [])
    (problem,) = told["problems"]
    assert problem == {
        "key": "nodes.alpha.fence[0].options.lanpluss",
        "problem": "fence_ipmilan does not know `lanpluss`",
        "cure": "agents ignore what they do not know: did you mean `lanplus`?",
    }


# --- fence_dummy: a file is the switch -----------------------------------------------------------


@needs_agents
async def test_fence_dummy_end_to_end(tmp_path: Path) -> None:
    switches = [tmp_path / "a", tmp_path / "b"]
    for switch in switches:
        switch.write_text("on")
    devices = [
        FenceDevice(agent="fence_dummy", level=1, options={"status_file": str(switch)})
        for switch in switches
    ]
    both = node(*devices)
    assert (await fence("alpha", "b", both, "status")).outcome == "on"
    switches[0].write_text("off")
    assert (await fence("alpha", "b", both, "status")).outcome == "on", "one of two supplies"
    done = await fence("alpha", "b", both, "off")
    assert done.outcome == "off"
    assert done.devices == ("fence_dummy alpha", "fence_dummy alpha")
    assert [switch.read_text() for switch in switches] == ["off", "off"]


# --- fence_ipmilan: a management board behind IPMI -----------------------------------------------

LAN = """\
name "board"
set_working_mc 0x20
  startlan 1
    addr 127.0.0.1 {port}
    priv_limit admin
    allowed_auths_callback none md2 md5 straight
    allowed_auths_user none md2 md5 straight
    allowed_auths_operator none md2 md5 straight
    allowed_auths_admin none md2 md5 straight
    guid a123456789abcdefa123456789abcdef
  endlan
  chassis_control "{control} 0x20"
  user 2 true "holdfast" "on-one-line" admin 10 none md2 md5 straight
"""
COMMANDS = """\
mc_setbmc 0x20
mc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02
mc_enable 0x20
"""
CONTROL = """\
#!/bin/sh
# The mains of the simulated machine: its power is a file.
shift
while test $# -gt 0; do
  case "$1" in
    get) echo "power:$(cat {power})"; exit 0 ;;
    set) shift 2; {set} ;;
  esac
  shift
done
"""


class Board:
    """OpenIPMI's simulator as the management board of one machine."""

    def __init__(self, folder: Path, *, stuck: bool = False) -> None:
        self.folder, self.power = folder, folder / "power"
        self.power.write_text("1")
        control = folder / "control"
        deed = "exit 0" if stuck else f"echo $1 > {self.power}"
        control.write_text(CONTROL.replace("{power}", str(self.power)).replace("{set}", deed))
        control.chmod(0o755)
        (self.port,) = free_ports(1)
        (folder / "lan.conf").write_text(LAN.format(port=self.port, control=control))
        (folder / "commands").write_text(COMMANDS)
        secret = folder / "secret"
        secret.write_text("username=holdfast\npassword=on-one-line\n")
        self.device = FenceDevice(
            agent="fence_ipmilan",
            options={"ip": "127.0.0.1", "ipport": str(self.port), "lanplus": "1", "cipher": "3"},
            secret_file=str(secret),
        )

    async def start(self) -> asyncio.subprocess.Process:
        with (self.folder / "log").open("wb") as log:
            return await asyncio.create_subprocess_exec(
                "ipmi_sim", "-n", "-c", str(self.folder / "lan.conf"),
                "-f", str(self.folder / "commands"), "-s", str(self.folder / "state"),
                stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip

    async def answers(self) -> bool:
        return (await fence("alpha", "b", node(self.device), "status")).outcome != "failed"


@pytest.fixture
async def board(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Board]:
    if shutil.which("ipmi_sim") is None or shutil.which("ipmitool") is None:
        pytest.skip("Debian's packages openipmi and ipmitool are not installed")
    made = Board(tmp_path, stuck=getattr(request, "param", False))
    process = await made.start()
    try:
        async with asyncio.timeout(60):
            while not await made.answers():
                assert process.returncode is None, (tmp_path / "log").read_text()
        made.process = process  # type: ignore[attr-defined]
        yield made
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@needs_agents
async def test_fence_ipmilan_switches_a_machine_off_over_ipmi(board: Board) -> None:
    assert (await fence("alpha", "b", node(board.device), "status")).outcome == "on"
    done = await fence("alpha", "b", node(board.device), "off")
    assert (done.outcome, board.power.read_text().strip()) == ("off", "0"), done
    assert done.devices == ("fence_ipmilan alpha at 127.0.0.1",)
    assert "on-one-line" not in repr(done)


@needs_agents
@pytest.mark.parametrize("board", [True], indirect=True, ids=["stuck"])
async def test_a_board_that_obeys_and_does_nothing_proves_nothing(board: Board) -> None:
    device = FenceDevice(
        agent=board.device.agent,
        options={**board.device.options, "power_timeout": "2"},
        secret_file=board.device.secret_file,
    )
    done = await fence("alpha", "b", node(device), "off")
    assert done.outcome == "failed", done
    assert board.power.read_text() == "1"


@needs_agents
async def test_a_board_that_stops_answering_is_left_to_its_time_out(board: Board) -> None:
    board.process.send_signal(signal.SIGSTOP)  # type: ignore[attr-defined]
    try:
        device = FenceDevice(
            agent=board.device.agent,
            options=board.device.options,
            secret_file=board.device.secret_file,
            timeout=2.0,
        )
        done = await fence("alpha", "b", node(device), "off")
    finally:
        board.process.send_signal(signal.SIGCONT)  # type: ignore[attr-defined]
    assert done.outcome == "failed"
    assert "no answer within 2 s" in done.detail
    await until(lambda: not list(_tools(board.port)), within=IN_TIME, what="ipmitool is killed")


def _tools(port: int) -> Iterator[int]:
    """Living ipmitool processes that talk to the board."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            line = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        program, *arguments = line.split(b"\0")
        if program.endswith(b"ipmitool") and str(port).encode() in arguments:
            yield int(entry.name)
