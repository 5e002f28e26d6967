"""Progress on a terminal: done steps stay, the current one turns; on a pipe, plain lines."""

import time

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.panel import Panel
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from holdfast.console.demo.outcome import Outcome


class LiveScreen:
    """Shows the story's steps as they go."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._done: list[Text] = []
        self._current = ""
        self._notes: list[str] = []
        self._began = self._step_began = time.monotonic()
        self._live = Live(console=console, refresh_per_second=8, transient=False)

    def __enter__(self) -> "LiveScreen":
        if self._console.is_terminal:
            self._live.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._finish(failed=kind is not None)
        if self._console.is_terminal:
            self._refresh()
            self._live.__exit__(None, None, None)

    def step(self, text: str) -> None:
        """A step begins; the one before is done."""
        self._finish(failed=False)
        self._current, self._step_began = text, time.monotonic()
        self._refresh()

    def note(self, text: str) -> None:
        """A result of the current step."""
        self._notes.append(text)
        self._refresh()

    def _finish(self, *, failed: bool) -> None:
        if not self._current:
            return
        took = time.monotonic() - self._step_began
        mark = ("✗ ", "bold red") if failed else ("✓ ", "bold green")
        line = Text.assemble(mark, self._current, (f"  {took:.1f} s", "dim"))
        for note in self._notes:
            line.append(f"\n    {note}", "cyan")
        self._done.append(line)
        self._current, self._notes = "", []
        if not self._console.is_terminal:
            self._console.print(line)

    def _refresh(self) -> None:
        if not self._console.is_terminal:
            return
        shown: list[Text | Spinner] = list(self._done)
        if self._current:
            notes = "".join(f"\n    [cyan]{escape(note)}[/]" for note in self._notes)
            shown.append(Spinner("dots", text=Text.from_markup(f"{escape(self._current)}{notes}")))
        elapsed = time.monotonic() - self._began
        title = f"Holdfast, {elapsed:.0f} s"
        self._live.update(Panel(Group(*shown), title=title, border_style="blue"))


def show_outcome(console: Console, outcome: Outcome) -> None:
    """The explanations, then what was promised and what was seen."""
    for explanation in outcome.explanations:
        title, _, text = explanation.partition("\n")
        console.rule(f"[bold]why: {escape(title)}", style="blue")
        console.print(Text.from_ansi(text))
    table = Table(title="Promised, and seen from outside", title_style="bold", expand=False)
    table.add_column("")
    table.add_column("promised")
    table.add_column("seen")
    for promise in outcome.promises:
        mark = "[bold green]✓[/]" if promise.kept else "[bold red]✗[/]"
        table.add_row(mark, escape(promise.text), escape(promise.seen))
    console.print(table)
