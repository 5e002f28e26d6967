"""The fence agent against real sessions of real processes."""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.fence_host.processes import Process, living_members, parse_stat, process

DEADLINE = 10.0
AGENT = [sys.executable, "-m", "holdfast.fence_host"]
# Prints each pid of the host, then waits for ever. Children end only by a signal.
PRELUDE = """
import os, signal, sys, threading
def say(what): os.write(1, f"{what}\\n".encode())
def child(body):
    pid = os.fork()
    if pid == 0:
        body(); signal.pause(); os._exit(0)
    return pid
"""


class SimulatedHost:
    """A session whose leader runs `script`; `pids` are those that it said before "ready"."""

    def __init__(self, run_dir: Path, script: str, name: str = "alpha") -> None:
        self.leader = subprocess.Popen(
            [sys.executable, "-c", PRELUDE + script],
            stdout=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        self.folder = run_dir / name
        self.folder.mkdir()
        assert self.leader.stdout is not None
        self.pids = [self.leader.pid]
        for line in self.leader.stdout:
            if line == b"ready\n":
                break
            self.pids.append(int(line))
        seen = process(self.leader.pid)
        assert seen is not None
        self.ticks = seen.start_ticks
        self.record(self.leader.pid, self.ticks)

    def record(self, session: object, ticks: object, boot: str = "boot-1") -> None:
        text = json.dumps({"boot_id": boot, "session": session, "leader_start_ticks": ticks})
        (self.folder / "host.json").write_text(text)

    def end(self) -> None:
        for pid in self.pids[1:]:
            one = process(pid)
            if one is not None and one.session == self.leader.pid:
                os.kill(pid, signal.SIGKILL)
        self.leader.kill()
        self.leader.wait(DEADLINE)
        assert self.leader.stdout is not None
        self.leader.stdout.close()


@contextlib.contextmanager
def host(run_dir: Path, script: str = "") -> Iterator[SimulatedHost]:
    one = SimulatedHost(run_dir, script + '\nsay("ready")\nsignal.pause()\n')
    try:
        yield one
    finally:
        one.end()


def run_agent(text: str, *arguments: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [*AGENT, *arguments],
        input=text,
        capture_output=True,
        text=True,
        timeout=DEADLINE * 2,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def order(run_dir: Path, action: str, **more: str) -> tuple[int, str, str]:
    values = {"action": action, "plug": "alpha", "run_dir": str(run_dir)} | more
    return run_agent("".join(f"{key}={value}\n" for key, value in values.items()))


def test_off_ends_every_process_group_of_the_session(tmp_path: Path) -> None:
    script = "say(child(lambda: os.setpgid(0, 0)))\nsay(child(lambda: None))"
    stubborn = "\nsay(child(lambda: signal.signal(signal.SIGTERM, signal.SIG_IGN)))"
    with host(tmp_path, script + stubborn) as alpha:
        assert len(living_members(alpha.leader.pid)) == 4
        assert order(tmp_path, "status")[:2] == (0, "Status: ON\n")
        assert order(tmp_path, "off", boot_id="boot-1")[0] == 0
        assert living_members(alpha.leader.pid) == []
        assert all(not (one := process(pid)) or one.dead for pid in alpha.pids)
        assert order(tmp_path, "status")[:2] == (2, "Status: OFF\n")
        assert order(tmp_path, "off")[0] == 0


def test_a_grandchild_that_outlived_the_leader_still_is_the_host(tmp_path: Path) -> None:
    grandchild = "child(lambda: (say(child(lambda: None)), os._exit(0)))"
    with host(tmp_path, grandchild + "\nos.wait()") as alpha:
        alpha.leader.kill()
        alpha.leader.wait(DEADLINE)
        assert process(alpha.leader.pid) is None
        assert [one.pid for one in living_members(alpha.leader.pid)] == [alpha.pids[1]]
        assert order(tmp_path, "status")[0] == 0
        assert order(tmp_path, "off")[0] == 0
        assert order(tmp_path, "status")[0] == 2


def test_a_zombie_is_dead(tmp_path: Path) -> None:
    with host(tmp_path) as alpha:
        pidfd = os.pidfd_open(alpha.leader.pid)
        alpha.leader.send_signal(signal.SIGKILL)
        select.select([pidfd], [], [], DEADLINE)
        os.close(pidfd)
        zombie = process(alpha.leader.pid)
        assert zombie is not None
        assert zombie.dead
        assert order(tmp_path, "status")[0] == 2
        assert order(tmp_path, "off")[0] == 0


def test_a_process_whose_first_thread_ended_is_alive(tmp_path: Path) -> None:
    """/proc shows it as a zombie, while its other threads go on."""
    script = """
import ctypes
def end_first_thread():
    ended = threading.Event()
    threading.Thread(target=lambda: (watch(), say("ready"), threading.Event().wait())).start()
    ctypes.CDLL(None).syscall({"x86_64": 60, "aarch64": 93}[os.uname().machine], 0)
def watch():
    while open(f"/proc/{os.getpid()}/stat").read().rpartition(") ")[2][0] != "Z": pass
end_first_thread()
"""
    with host(tmp_path, script) as alpha:
        assert order(tmp_path, "status")[0] == 0
        assert order(tmp_path, "off")[0] == 0
        assert order(tmp_path, "status")[0] == 2
        assert alpha.leader.wait(DEADLINE) == -signal.SIGKILL


def test_another_boot_is_left_alone(tmp_path: Path) -> None:
    with host(tmp_path) as alpha:
        for action in ("off", "status"):
            code, _, error = order(tmp_path, action, boot_id="boot-0")
            assert (code, "order is for boot boot-0, host runs boot boot-1" in error) == (1, True)
        assert alpha.leader.poll() is None


def test_a_leader_with_another_start_time_is_a_stranger(tmp_path: Path) -> None:
    with host(tmp_path, "say(child(lambda: None))") as stranger:
        stranger.record(stranger.leader.pid, stranger.ticks - 1)
        assert order(tmp_path, "status")[0] == 2
        assert order(tmp_path, "off")[0] == 0
        assert len(living_members(stranger.leader.pid)) == 2


def test_processes_outside_the_session_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "others").mkdir()
    with host(tmp_path), host(tmp_path / "others") as other:
        assert order(tmp_path, "off")[0] == 0
        assert other.leader.poll() is None
        assert order(tmp_path / "others", "status")[0] == 0


def test_the_agent_does_not_kill_its_own_session(tmp_path: Path) -> None:
    command = f"exec {sys.executable} -m holdfast.fence_host"
    with subprocess.Popen(
        ["sh", "-c", command],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as agent:
        own = process(agent.pid)
        assert own is not None
        (tmp_path / "alpha").mkdir()
        record = {"boot_id": "b", "session": agent.pid, "leader_start_ticks": own.start_ticks}
        (tmp_path / "alpha" / "host.json").write_text(json.dumps(record))
        _, error = agent.communicate(
            f"action=off\nplug=alpha\nrun_dir={tmp_path}\n", timeout=DEADLINE
        )
    assert (agent.returncode, "itself part of this host" in error) == (1, True)


@pytest.mark.skipif(os.geteuid() != 0, reason="another user's process needs root")
def test_off_is_a_failure_when_a_process_may_not_be_killed(tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "60"], start_new_session=True, user=65534) as foreign:
        try:
            seen = process(foreign.pid)
            assert seen is not None
            (tmp_path / "alpha").mkdir()
            record = {
                "boot_id": "b",
                "session": foreign.pid,
                "leader_start_ticks": seen.start_ticks,
            }
            (tmp_path / "alpha" / "host.json").write_text(json.dumps(record))
            without_right = ["setpriv", "--bounding-set=-kill", *AGENT]
            done = subprocess.run(
                without_right,
                input=f"action=off\nplug=alpha\nrun_dir={tmp_path}\n",
                capture_output=True,
                text=True,
                timeout=DEADLINE,
                check=False,
            )
            assert (done.returncode, "not allowed to kill" in done.stderr) == (1, True)
            assert foreign.poll() is None
            assert order(tmp_path, "status")[0] == 0
        finally:
            foreign.kill()


@pytest.mark.parametrize(
    "record",
    [
        "",
        "{",
        "[]",
        '{"boot_id": "b", "session": 0, "leader_start_ticks": 1}',
        '{"boot_id": "b", "session": "5", "leader_start_ticks": 1}',
        '{"boot_id": "", "session": 5, "leader_start_ticks": 1}',
        '{"boot_id": "b", "session": 5}',
    ],
)
def test_a_record_that_makes_no_sense_is_unknown(tmp_path: Path, record: str) -> None:
    (tmp_path / "alpha").mkdir()
    assert order(tmp_path, "status")[0] == 1
    (tmp_path / "alpha" / "host.json").write_text(record)
    for action in ("status", "off", "monitor"):
        code, output, error = order(tmp_path, action)
        assert (code, output) == (1, "")
        assert "host.json" in error
        assert "cure:" in error


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "action: is missing"),
        ("plug=alpha\n", "action: is missing"),
        ("action=\n", "action: is missing"),
        ("action=on\nplug=alpha\nrun_dir=/x\n", "on is not supported"),
        ("action=reboot\nplug=alpha\nrun_dir=/x\n", "reboot is not supported"),
        ("action=explode\n", "unknown action"),
        ("action=off\nrun_dir=/x\n", "plug: is missing"),
        ("action=off\nplug=alpha\n", "run_dir: is missing"),
        ("action=off\nplug=../alpha\nrun_dir=/x\n", "not a node name"),
        ("action=off\nplug=alpha\nplug=beta\nrun_dir=/x\n", "given twice"),
        ("action=off\nplug=alpha\nrun_dir=/x\nboot_id=\n", "boot_id: is empty"),
        ("action=off\nplug=alpha\nrun_dir=/x\ntimeout=nan\n", "not usable"),
        ("action=status\nplug=alpha\nrun_dir=/x\npassword=y\n", "unknown key 'password'"),
        ("action off\n", "not key=value"),
        ("action=status\n" + "#" * 70000, "too long"),
    ],
)
def test_an_order_that_is_not_understood_is_refused(text: str, reason: str) -> None:
    code, output, error = run_agent(text)
    assert (code, output) == (1, "")
    assert reason in error
    assert "cure:" in error


def test_arguments_are_refused() -> None:
    code, _, error = run_agent("action=metadata\n", "-o", "metadata")
    assert (code, "standard input" in error) == (1, True)


def test_names_for_the_plug_in_their_order(tmp_path: Path) -> None:
    with host(tmp_path):
        common = f"# a comment\n\n action = status \nrun_dir={tmp_path}\n"
        assert run_agent(common + "port=alpha\n")[0] == 0
        assert run_agent(common + "nodename=alpha\n")[0] == 0
        assert run_agent(common + "nodename=other\nplug=alpha\n")[0] == 0
        assert run_agent(common + "nodename=alpha\nplug=other\n")[0] == 1


def test_list_monitor_and_validate(tmp_path: Path) -> None:
    with host(tmp_path):
        (tmp_path / "not-a-host").mkdir()
        assert order(tmp_path, "list")[:2] == (0, "alpha,\n")
        assert order(tmp_path, "monitor")[0] == 0
        assert order(tmp_path, "monitor", plug="beta")[0] == 1
        assert order(tmp_path, "validate-all", plug="beta")[0] == 0
        assert order(tmp_path / "missing", "validate-all")[0] == 1


def test_the_metadata_names_every_key_and_action_that_works() -> None:
    code, output, _ = run_agent("action=metadata\n")
    assert code == 0
    agent = ET.fromstring(output)
    assert (agent.tag, agent.get("name")) == ("resource-agent", "fence_holdfast_host")
    names = [one.get("name") for one in agent.iterfind("parameters/parameter")]
    assert names == ["action", "plug", "port", "nodename", "run_dir", "boot_id", "timeout"]
    for one in agent.iterfind("parameters/parameter"):
        assert [child.tag for child in one] == ["getopt", "content", "shortdesc"]
    actions = [one.get("name") for one in agent.iterfind("actions/action")]
    assert actions == ["off", "status", "monitor", "list", "metadata", "validate-all"]


@pytest.mark.parametrize("name", ["plain", "with space", "a) S 1 1 (b", ") ) R 7 7 7", "(", ""])
def test_a_command_name_can_not_pretend_to_be_fields(name: str) -> None:
    rest = "S 1 40 50 0 -1 4194304 100 0 0 0 0 0 0 0 20 0 1 0 203634 3133440 413"
    assert parse_stat(f"60 ({name}) {rest}\n") == Process(60, 50, 203634, dead=False)


def test_an_awkward_name_of_a_real_process(tmp_path: Path) -> None:
    rename = 'open("/proc/self/comm", "w").write(") Z 1 (x")'
    with host(tmp_path, rename) as alpha:
        assert Path(f"/proc/{alpha.leader.pid}/comm").read_text() == ") Z 1 (x\n"
        assert order(tmp_path, "status")[0] == 0
        assert order(tmp_path, "off")[0] == 0
