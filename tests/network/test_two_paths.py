"""Two networks between all places: one of them lost, in whatever way, is a signal and no more."""

import asyncio
import contextlib
import itertools

import pytest

from holdfast import subjects
from holdfast.bus import BusError
from holdfast.clock import monotonic
from holdfast.config.sections import PRIMARY
from holdfast.events.fields import path_probe
from holdfast.timing import PROFILES
from holdfast.wire import Begun, GroupRequest, Refused
from tests.network.cluster import PLACES, NetworkCluster
from tests.network.scenario import Scene, scenario
from tests.support.cluster import GROUP, HOSTS, eventually
from tests.support.follower import event
from tests.support.lab import LAN, SAN

pytestmark = [
    pytest.mark.network,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(300),
]
TIMING = PROFILES["standard"]
PAST_TTL = 2 * TIMING.ttl
"""Seconds of a cut in which everybody who could act on it has had the time to."""
FLAPPING = 60.0
FLAPS = (4.0, 3.0, 0.5, 2.0, 6.0, 1.0)
"""Seconds for which the path is, in turn, cut and whole."""
PATHS_SEEN = len(HOSTS) * (len(PLACES) - 1)
"""Of one network: each host looks at its path to each other place."""
SWITCH_OUTAGE = 60.0
ROUND_THE_CUT = 5.0
"""Seconds within which servers that lost their connection find the other path."""


def nothing_happened(scene: Scene) -> None:
    """Nobody was suspected, nobody lost a lease, the leader went on leading."""
    alarms = event("node_suspected", "lease_lost", "lease_revoked", "leader_lost", "decision_made")
    assert not [str(seen) for seen in scene.cluster.follower.since(scene.began) if alarms(seen)]


async def whole(cluster: NetworkCluster) -> None:
    """Every path counts as up; after a fault that takes a while, so that flapping is one signal."""
    await cluster.status_where(
        lambda status: bool(status.paths) and not any(path.lost for path in status.paths),
        "every path is up",
    )


async def told(scene: Scene, network: str) -> None:
    """A host's monitor says that the path is lost, and the status shows it."""
    probe = path_probe(network)
    await scene.cluster.seen("health_signal", since=scene.began, probe=probe, state="degraded")
    await scene.cluster.status_where(
        lambda status: any(path.network == network and path.lost for path in status.paths),
        f"the status shows that {network} is lost",
    )


def losses(scene: Scene) -> list[str]:
    """Every signal that the first network is lost."""
    lost = event("health_signal", probe=path_probe(PRIMARY), state="degraded")
    return [str(seen) for seen in scene.cluster.follower.since(scene.began) if lost(seen)]


async def longest_silence(scene: Scene, seconds: float) -> float:
    """The longest time for which requests over the bus to the leader found no way to it."""
    ends = monotonic() + seconds
    heard, longest = monotonic(), 0.0
    while monotonic() < ends:
        if await scene.cluster.status() is not None:
            longest, heard = max(longest, monotonic() - heard), monotonic()
        await asyncio.sleep(0.05)
    return max(longest, monotonic() - heard)


@pytest.mark.parametrize("network", [LAN, SAN])
async def test_one_path_lost_for_all_is_a_signal_and_moves_nothing(
    two_paths: NetworkCluster, network: str
) -> None:
    await whole(two_paths)
    await two_paths.lead_from((await two_paths.wait_active()).owner or "")
    async with scenario(two_paths, f"two networks, {network} cut for all", expect=0) as scene:
        two_paths.lab.cut(network)
        silence = await longest_silence(scene, PAST_TTL)
        scene.note = f"orders found the other path within {silence:.1f} s"
        await told(scene, PRIMARY if network == LAN else network)
    nothing_happened(scene)
    assert silence < ROUND_THE_CUT


async def test_operator_moves_a_group_while_a_path_is_cut(two_paths: NetworkCluster) -> None:
    """Orders and compare-and-set take the bus, whose servers find the other path."""
    await whole(two_paths)
    async with scenario(
        two_paths, f"two networks, switchover while {LAN} is cut", expect=1
    ) as scene:
        two_paths.lab.cut(LAN)
        request = GroupRequest(action="switchover", group=GROUP, operator="test")

        async def begun() -> bool:
            with contextlib.suppress(BusError):
                subject = subjects.admin("decider")
                asked = two_paths.operator.request(subject, request, Begun | Refused, timeout=1.0)
                return isinstance(await asked, Begun)
            return False

        await eventually(begun, "the request is taken")
        await scene.moved()
        scene.note = f"done {monotonic() - scene.faulted:.1f} s after the cut"
    alarms = event("node_suspected", "lease_lost", "lease_revoked", "leader_lost")
    assert not [str(seen) for seen in two_paths.follower.since(scene.began) if alarms(seen)]


async def test_flapping_path_moves_nothing(two_paths: NetworkCluster) -> None:
    await whole(two_paths)
    name = f"two networks, {LAN} flapping for {FLAPPING:.0f} s"
    async with scenario(two_paths, name, expect=0) as scene:
        for number, lasts in enumerate(itertools.cycle(FLAPS)):
            left = scene.faulted + FLAPPING - monotonic()
            if left <= 0:
                break
            two_paths.lab.heal() if number % 2 else two_paths.lab.cut(LAN)
            await scene.last(min(lasts, left))
        scene.note = f"{len(losses(scene))} signals, one of each end of each path"
    nothing_happened(scene)
    assert len(losses(scene)) == PATHS_SEEN


@pytest.mark.parametrize(("way", "network"), [("mute", LAN), ("deafen", SAN)])
async def test_one_way_cut_of_one_path_moves_nothing(
    two_paths: NetworkCluster, way: str, network: str
) -> None:
    await whole(two_paths)
    name = f"two networks, owner {way} on {network}"
    async with scenario(two_paths, name, expect=0) as scene:
        (two_paths.lab.mute if way == "mute" else two_paths.lab.deafen)(scene.owner, network)
        await scene.last(PAST_TTL)
        await told(scene, PRIMARY if network == LAN else network)
    nothing_happened(scene)


async def test_owner_without_any_path_is_fenced_and_its_group_moves(
    two_paths: NetworkCluster,
) -> None:
    await two_paths.keep_streams_off((await two_paths.wait_active()).owner or "")
    async with scenario(two_paths, "two networks, owner cut off from both", expect=1) as scene:
        two_paths.lab.isolate(scene.owner)
        await scene.moved()


async def test_outage_of_both_networks_ends_with_one_owner(two_paths: NetworkCluster) -> None:
    name = f"two networks, both out for {SWITCH_OUTAGE:.0f} s"
    async with scenario(two_paths, name, expect=range(2)) as scene:
        two_paths.lab.outage()
        await scene.last(SWITCH_OUTAGE)
    assert scene.stopped_after() < TIMING.ttl
    during = [s for s in scene.awake if s.ended > scene.faulted + TIMING.ttl]
    assert all(span.began > scene.healed for span in during), "nothing runs without a majority"
