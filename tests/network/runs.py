"""What random faults showed: each run, and all of them in figures. Pure, but for the file."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from tests.network.cluster import Fencing
from tests.network.faults import Fault


class Run(msgspec.Struct, kw_only=True):
    """What one fault showed."""

    seed: int
    networks: int
    fencing: Fencing
    fault: Fault
    moves: int = 0
    restarts: int = 0
    """Processes of the ledger begun where none was needed."""
    overlaps: int = 0
    awake: float = 0.0
    """Seconds for which an owner that woke after its lease was there beside the next one, where
    that may be: between hosts with nothing but their leases."""
    longest_outage: float = 0.0
    error: str = ""

    @property
    def wakes(self) -> bool:
        """Whether an owner wakes after its lease that nothing but its own switch ends."""
        lost = self.fault.least > 0 and self.fault.kind == "freeze"
        return lost and self.fencing == "lease-only"

    @property
    def unneeded(self) -> int:
        """Moves beyond those that are right."""
        return max(0, self.moves - self.fault.most)

    @property
    def right(self) -> bool:
        """Whether it is what must happen."""
        wanted = self.fault.least <= self.moves <= self.fault.most
        return wanted and not (self.overlaps or self.restarts or self.error)

    def __str__(self) -> str:
        told = f"seed {self.seed}, {self.fencing}, {self.fault}: moves {self.moves} "
        told += f"(expected {self.fault.least}-{self.fault.most}), restarts {self.restarts}, "
        told += f"overlaps {self.overlaps}, longest outage {self.longest_outage:.1f} s"
        return told + (f"; {self.error}" if self.error else "")


RUNS_SEEN: list[Run] = []


class Summary(msgspec.Struct, kw_only=True):
    """All runs in figures; times in seconds."""

    runs: int
    failed: int
    faults: dict[str, int]
    fencing: dict[str, int]
    moves: int
    unneeded_moves: int
    unneeded_restarts: int
    overlaps: int
    awake: float
    longest_outage_without_move: float
    longest_outage: float


def summary(runs: list[Run]) -> Summary:
    """Pure."""
    calm = [run.longest_outage for run in runs if not run.moves]
    return Summary(
        runs=len(runs),
        failed=sum(not run.right for run in runs),
        faults=dict(sorted(Counter(run.fault.kind for run in runs).items())),
        fencing=dict(sorted(Counter(run.fencing for run in runs).items())),
        moves=sum(run.moves for run in runs),
        unneeded_moves=sum(run.unneeded for run in runs),
        unneeded_restarts=sum(run.restarts for run in runs),
        overlaps=sum(run.overlaps for run in runs),
        awake=max((run.awake for run in runs), default=0.0),
        longest_outage_without_move=max(calm, default=0.0),
        longest_outage=max((run.longest_outage for run in runs), default=0.0),
    )


def table(runs: list[Run], by: Callable[[Run], str]) -> Iterator[str]:
    """Rows of `docs/network-soak.md`: what, runs, moves, overlaps, longest outage in seconds."""
    parts: defaultdict[str, list[Run]] = defaultdict(list)
    for run in runs:
        parts[by(run)].append(run)
    for name, part in sorted(parts.items()):
        figures = summary(part)
        counts = f"{figures.runs} | {figures.moves} | {figures.overlaps}"
        yield f"| {name} | {counts} | {figures.longest_outage:.1f} |"


def told(runs: list[Run]) -> Iterator[str]:
    """For people: every run that was not right, and the figures."""
    yield from (str(run) for run in runs if not run.right)
    figures = summary(runs)
    yield f"{figures.runs} runs, {figures.failed} of them wrong"
    yield (
        f"moves {figures.moves}, unneeded {figures.unneeded_moves}; "
        f"unneeded restarts {figures.unneeded_restarts}; overlaps {figures.overlaps}; "
        f"an owner that woke was there for {figures.awake:.2f} s"
    )
    yield (
        f"longest outage {figures.longest_outage:.1f} s, "
        f"where nothing moved {figures.longest_outage_without_move:.1f} s"
    )


def read(file: Path) -> list[Run]:
    """The runs of a file that an earlier part of the soak wrote; none without one."""
    if not file.exists():
        return []
    return msgspec.convert(msgspec.json.decode(file.read_bytes())["runs"], list[Run])


def write(runs: list[Run], file: Path) -> None:
    """The figures and every run, as JSON."""
    runs = sorted(runs, key=lambda run: run.seed)
    file.write_bytes(msgspec.json.encode({"summary": summary(runs), "runs": runs}) + b"\n")
