"""Recording what the cores of a simulated cluster are given, with the real recorder."""

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from holdfast.failover_decider import core
from holdfast.failover_decider.inputs.journal import Segment, segments_of
from holdfast.failover_decider.inputs.recorder import Recorder
from holdfast.failover_decider.messages import Effect, Input
from holdfast.failover_decider.replay.run import Replay
from holdfast.failover_decider.state import State
from holdfast.ids import Mint

MAX_BYTES = 64 * 1024 * 1024
Decide = Callable[[State, Input, float, Mint], tuple[State, list[Effect]]]


class Recordings:
    """One journal per decider process: `<folder>/<place>.<n>`."""

    def __init__(self, folder: Path, max_bytes: int = MAX_BYTES) -> None:
        self._folder, self._max_bytes = folder, max_bytes
        self._recorders: dict[str, Recorder] = {}
        self._states: dict[str, State] = {}
        self._processes: dict[str, int] = defaultdict(int)
        self.said: list[str] = []

    def decide(
        self, state: State, happened: Input, now: float, mint: Mint
    ) -> tuple[State, list[Effect]]:
        """`core.decide`, recorded."""
        ids: list[str] = []

        def noting() -> str:
            ids.append(mint())
            return ids[-1]

        after, effects = _decide(state, happened, now, noting)
        self._recorder(state).note(state, happened, now, ids, effects)
        self._states[state.place] = after
        return after, effects

    async def write(self) -> None:
        """Write what was noted so far."""
        for recorder in self._recorders.values():
            await recorder.write()

    async def close(self) -> dict[str, Replay]:
        """Write everything, and replay it. By journal."""
        for recorder in self._recorders.values():
            await recorder.close()
        return {path.name: replayed(path) for path in sorted(self._folder.iterdir())}

    def _recorder(self, state: State) -> Recorder:
        place = state.place
        if self._states.get(place) is not state:  # its process was started anew
            self._processes[place] += 1
            folder = self._folder / f"{place}.{self._processes[place]}"
            self._recorders[folder.name] = Recorder(
                folder, max_bytes=self._max_bytes, say=self.said.append, max_waiting=10**9
            )
        return self._recorders[f"{place}.{self._processes[place]}"]


_decide: Decide = core.decide


def replayed(folder: Path) -> Replay:
    """The replay of one journal."""
    replay = Replay()
    for path in segments_of(folder):
        replay.add(Segment(path))
    return replay
