"""A seed's history for people: one line for everything that happened."""

from rich.console import Console
from rich.table import Table
from rich.text import Text

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
