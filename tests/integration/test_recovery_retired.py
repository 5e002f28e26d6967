"""What is taken out of the cluster file while it runs: it is told of, and ends with the lease."""

import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from holdfast.events.hands import RecoveryExhausted
from tests.support.buses import MakeBus
from tests.support.hands_host import PATIENCE, Host, host, workloads
from tests.support.nats import NatsServer
from tests.support.waiting import until

NODES = 'nodes = ["alpha", "beta"]'
GROUP = f"""
[groups.web]
{NODES}
[groups.web.resources.disk]
kind = "process"
command = ["/bin/sleep", "1001"]
environment = {{{{ TEST_FOLDER = "{{folder}}" }}}}

[groups.web.resources.server]
kind = "process"
after = ["disk"]
command = ["/bin/sleep", "1002"]
environment = {{{{ TEST_FOLDER = "{{folder}}" }}}}
"""


@pytest.fixture
async def web(
    nats_cluster: list[NatsServer], make_bus: MakeBus, tmp_path: Path
) -> AsyncIterator[Host]:
    """The group runs on alpha, at epoch 1."""
    bus = await make_bus(nats_cluster)
    groups = GROUP.format(folder=tmp_path)
    # A restart must not take longer than the lease, on a busy machine, too.
    async with host(bus, nats_cluster[0], tmp_path, groups, "tolerant") as made:
        await made.done("start", 1, "a")
        await made.group("active")
        assert len(workloads(tmp_path)) == 2
        yield made


async def restart_without(web: Host, what: str, instead: str = "") -> None:
    """The service again, with a file that has something else there."""
    config = web.folder / "cluster.toml"
    text = config.read_text()
    assert what in text
    config.write_text(text.replace(what, instead))
    assert await web.end(signal.SIGTERM) == 0
    web.start()


def section(folder: Path, resource: str) -> str:
    """The part of the file that is about a resource."""
    text = (folder / "cluster.toml").read_text()
    part = text[text.index(f"[groups.web.resources.{resource}]") :]
    return part[: part.index("\n\n") + 1] if "\n\n" in part else part


async def ends_with_the_lease(web: Host) -> None:
    web.voters.silent = {"alpha", "beta", "witness"}
    await until(lambda: workloads(web.folder) == [], within=PATIENCE, what="its end")


async def test_a_group_of_which_its_node_is_taken_out_is_told_of_and_ends_with_the_lease(
    web: Host, tmp_path: Path
) -> None:
    running = workloads(tmp_path)
    await restart_without(web, NODES, 'nodes = ["beta"]')
    report = await web.group("active")
    assert report.epoch == 1
    assert workloads(tmp_path) == running
    await web.leased()
    refused = await web.order("start", 2, "b")
    assert "does not run group web" in refused.error
    await ends_with_the_lease(web)
    await web.group("stopped")


async def test_it_is_stopped_by_an_order_and_then_forgotten(web: Host, tmp_path: Path) -> None:
    await restart_without(web, NODES, 'nodes = ["beta"]')
    await web.group("active")
    await web.done("stop", 1, "b")
    assert workloads(tmp_path) == []
    await web.end(signal.SIGTERM)
    web.start()
    await web.leased()
    assert web.pulses[-1].groups == []


async def test_a_group_that_is_taken_out_of_the_file_ends_with_the_lease(
    web: Host, tmp_path: Path
) -> None:
    text = (tmp_path / "cluster.toml").read_text()
    await restart_without(web, text[text.index("[groups.web]") :])
    report = await web.group("active")
    assert (report.epoch, report.left) == (1, ["disk", "server"])
    await ends_with_the_lease(web)
    assert (await web.group("stopped")).left == []


@pytest.mark.parametrize("resource", ["disk", "server"])
async def test_a_resource_that_is_taken_out_is_stopped_with_its_group_and_not_started(
    web: Host, tmp_path: Path, resource: str
) -> None:
    running = workloads(tmp_path)
    config = tmp_path / "cluster.toml"
    config.write_text(config.read_text().replace('after = ["disk"]\n', ""))
    await restart_without(web, section(tmp_path, resource))
    assert (await web.group("active")).left == [resource]
    assert workloads(tmp_path) == running
    await web.done("stop", 1, "b")
    assert workloads(tmp_path) == []
    await web.done("start", 2, "c")
    assert len(workloads(tmp_path)) == 1


async def test_one_that_dies_where_the_file_has_it_run_no_more_is_left_to_the_decider(
    web: Host, tmp_path: Path
) -> None:
    await restart_without(web, NODES, 'nodes = ["beta"]')
    await web.group("active")
    pid = await web.pid("server")
    os.kill(pid, signal.SIGKILL)
    await web.failed("server")
    report = await web.group("failed")
    assert "cluster file does not have it run here" in report.reason
    assert len(web.all(RecoveryExhausted)) == 1
