"""An async member under kill, pause and cut; then it is promoted, and the loss is accepted.

What is lost is the end of the order of writes, and no more than was last told: in bytes, and in
seconds. Drawn from seeds as in `test_linearizable`, a third as many.
"""

import contextlib
import os
import signal
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from holdfast.clock import monotonic
from holdfast.storage_replication.control import Bounds, State
from tests.support.lab import missing
from tests.support.replicated import Volume
from tests.volumes.journal import BLOCK, Journal
from tests.volumes.members import members

pytestmark = [pytest.mark.volumes, pytest.mark.timeout(300)]
RUNS = max(3, int(os.environ.get("VOLUME_RUNS") or "10") // 3)
SEED = int(os.environ.get("VOLUME_SEED") or "1")
ROUNDS = 2
LASTS = (0.2, 1.3, 2.6)
"""Seconds of a trouble: told of not at all, once, twice."""
LATE = 0.5
"""Seconds within which what a primary says has arrived here."""
BOUNDS = Bounds(member_timeout=30.0, max_lag_bytes=1 << 30, max_lag_seconds=60.0)
"""A member that stands still is behind, and not lost."""


class Run:
    """One volume, its writers, and what is done to it."""

    def __init__(self, volume: Volume, random: Random) -> None:
        self.volume, self.random, self.journal = volume, random, Journal(volume)
        self.done: list[str] = []

    @property
    def other(self) -> str:
        """Who is not the primary."""
        return next(name for name in self.volume.nodes if name != self.volume.record.primary)

    def trouble(self) -> None:
        """Something that ends by itself: nothing is lost by it."""
        kinds = [self._kill_member, self._kill_primary, self._pause_member]
        if self.volume.lab is not None:
            kinds.append(self._cut)
        fault = self.random.choice(kinds)
        self.done.append(fault.__name__.strip("_"))
        fault()
        self.journal.acknowledge(50)

    def lose_the_primary(self) -> None:
        """While the member lags, or not; then it is promoted."""
        old, new = self.volume.primary, self.volume.nodes[self.other]
        assert new.name in self.volume.record.following
        how = self.random.choice(["paused", "cut", "lossy", "in step"])
        lab = self.volume.lab
        if how == "paused" or lab is None:
            new.send_signal(signal.SIGSTOP)
        elif how == "cut":
            lab.sever(old.name, new.name)
            lab.sever(new.name, old.name)
        elif how == "lossy":
            lab.lose(30)
        self._wait()
        with self.volume.changed:
            at, told = old.told[-1]
        old.end()
        died = monotonic()
        assert new.name in self.volume.record.following
        new.send_signal(signal.SIGCONT)
        if lab is not None:
            lab.heal()
        self.journal.stop()
        self.volume.fail_over(new.name, accept_loss=True)
        lost = self._judge(new.name, at, told, died)
        self.done.append(f"{how}: {lost} lost")
        self.journal.start()
        self.volume.restart(old.name)
        self.volume.settled()

    def _judge(self, name: str, at: float, told: State, died: float) -> int:
        lost = self.journal.settle_loss()
        lag = told.members[name]
        counted = [one for one in lost if one.ended <= at - LATE]
        assert len(counted) * BLOCK <= lag.lag_bytes, "in bytes, more than was told"
        for one in lost:
            age = died - one.began
            assert age <= lag.lag_seconds + (died - at) + LATE, "in seconds, more than was told"
        return len(lost)

    def _kill_member(self) -> None:
        name = self.other
        self.volume.nodes[name].end()
        self._wait()
        self.volume.restart(name)
        self.volume.settled()

    def _kill_primary(self) -> None:
        name = self.volume.record.primary
        self.volume.nodes[name].end()
        self.volume.restart(name)
        self.volume.settled()

    def _pause_member(self) -> None:
        member = self.volume.nodes[self.other]
        member.send_signal(signal.SIGSTOP)
        self._wait()
        member.send_signal(signal.SIGCONT)

    def _cut(self) -> None:
        assert self.volume.lab is not None
        one, other = self.volume.record.primary, self.other
        self.volume.lab.sever(one, other)
        self.volume.lab.sever(other, one)
        self._wait()
        self.volume.lab.heal()

    def _wait(self) -> None:
        lasts = self.random.choice(LASTS)
        with self.volume.changed:
            self.volume.changed.wait_for(lambda: False, lasts)


@pytest.fixture(scope="module")
def no_lab() -> str:
    """Why there are no cuts here; empty: there are."""
    return missing()


@pytest.mark.parametrize("seed", range(SEED, SEED + RUNS))
def test_what_is_lost_is_the_end_and_was_told(
    tmp_path: Path, seed: int, no_lab: str, record_property: Callable[[str, object], None]
) -> None:
    random = Random(f"{seed} async")
    names = ("a", "b")
    with members(tmp_path, names, not no_lab, asynchronous=names, bounds=BOUNDS) as volume:
        volume.settled()
        run = Run(volume, random)
        journal = run.journal
        journal.start()
        try:
            for _ in range(ROUNDS):
                run.trouble()
                volume.settled()
                run.lose_the_primary()
                journal.acknowledge(50)
        finally:
            with contextlib.suppress(Exception):
                journal.stop()
            record_property(
                "run",
                f"seed {seed}, async: {journal.acknowledged} writes acknowledged, "
                f"{journal.lost} lost by failovers; {', '.join(run.done)}",
            )
        journal.stop()
        journal.complete()
        volume.demote(volume.record.primary)
        volume.same()
