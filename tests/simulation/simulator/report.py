"""The figures of many seeds: for a terminal, for a document, for a program."""

from collections import Counter
from dataclasses import dataclass

import msgspec
from rich.table import Table

from tests.simulation.simulator.crowd import Figures


@dataclass(frozen=True)
class Report:
    """What came of `count` seeds from `first` on, or of those that were played until it ended."""

    figures: Figures
    first: int
    count: int
    took: float

    def table(self) -> Table:
        """For a terminal."""
        table = Table("figure", "value", box=None)
        for name, value in self._rows().items():
            table.add_row(name, value)
        return table

    def markdown(self) -> str:
        """For docs/."""
        return "\n".join(
            [
                "# Figures of a simulation run",
                "",
                f"Made by `make soak N={self.count} FIRST={self.first} "
                "FIGURES=docs/simulation-figures.md`; [what it means](simulation.md).",
                "",
                *_markdown("run", self._rows()),
                *_markdown("faults, by kind", _counted(self.figures.faults)),
                *_markdown("what happened", _counted(self.figures.seen)),
            ]
        )

    def json(self) -> str:
        """For a program."""
        facts = {
            "first": self.first,
            "asked": self.count,
            "seconds": round(self.took, 1),
            **msgspec.to_builtins(self.figures),
        }
        return msgspec.json.format(msgspec.json.encode(facts)).decode() + "\n"

    def _rows(self) -> dict[str, str]:
        figures, each = self.figures, self.took / max(1, self.figures.seeds)
        return {
            "seeds": f"{figures.seeds:,} of {self.count:,}, from {self.first} on",
            "invariant violations": f"{figures.violations:,}",
            "seeds with one": ", ".join(str(seed) for seed, _ in figures.found) or "none",
            "longest way to rest, virtual": f"{figures.longest_rest:.0f} s",
            "groups at the end": listed(figures.outcomes),
            "virtual time": f"{figures.virtual / 3600:,.1f} h",
            "steps": f"{figures.steps:,}",
            "events": f"{figures.events:,}",
            "starts of groups": f"{figures.moves:,}",
            "failovers": f"{figures.seen['completed: failover']:,}",
            "faults": f"{figures.faults.total():,}",
            "took": f"{self.took:.0f} s, {1000 * each:.1f} ms a seed",
        }


def listed(counts: Counter[str]) -> str:
    """Names and numbers in one line."""
    return ", ".join(f"{name} {number:,}" for name, number in sorted(counts.items())) or "none"


def _counted(counts: Counter[str]) -> dict[str, str]:
    return {name: f"{number:,}" for name, number in counts.most_common()}


def _markdown(title: str, rows: dict[str, str]) -> list[str]:
    head = [f"| {title} | |", "|---|---|"]
    return [*head, *(f"| {name} | {value} |" for name, value in rows.items()), ""]
