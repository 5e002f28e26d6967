"""Random faults, one after another on one cluster: `make network-soak N=20`."""

import os
import random
from collections.abc import Callable

import pytest

from holdfast.timing import PROFILES
from tests.network.cluster import WITNESS, NetworkCluster
from tests.network.scenario import Scene, scenario

RUNS = int(os.environ.get("NETWORK_RUNS", "0"))
FIRST = int(os.environ.get("NETWORK_SEED", "1"))
TTL = PROFILES["standard"].ttl
SHORT, LONG = (0.5, 4.0), (TTL + 4.0, TTL + 10.0)
"""Seconds: surely shorter, and surely longer, than what makes a group move."""

pytestmark = [
    pytest.mark.network,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(300),
    pytest.mark.skipif(not RUNS, reason="set NETWORK_RUNS, or `make network-soak N=20`"),
]

Fault = Callable[[NetworkCluster, str], None]
FAULTS: dict[str, Fault] = {
    "isolate": lambda cluster, place: cluster.lab.isolate(place),
    "mute": lambda cluster, place: cluster.lab.mute(place),
    "deafen": lambda cluster, place: cluster.lab.deafen(place),
    "freeze": lambda cluster, place: cluster.freeze(place),
}


async def heal(scene: Scene) -> None:
    """End the fault; what was decided during it still runs its course in `restore`."""
    scene.cluster.lab.heal()
    for place in (scene.owner, scene.other, WITNESS):
        scene.cluster.thaw(place)


@pytest.mark.parametrize("seed", range(FIRST, FIRST + max(RUNS, 1)))
async def test_random_fault(fenced: NetworkCluster, seed: int) -> None:
    dice = random.Random(seed)
    what = dice.choice([*FAULTS, "loss", "outage"])
    whom = dice.choice(["owner", "other", WITNESS])
    long = dice.random() < 0.5
    lasts = dice.uniform(*(LONG if long else SHORT))
    percent = dice.randint(5, 30)
    expect: int | range = 0
    if long and what in FAULTS and whom == "owner":
        expect = 1
    if long and what == "outage":
        expect = range(2)
    detail = {"loss": f"{percent} %", "outage": ""}.get(what, whom)
    name = f"seed {seed}: {what} {detail} {lasts:.1f} s"
    async with scenario(fenced, name, expect=expect) as scene:
        match what:
            case "loss":
                fenced.lab.lose(percent)
            case "outage":
                fenced.lab.outage()
            case _:
                places = {"owner": scene.owner, "other": scene.other, WITNESS: WITNESS}
                FAULTS[what](fenced, places[whom])
        await scene.last(lasts)
        if expect == 1:
            await scene.moved()
        await heal(scene)
        await scene.last(TTL)
