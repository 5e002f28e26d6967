"""Which fault a seed stands for, and how many moves are right. Pure."""

import random

import msgspec

from holdfast.timing import PROFILES
from tests.network.cluster import WITNESS, Fencing
from tests.support.lab import LAN, SAN

TIMING = PROFILES["standard"]
SHORT, LONG = (0.5, 4.0), (TIMING.ttl + 2.0, TIMING.ttl + 5.0)
"""Seconds: surely shorter, and surely longer, than what makes a group move."""
STALL = 5.0
FLAP = (0.3, 4.0)
"""Seconds for which a flapping path is cut, and whole."""
OF_A_PATH = (2.0, 15.0)
EVERYWHERE = ("isolate", "mute", "deafen", "freeze", "stall", "loss", "outage")
ON_ONE_PATH = ("path cut", "path flap", "path mute", "path deafen")
KINDS: tuple[Fencing, ...] = ("device", "watchdog", "lease-only")
_MOVES_AN_OWNER = ("isolate", "mute", "deafen", "freeze")


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """What is done to whom for how long. `least` and `most` moves are right."""

    kind: str
    whom: str
    """`owner`, `other` or the witness; empty: all."""
    network: str
    lasts: float
    percent: int = 0
    flaps: tuple[float, ...] = ()
    least: int = 0
    most: int = 0

    def __str__(self) -> str:
        parts = (self.kind, self.whom, self.network, f"{self.percent} %" if self.percent else "")
        return f"{' '.join(filter(None, parts))} {self.lasts:.1f} s"


def cluster_of(seed: int) -> tuple[tuple[str, ...], Fencing]:
    """The networks of the cluster that a seed's fault falls on, and what ends its hosts. Pure.

    Odd seeds have one network, even ones two; of six in a row each is another cluster.
    """
    return ((LAN,) if seed % 2 else (LAN, SAN)), KINDS[seed // 2 % len(KINDS)]


def draw(seed: int, networks: tuple[str, ...]) -> Fault:
    """The fault of a seed. Pure."""
    dice = random.Random(seed)
    whom = dice.choice(["owner", "owner", "owner", "other", WITNESS])
    if len(networks) > 1 and dice.random() < 0.5:
        kind = dice.choice(ON_ONE_PATH)
        return Fault(
            kind=kind,
            whom="" if kind in ("path cut", "path flap") else whom,
            network=dice.choice(networks),
            lasts=dice.uniform(*OF_A_PATH),
            flaps=tuple(dice.uniform(*FLAP) for _ in range(16)),
        )
    kind, long = dice.choice(EVERYWHERE), dice.random() < 0.6
    moved = int(long and kind in _MOVES_AN_OWNER and whom == "owner")
    return Fault(
        kind=kind,
        whom="" if kind in ("loss", "outage") else whom,
        network="",
        lasts=STALL if kind == "stall" else dice.uniform(*(LONG if long else SHORT)),
        percent=dice.randint(5, 30) if kind == "loss" else 0,
        least=moved,
        most=max(moved, int(long and kind == "outage")),
    )
