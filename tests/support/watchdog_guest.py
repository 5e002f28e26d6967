"""Run inside a guest: real hands with a watchdog of its kernel. The console tells what was done.

`python -m tests.support.watchdog_guest SCENE DEVICE`. The voters are real, nats-server too.
"""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

from holdfast.bus import Bus
from holdfast.clock import monotonic
from holdfast.config.fencing import longest_watchdog
from holdfast.config.load import load
from holdfast.wire import WatchdogReport
from tests.support.hands_armed import answered, armed_start
from tests.support.hands_host import PATIENCE, Host, host
from tests.support.nats import NatsServer, free_ports
from tests.support.waiting import until

FOLDER = Path("/run/alpha")
DRIVER_LOG = Path("/run/driver.log")
_GROUPS = """
[nodes.alpha.watchdog]
device = "{device}"
[groups.web]
nodes = ["alpha", "beta"]
[groups.web.resources.server]
kind = "process"
command = ["/bin/sleep", "1000"]
environment = {{ TEST_FOLDER = "/run/alpha" }}
"""
_STAYS = """
[groups.web.resources.mount]
kind = "command"
after = ["server"]
start = ["touch", "/run/mounted"]
stop = ["true"]
probe = ["sh", "-c", "test -e /run/mounted || exit 7"]
"""


def say(text: str) -> None:
    """To the test outside."""
    sys.stdout.write(f"guest: {text}\n")
    sys.stdout.flush()


async def report(alpha: Host, armed: bool) -> WatchdogReport:
    """The next pulse's word on the watchdog, which is armed or not."""
    alpha.pulses.clear()

    def said() -> bool:
        watchdog = alpha.pulses[-1].watchdog if alpha.pulses else None
        return watchdog is not None and watchdog.armed == armed

    await until(said, within=PATIENCE, what=f"armed: {armed}; {alpha.pulses[-1:]}; {alpha.log()}")
    watchdog = alpha.pulses[-1].watchdog
    assert watchdog is not None
    return watchdog


def heard() -> list[str]:
    """What the driver of the test's was told, line by line."""
    return DRIVER_LOG.read_text().splitlines()


async def longer_than_it_counts() -> None:
    """If anything still counted, and nobody petted it, the guest would be reset meanwhile."""
    await asyncio.sleep(1.25 * longest_watchdog(load(FOLDER / "cluster.toml")))


async def tick() -> None:
    """As long as this guest is there."""
    while True:
        say("tick")
        await asyncio.sleep(0.1)


async def lives(alpha: Host) -> None:
    """Petted, disarmed by a stop, taken over by a successor."""
    await armed_start(alpha, 1, "a")
    await report(alpha, True)
    await longer_than_it_counts()
    say("alive: petted")
    await alpha.done("stop", 1, "b")
    await report(alpha, False)
    await alpha.end(signal.SIGKILL)
    await longer_than_it_counts()
    say("alive: it was disarmed, and nobody is there to pet it")
    alpha.start()
    await alpha.group("stopped")
    await alpha.leased()
    await armed_start(alpha, 2, "c")
    await report(alpha, True)
    await alpha.end(signal.SIGKILL)
    alpha.start()
    await alpha.group("active")
    await report(alpha, True)
    await longer_than_it_counts()
    say("alive: a successor took it over")


async def cut_off(alpha: Host) -> None:
    """Nobody renews their lease: the hands stop what runs and disarm it, before it acts."""
    await armed_start(alpha, 1, "a")
    await report(alpha, True)
    alpha.voters.silent = {"beta", "witness"}
    await alpha.group("stopped")
    await report(alpha, False)
    await longer_than_it_counts()
    say("alive: stopped and disarmed before the lease ended")


async def killed(alpha: Host) -> None:
    """The hands die while they guard something."""
    await armed_start(alpha, 1, "a")
    await report(alpha, True)
    await alpha.end(signal.SIGKILL)
    say("the fault")
    await tick()


async def frozen(alpha: Host) -> None:
    """They stand still."""
    await armed_start(alpha, 1, "a")
    await report(alpha, True)
    say("the fault")
    os.kill(alpha.service_pid, signal.SIGSTOP)
    await tick()


async def unrenewed(alpha: Host) -> None:
    """They are well, and what they cannot stop must not outlive the lease that nobody renews."""
    await armed_start(alpha, 1, "a")
    await report(alpha, True)
    alpha.voters.silent = {"beta", "witness"}
    say("the fault")
    await tick()


async def nowayout(alpha: Host) -> None:
    """One that nothing disarms serves for nothing, and resets nothing while the hands are there."""
    reply = await answered(alpha, 1, "a")
    say(f"refused: {reply.error}")
    told = await report(alpha, False)
    assert "nowayout" in told.problem, told
    alpha.voters.silent = {"beta", "witness"}
    await longer_than_it_counts()
    await longer_than_it_counts()
    say("alive: petted, lease or not")
    await alpha.end(signal.SIGKILL)
    say("the fault")
    await tick()


async def too_long(alpha: Host) -> None:
    """A driver that grants more than the lease leaves."""
    reply = await answered(alpha, 1, "a")
    say(f"refused: {reply.error}")
    told = await report(alpha, False)
    assert "it takes 8 s" in told.problem, told
    words = [line.partition(" ")[2] for line in heard()]
    assert words[:4] == ["opened", "asked for 6 s", "wrote V", "closed"], words


async def shorter(alpha: Host) -> None:
    """A driver that grants less: that is told, and what it is petted by."""
    await armed_start(alpha, 1, "a")
    told = await report(alpha, True)
    assert (told.timeout, told.problem) == (4.0, ""), told
    assert "the watchdog takes at most 4 of 6 s" in alpha.log()
    alpha.voters.silent = {"beta", "witness"}
    silent = monotonic()
    await alpha.group("stopped")
    await report(alpha, False)
    lines = heard()
    assert lines[-2].endswith("wrote V"), lines
    pets = [float(line.split()[0]) for line in lines if line.endswith("petted")]
    say(f"last petted {pets[-1] - silent:.2f} s after the last renewal")


SCENES: dict[str, Callable[[Host], Awaitable[None]]] = {
    one.__name__: one
    for one in (lives, cut_off, killed, frozen, unrenewed, nowayout, too_long, shorter)
}


async def main(scene: str, device: str) -> None:
    """One host, one scene."""
    # Where it has to be quicker than the watchdog, it has more than a third of a second for it.
    profile = "tolerant" if scene == "cut_off" else "standard"
    server = NatsServer("one", free_ports(1)[0], Path("/run/nats"), "", "")
    server.start()
    bus = Bus([server.url], name="test", inbox="_INBOX_test")
    await bus.connect()
    groups = _GROUPS.format(device=device) + (_STAYS if scene == "unrenewed" else "")
    try:
        async with host(bus, server, FOLDER, groups, profile) as alpha:
            say("ready")
            await SCENES[scene](alpha)
    finally:
        await bus.close()
        server.kill()


def drive(name: str, least: str, most: str) -> None:
    """A driver of the test's, in this guest, until it is switched off."""
    with DRIVER_LOG.open("wb") as log:
        argv = [sys.executable, "-m", "tests.support.watchdog_driver", name, least, most]
        subprocess.Popen(argv, stdout=log, stderr=log)


if __name__ == "__main__":
    if len(sys.argv) > 3:
        drive(Path(sys.argv[2]).name, *sys.argv[3:])
    asyncio.run(main(sys.argv[1], sys.argv[2]))
