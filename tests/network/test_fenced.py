"""Faults of the network between hosts that have a fence device, at the standard profile."""

import os
import signal
from contextlib import ExitStack, suppress
from functools import partial

import pytest

from holdfast import jetstream
from holdfast.bus import BusError
from holdfast.streams import OWNERSHIP_STREAM, move_stream_leaders
from holdfast.subjects import EVENT_STREAM
from holdfast.timing import PROFILES
from tests.network.cluster import PLACES, WITNESS, NetworkCluster
from tests.network.scenario import scenario
from tests.support.cluster import eventually
from tests.support.follower import event

pytestmark = [
    pytest.mark.network,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(240),
]
TIMING = PROFILES["standard"]
PAST_TTL = 2 * TIMING.ttl
"""Seconds of a cut in which everybody who could act on it has had the time to."""
STALL, LONGEST_STALL = 4.0, 5.0
LOSS, LOSSY_FOR = 30, 30.0
SWITCH_OUTAGE = 60.0


async def test_isolated_owner_is_fenced_and_its_group_moves(fenced: NetworkCluster) -> None:
    await fenced.keep_streams_off((await fenced.wait_active()).owner or "")
    async with scenario(fenced, "owner isolated, fence device", expect=1) as scene:
        fenced.lab.isolate(scene.owner)
        await scene.moved()
        await fenced.seen("lease_revoked", since=scene.began, node=scene.owner, proof="fenced_off")


@pytest.mark.parametrize("way", ["mute", "deafen"])
async def test_owner_cut_off_in_one_direction_loses_its_group(
    fenced: NetworkCluster, way: str
) -> None:
    async with scenario(fenced, f"owner {way} (one-way cut)", expect=1) as scene:
        (fenced.lab.mute if way == "mute" else fenced.lab.deafen)(scene.owner)
        await scene.moved()


async def test_isolated_host_without_a_group_moves_nothing(fenced: NetworkCluster) -> None:
    owner = (await fenced.wait_active()).owner or ""
    await fenced.lead_from(owner)
    async with scenario(fenced, "non-owner isolated", expect=0) as scene:
        fenced.lab.isolate(scene.other)
        await scene.last(PAST_TTL)


async def test_isolated_leader_is_replaced_and_moves_nothing(fenced: NetworkCluster) -> None:
    owner = (await fenced.wait_active()).owner
    other = next(host for host in fenced.urls if host != owner)
    await fenced.lead_from(other)
    async with scenario(fenced, "decider leader isolated, owns nothing", expect=0) as scene:
        fenced.lab.isolate(scene.other)
        await fenced.seen("leader_elected", since=scene.began, timeout=PAST_TTL)
        await scene.last(PAST_TTL)
    elected = [seen for seen in fenced.follower.since(scene.began) if event("leader_elected")(seen)]
    assert elected[0].data["leader"] != scene.other


async def streams_led_by(cluster: NetworkCluster, place: str) -> bool:
    """Whether a place leads every stream; asks the others to step down."""
    try:
        await move_stream_leaders(cluster.operator, set(PLACES) - {place})
        leaders = {
            (await jetstream.api(cluster.operator, f"STREAM.INFO.{name}", {}, timeout=1.0))[
                "cluster"
            ].get("leader")
            for name in (OWNERSHIP_STREAM, EVENT_STREAM)
        }
    except BusError:
        return False
    return leaders == {place}


async def test_isolated_jetstream_leader_moves_nothing(fenced: NetworkCluster) -> None:
    owner = (await fenced.wait_active()).owner or ""
    await fenced.lead_from(owner)
    other = next(host for host in fenced.urls if host != owner)
    await eventually(partial(streams_led_by, fenced, other), f"every stream is led by {other}")
    async with scenario(fenced, "JetStream leader isolated, owns nothing", expect=0) as scene:
        fenced.lab.isolate(scene.other)
        await scene.last(PAST_TTL)


@pytest.mark.parametrize("leads", ["decider", "JetStream", "decider and JetStream"])
async def test_isolated_owner_that_also_leads_is_fenced_and_its_group_moves(
    fenced: NetworkCluster, leads: str
) -> None:
    """The survivors first have to find a leader, and the streams another one, and then act."""
    async with scenario(fenced, f"{leads} leader isolated, the owner", expect=1) as scene:
        await fenced.lead_from(scene.owner if "decider" in leads else WITNESS)
        if "JetStream" in leads:
            await eventually(partial(streams_led_by, fenced, scene.owner), "it leads every stream")
        else:
            await fenced.keep_streams_off(scene.owner)
        scene.fault()  # only now: whoever owns a group does not lead streams for long
        fenced.lab.isolate(scene.owner)
        await scene.moved()
        revoked = await fenced.seen("lease_revoked", since=scene.began, node=scene.owner)
    assert revoked.data["proof"] == "fenced_off"
    assert revoked.service != f"{scene.owner}/failover_decider", "it speaks for nobody any more"


async def test_lost_witness_moves_nothing(fenced: NetworkCluster) -> None:
    async with scenario(fenced, "witness isolated", expect=0) as scene:
        fenced.lab.isolate(WITNESS)
        await scene.last(PAST_TTL)


@pytest.mark.parametrize("seconds", [STALL, LONGEST_STALL])
async def test_stall_shorter_than_the_lease_moves_nothing(
    fenced: NetworkCluster, seconds: float
) -> None:
    async with scenario(fenced, f"owner stalls {seconds:.0f} s", expect=0) as scene:
        fenced.freeze(scene.owner)
        await scene.last(seconds)
        fenced.thaw(scene.owner)
        await scene.last(TIMING.ttl)


async def test_random_loss_moves_nothing(fenced: NetworkCluster) -> None:
    async with scenario(fenced, f"{LOSS} % loss for {LOSSY_FOR:.0f} s", expect=0) as scene:
        fenced.lab.lose(LOSS)
        await scene.last(LOSSY_FOR)


async def test_switch_outage_ends_with_one_owner(fenced: NetworkCluster) -> None:
    """Nobody hears a majority: the owner stops, nobody else may start; then exactly one runs."""
    name = f"switch out for {SWITCH_OUTAGE:.0f} s"
    async with scenario(fenced, name, expect=range(2)) as scene:
        fenced.lab.outage()
        await scene.last(SWITCH_OUTAGE)
    assert scene.stopped_after() < TIMING.ttl
    during = [s for s in scene.awake if s.ended > scene.faulted + TIMING.ttl]
    assert all(span.began > scene.healed for span in during), "nothing runs without a majority"


def _wake(pid: int) -> None:
    with suppress(ProcessLookupError):  # its supervisor may have killed what stood still
        os.kill(pid, signal.SIGCONT)


async def test_lost_majority_of_nats_servers_moves_nothing(fenced: NetworkCluster) -> None:
    """The server that is left carries the votes of deciders that reconnect to it."""
    async with scenario(fenced, "two nats-servers frozen and back", expect=0) as scene:
        with ExitStack() as frozen:
            for place in (scene.other, WITNESS):
                pid = fenced.send(place, "nats-server", signal.SIGSTOP)
                frozen.callback(_wake, pid)
            await scene.last(PAST_TTL)
