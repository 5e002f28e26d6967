"""Which seeds have volumes, and which: drawn by a chance of their own, the others know none."""

from random import Random
from typing import Literal

import msgspec

from holdfast.config.model import ClusterFile, Group, ProcessResource, VolumeResource
from holdfast.config.volume_check import problems
from holdfast.config.volumes import MaxLag, ReplicatedVolume, VolumeMember

RESOURCE = "data"


def has_volumes(seed: int) -> bool:
    """One seed in nine: of those, none at which a planted bug was found before."""
    return seed % 9 == 5


def with_volumes(file: ClusterFile, seed: int) -> ClusterFile:
    """One or two groups have a replicated volume on which all that they run rests."""
    if not has_volumes(seed):
        return file
    chance = Random(f"volumes of {seed}")
    names = chance.sample(list(file.groups), min(len(file.groups), chance.choice([1, 1, 2])))
    groups, volumes = dict(file.groups), {}
    for index, name in enumerate(names):
        volume = f"v{index}"
        groups[name] = _resting(groups[name], volume)
        volumes[volume] = _draw(chance, file, 7000 + 100 * index)
    drawn = msgspec.structs.replace(file, groups=groups, volumes=volumes)
    assert not list(problems(drawn)), list(problems(drawn))
    return drawn


def _resting(group: Group, volume: str) -> Group:
    resources = {
        name: msgspec.structs.replace(one, after=[RESOURCE, *one.after])
        for name, one in group.resources.items()
        if isinstance(one, ProcessResource)
    }
    data = VolumeResource(volume=volume, start_timeout=12.0, stop_timeout=8.0)
    return msgspec.structs.replace(group, resources={RESOURCE: data, **resources})


def _draw(chance: Random, file: ClusterFile, port: int) -> ReplicatedVolume:
    asynchronous = chance.random() < 0.2
    mode: Literal["sync", "async"] = "async" if asynchronous else "sync"
    members = {
        name: VolumeMember(path=f"/srv/{port}", port=port + number)
        for number, name in enumerate(file.nodes)
    }
    lag = MaxLag(bytes="1MiB", seconds=5.0) if asynchronous and chance.random() < 0.7 else None
    patience = chance.choice([1.5, 2.5, 4.0])
    return ReplicatedVolume(
        size="64KiB", members=members, mode=mode, max_lag=lag, member_timeout=patience
    )
