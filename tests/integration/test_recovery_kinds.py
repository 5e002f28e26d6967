"""Resources of kind `command` and `volume` in a real recovery service, with real storage."""

import json
from pathlib import Path

from holdfast.events import decode_data
from holdfast.events.hands import GroupStopped, ResourceFailed, ResourceStarted, ResourceStopped
from holdfast.events.health import HealthSignal
from holdfast.events.storage import VolumeActivated, VolumeReleased
from tests.support.buses import MakeBus
from tests.support.hands_host import PATIENCE, Host, host, kill_workloads
from tests.support.nats import NatsServer
from tests.support.waiting import until

COMMAND = """
[groups.web]
nodes = ["alpha", "beta"]
[groups.web.resources.flag]
kind = "command"
start = ["/bin/sh", "-c", "echo $HOLDFAST_EPOCH > {folder}/flag"]
stop = ["/bin/sh", "-c", "{stop}"]
probe = ["/bin/sh", "-c", "test -e {folder}/flag || exit 7"]
stop_timeout = {timeout}
"""
VOLUME = """
[volumes.data]
driver = "directory"
path = "{folder}/volume"
probe_interval = 0.1
[groups.web]
nodes = ["alpha", "beta"]
[groups.web.resources.disk]
kind = "volume"
volume = "data"
[groups.web.resources.server]
kind = "process"
command = ["/bin/sleep", "1000"]
environment = {{ TEST_FOLDER = "{folder}" }}
after = ["disk"]
"""


async def test_a_command_resource(
    nats_server: NatsServer, make_bus: MakeBus, tmp_path: Path
) -> None:
    groups = COMMAND.format(folder=tmp_path, stop=f"rm {tmp_path}/flag", timeout=5.0)
    async with host(await make_bus([nats_server]), nats_server, tmp_path, groups) as made:
        assert (await made.done("start", 4, "a")).error == ""
        assert (tmp_path / "flag").read_text() == "4\n"
        started = decode_data(await made.event(ResourceStarted))
        assert isinstance(started, ResourceStarted)
        assert started.instance == "epoch:4.1"
        assert (await made.done("stop", 4, "b")).error == ""
        assert not (tmp_path / "flag").exists()


async def test_a_stop_command_that_does_nothing_is_not_believed(
    nats_server: NatsServer, make_bus: MakeBus, tmp_path: Path
) -> None:
    groups = COMMAND.format(folder=tmp_path, stop="true", timeout=5.0)
    async with host(await make_bus([nats_server]), nats_server, tmp_path, groups) as made:
        await made.done("start", 1, "a")
        reply = await made.done("stop", 1, "b")
        assert "after the stop command, the probe exited" in reply.error
        assert (await made.group("unknown")).event == (await made.event(ResourceFailed)).id
        assert made.all(GroupStopped) == []


async def test_a_stop_command_that_hangs_is_killed_and_not_believed(
    nats_server: NatsServer, make_bus: MakeBus, tmp_path: Path
) -> None:
    groups = COMMAND.format(folder=tmp_path, stop="sleep 1000 & wait", timeout=0.5)
    async with host(await make_bus([nats_server]), nats_server, tmp_path, groups) as made:
        await made.done("start", 1, "a")
        assert "was killed" in (await made.done("stop", 1, "b")).error
        await made.group("unknown")


async def test_what_runs_before_the_first_order_is_stopped(
    nats_server: NatsServer, make_bus: MakeBus, tmp_path: Path
) -> None:
    (tmp_path / "flag").touch()
    groups = COMMAND.format(folder=tmp_path, stop=f"rm {tmp_path}/flag", timeout=5.0)
    async with host(await make_bus([nats_server]), nats_server, tmp_path, groups) as made:
        assert not (tmp_path / "flag").exists()
        stopped = await made.event(ResourceStopped)
        root = next(e for e in made.all(HealthSignal) if e.id == stopped.causationid)
        assert root.causationid is None


async def volume_signal(made: Host, state: str) -> HealthSignal:
    """Wait for such a signal of the storage service."""

    def found() -> list[HealthSignal]:
        decoded = [decode_data(event) for event in made.all(HealthSignal)]
        signals = [data for data in decoded if isinstance(data, HealthSignal)]
        return [data for data in signals if (data.probe, data.state) == ("volume", state)]

    await until(lambda: bool(found()), within=PATIENCE, what=f"volume {state}")
    return found()[-1]


async def test_a_volume_is_activated_at_the_epoch_and_its_health_is_told(
    nats_server: NatsServer, make_bus: MakeBus, tmp_path: Path
) -> None:
    volume = tmp_path / "volume"
    volume.mkdir()
    bus = await make_bus([nats_server])
    groups = VOLUME.format(folder=tmp_path)
    made = Host(bus, nats_server, tmp_path, groups)
    await made.listen()
    storage = made.start(service="storage_replication")
    try:
        made.start()
        await made.group("stopped")
        await made.leased()
        assert (await made.done("start", 9, "a")).error == ""
        mark = json.loads((volume / ".holdfast-epoch").read_bytes())
        assert (mark["epoch"], mark["node"]) == (9, "alpha")
        activated = await made.event(VolumeActivated)
        assert activated.correlationid == "incident"

        volume.rename(tmp_path / "gone")
        failed = await volume_signal(made, "failed")
        assert failed.layer == "storage"
        (tmp_path / "gone").rename(volume)
        await volume_signal(made, "ok")
        assert (await made.done("stop", 9, "b")).error == ""
        await made.event(VolumeReleased)

        mark["epoch"] = 20
        (volume / ".holdfast-epoch").write_text(json.dumps(mark | {"node": "beta"}))
        reply = await made.done("start", 10, "c")
        assert "epoch 10 is past: beta activated it at epoch 20" in reply.error
    finally:
        made.kill()
        storage.terminate()
        storage.wait(PATIENCE)
        kill_workloads(tmp_path)
