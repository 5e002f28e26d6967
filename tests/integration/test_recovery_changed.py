"""What the cluster file changes while it runs is stopped as it was started."""

import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.buses import MakeBus
from tests.support.hands_host import BOOT, Host, host, workloads
from tests.support.nats import NatsServer

GROUP = """
[groups.web]
nodes = ["alpha", "beta"]
[groups.web.resources.server]
"""
FLAG = """kind = "command"
start = ["/bin/sh", "-c", "echo $HOLDFAST_EPOCH > {flag}"]
stop = ["/bin/sh", "-c", "{stop}"]
probe = ["/bin/sh", "-c", "test -e {flag} || exit 7"]
"""
PROCESS = """kind = "process"
command = ["/bin/sleep", "1001"]
environment = {{ TEST_FOLDER = "{folder}" }}
"""


class Web:
    """The group on alpha, whose only resource is written anew while it runs."""

    def __init__(self, host: Host, folder: Path) -> None:
        self.host, self.folder = host, folder
        self.here, self.there = folder / "here", folder / "there"

    def flag(self, at: Path, stop: str = "") -> str:
        """A resource of commands, which runs while a file is there."""
        return FLAG.format(flag=at, stop=stop or f"rm {at}")

    async def becomes(
        self, resource: str, service: signal.Signals = signal.SIGTERM, boot: str = BOOT
    ) -> None:
        """The service again, with a file that has the resource so."""
        config = self.folder / "cluster.toml"
        before = config.read_text()
        config.write_text(before[: before.index(GROUP)] + GROUP + resource)
        await self.host.end(service)
        self.host.start(boot)
        await self.host.leased()


@pytest.fixture
async def web(
    nats_cluster: list[NatsServer], make_bus: MakeBus, tmp_path: Path
) -> AsyncIterator[Web]:
    """It runs at epoch 1: the file `here` is there."""
    bus = await make_bus(nats_cluster)
    groups = GROUP + FLAG.format(flag=tmp_path / "here", stop=f"rm {tmp_path / 'here'}")
    # A restart must not take longer than the lease, on a busy machine, too.
    async with host(bus, nats_cluster[0], tmp_path, groups, "tolerant") as made:
        await made.done("start", 1, "a")
        await made.group("active")
        assert (tmp_path / "here").exists()
        yield Web(made, tmp_path)


async def test_other_commands_do_not_look_past_what_the_old_ones_started(web: Web) -> None:
    await web.becomes(web.flag(web.there))
    await web.host.group("active")
    await web.becomes(web.flag(web.there))  # remembered by whoever comes next
    assert (await web.host.done("stop", 1, "b")).error == ""
    assert not web.here.exists()
    await web.host.done("start", 2, "c")
    assert web.there.read_text() == "2\n"
    assert (await web.host.done("stop", 2, "d")).error == ""
    assert not web.there.exists()


async def test_from_its_next_start_on_the_new_commands_alone_count(web: Web) -> None:
    await web.becomes(web.flag(web.there))
    await web.host.done("stop", 1, "b")
    await web.host.done("start", 2, "c")
    web.here.write_text("somebody else's")
    await web.becomes(web.flag(web.there), signal.SIGKILL)
    assert (await web.host.done("stop", 2, "d")).error == ""
    assert web.here.exists()
    assert not web.there.exists()


async def test_after_a_reboot_the_old_commands_may_be_gone(web: Web) -> None:
    shell = web.folder / "shell"
    shell.symlink_to("/bin/sh")
    await web.host.done("stop", 1, "b")
    await web.becomes(web.flag(web.here).replace("/bin/sh", str(shell)))
    await web.host.done("start", 2, "c")
    shell.unlink()
    await web.becomes(web.flag(web.there), boot="boot-2")
    await web.host.group("stopped")


async def test_a_stop_command_that_is_mended_stops_it(web: Web) -> None:
    await web.becomes(web.flag(web.here, "false"))
    await web.host.done("stop", 1, "b")
    await web.host.done("start", 2, "c")
    assert "exited" in (await web.host.done("stop", 2, "d")).error
    await web.becomes(web.flag(web.here))
    assert (await web.host.done("stop", 2, "e")).error == ""
    assert not web.here.exists()


async def test_another_kind_does_not_look_past_it_either(web: Web) -> None:
    await web.becomes(PROCESS.format(folder=web.folder))
    await web.host.group("active")
    assert (await web.host.done("stop", 1, "b")).error == ""
    assert not web.here.exists()
    await web.host.done("start", 2, "c")
    assert len(workloads(web.folder)) == 1
    await web.becomes(web.flag(web.there))
    assert (await web.host.done("stop", 2, "d")).error == ""
    assert workloads(web.folder) == []
