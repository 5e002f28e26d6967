"""Members that are removed and added again: what was known of them is never believed of another."""

import asyncio
import os
import shutil

import pytest

from holdfast import jetstream
from holdfast.ids import uuid7
from holdfast.otlp import Telemetry
from holdfast.storage_replication.replicated import membership, transitions
from holdfast.storage_replication.replicated.measures import measure
from holdfast.storage_replication.replicated.place import LOG
from holdfast.storage_replication.replicated.process import kill
from holdfast.storage_replication.replicated.requests import carry_out
from holdfast.storage_replication.replicated.transitions import ChangeRefused
from holdfast.store import ensure_streams
from holdfast.streams import VOLUMES_STREAM
from holdfast.wire import VolumeOrder
from holdfast.wire.volumes import CreateVolume
from tests.support.collector import Collector, strings
from tests.support.volume_agents import BOOT, SIZE, VOLUME, WITHIN, Host
from tests.support.waiting import until

MIB = 1 << 20


def replace_disk(host: Host) -> None:
    """By one that holds nothing."""
    host.disk.unlink()
    host.disk.touch()
    os.truncate(host.disk, SIZE)


async def half_removed(alpha: Host, beta: Host) -> None:
    """From the record only: alpha's service died before it told its data path."""
    await alpha.register.change(
        VOLUME, lambda now: membership.remove_member(now, "alpha", 1, "beta"), within=WITHIN
    )
    await alpha.stop()
    await until(lambda: beta.agent.paths.client is None, within=WITHIN, what="beta is let go")
    await until(lambda: "no member" in beta.agent.paths.problem, within=WITHIN, what="its end")


async def same(alpha: Host, beta: Host) -> None:
    await alpha.counts("alpha", "beta")
    assert beta.disk.read_bytes() == alpha.disk.read_bytes()


async def test_a_blank_disk_is_not_taken_for_the_one_that_was_removed(
    two: tuple[Host, Host],
) -> None:
    alpha, beta = two
    alpha.write(3 * MIB, b"before" * 100)
    await alpha.idle()
    await half_removed(alpha, beta)
    replace_disk(beta)
    alpha.start()
    await until(alpha.agent.paths.ready.is_set, within=WITHIN, what="its data path is found")
    answer = await alpha.change("add", "beta")
    assert answer.ok, answer.text
    await same(alpha, beta)


async def test_what_is_known_of_a_removed_copy_is_not_believed_of_the_next_one(
    two: tuple[Host, Host],
) -> None:
    """The record has moved on twice before its primary hears of it, and then comes back anew."""
    alpha, beta = two
    alpha.write(3 * MIB, b"before" * 100)
    await alpha.idle()
    old = beta.record.members["beta"].instance
    await half_removed(alpha, beta)
    replace_disk(beta)
    await beta.register.change(
        VOLUME, lambda now: membership.add_member(now, "alpha", 1, "beta"), within=WITHIN
    )
    await until(beta.agent.paths.ready.is_set, within=WITHIN, what="the next copy runs")
    log = alpha.place.folder / LOG

    def refused() -> bool:
        return f"means copy {old} of beta" in log.read_text()

    await until(refused, within=WITHIN, what="it is not taken for the earlier one")
    assert await kill(alpha.data_path)
    alpha.start()
    await same(alpha, beta)


async def test_a_copy_that_was_added_again_is_not_taken_in_by_an_earlier_question(
    two: tuple[Host, Host],
) -> None:
    alpha, beta = two
    old = alpha.record.members["beta"].instance
    await half_removed(alpha, beta)
    await beta.register.change(
        VOLUME, lambda now: membership.add_member(now, "alpha", 1, "beta"), within=WITHIN
    )
    with pytest.raises(ChangeRefused, match="another copy by now"):
        await beta.register.change(
            VOLUME,
            lambda now: transitions.take_in(
                now, "alpha", 1, "beta", asynchronous=False, instance=old
            ),
            within=WITHIN,
        )
    alpha.start()
    await same(alpha, beta)


async def test_a_collector_sees_how_each_member_stands(
    two: tuple[Host, Host], collector: Collector
) -> None:
    alpha, beta = two
    telemetry = Telemetry(collector.url, cluster="c", place="alpha", service="storage_replication")
    measure(telemetry, [alpha.agent, beta.agent])
    await asyncio.to_thread(telemetry.shutdown)
    seen = {
        (metric.name, metric.unit, strings(point.attributes).get("holdfast.member"))
        for metric in collector.metrics
        for point in metric.gauge.data_points
        if strings(point.attributes)["holdfast.volume"] == VOLUME
    }
    assert seen == {
        ("holdfast.volume.lag", "By", "beta"),
        ("holdfast.volume.lag.age", "s", "beta"),
        ("holdfast.volume.resync", "By", "beta"),
        ("holdfast.volume.in_sync", "{copy}", None),
        ("holdfast.volume.frozen", "1", None),
    }
    values = {m.name: m.gauge.data_points[0].as_int for m in collector.metrics}
    assert values["holdfast.volume.in_sync"] == 2
    assert values["holdfast.volume.frozen"] == 0


async def test_a_record_that_was_lost_and_made_anew_takes_no_old_copy_for_its_own(
    two: tuple[Host, Host],
) -> None:
    """Beta is behind when the record is lost; one with its content must not touch alpha's copy."""
    alpha, beta = two
    await beta.end()
    await alpha.counts("alpha")
    alpha.write(3 * MIB, b"acknowledged" * 100)
    before = alpha.disk.read_bytes()
    await alpha.end()
    bus = alpha.bus
    await jetstream.api(bus, f"STREAM.DELETE.{VOLUMES_STREAM}", {}, timeout=5)
    await ensure_streams(bus, len(bus.servers))
    for host in (alpha, beta):
        host.start()
        request = CreateVolume(volume=VOLUME, operator="ann")
        answer = await carry_out(host.agent, request)
        assert not answer.ok
        assert "at epoch 1" in answer.text
        assert "docs/volumes.md" in answer.text
    # Somebody lets go of the wrong files, on a disk that is blank by now.
    await beta.end()
    replace_disk(beta)
    shutil.rmtree(beta.place.folder)
    beta.start()
    answer = await carry_out(beta.agent, CreateVolume(volume=VOLUME, operator="ann"))
    assert answer.ok, answer.text
    await beta.lead(2)
    problem = "under a record that is not there any more"
    await until(lambda: problem in alpha.agent.paths.problem, within=WITHIN, what="alpha's no")
    assert "alpha" not in beta.record.in_sync
    order = VolumeOrder(
        action="activate", volume=VOLUME, node="alpha", boot=BOOT, epoch=3,
        intent=uuid7(), incident=uuid7(), cause=uuid7(),
    )  # fmt: skip
    assert not (await alpha.agent.order(order)).ok
    assert alpha.disk.read_bytes() == before
