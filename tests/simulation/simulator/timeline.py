"""A seed's history for people: one line for everything that happened."""

from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from tests.simulation.simulator.world import World

STYLES = {"fault": "bold red", "store": "cyan", "event": "", "": "bright_black"}


class Tape:
    """Collects lines; `text` is the same for the same seed, to the byte."""

    def __init__(self) -> None:
        self.lines: list[tuple[float, str, str, str]] = []

    def add(self, at: float, place: str, text: str, kind: str) -> None:
        """Something happened."""
        self.lines.append((at, place, text, kind))

    def text(self) -> str:
        """Without colours."""
        return "\n".join(f"{at:10.4f} {place:10} {text}" for at, place, text, _ in self.lines)

    def show(self, console: Console) -> None:
        """As a table; faults in red."""
        table = Table("seconds", "place", "what happened", box=None, header_style="bold")
        for at, place, text, kind in self.lines:
            style = STYLES[kind]
            table.add_row(f"{at:.3f}", Text(place, style), Text(text, style))
        console.print(table)


def introduce(world: "World", tape: Tape) -> None:
    """The cluster that the seed drew."""
    file, timing = world.file, world.timing
    first = next(iter(file.nodes.values()))
    kinds = [f"{len(first.fence)} fence device(s)"] if first.fence else []
    kinds += ["a watchdog"] if first.watchdog else []
    kept_apart = f"{' and '.join(kinds)} each" if kinds else "no fence devices, the lease alone"
    tape.add(0.0, "", f"hosts {', '.join(file.nodes)}: {kept_apart}", "")
    tape.add(0.0, "", f"voters {', '.join(world.voters)}; leases of {timing.ttl:g} s", "")
    for name, group in file.groups.items():
        resources = ", ".join(
            f"{resource} after {'+'.join(config.after)}" if config.after else resource
            for resource, config in group.resources.items()
        )
        tape.add(0.0, "", f"{name} on {' or '.join(group.nodes)}: {resources}", "")
    for place in world.places.values():
        if place.rate != 1.0:
            tape.add(
                0.0, place.name, f"its clock runs at {100 * place.rate:.2f} % of true time", ""
            )
