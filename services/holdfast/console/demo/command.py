"""`holdfast demo`."""

import shutil
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter
from rich.console import Console
from rich.markup import escape

from holdfast.console.demo.failure import DemoFailed
from holdfast.console.demo.screen import LiveScreen, show_outcome
from holdfast.console.demo.stage import LocalStage, Stage
from holdfast.console.demo.story import Story
from holdfast.errors import HoldfastError

FOLDER = Path(".demo")
MAX_WIDTH = 120


async def demo(
    *,
    keep: bool = False,
    compose: bool = False,
    json: bool = False,
    folder: Annotated[Path, Parameter(name=["--folder"])] = FOLDER,
) -> int:
    """Run a real cluster on this machine, kill a service, kill a host, and explain everything.

    Exit code 0: everything promised happened; 1: something did not.

    Parameters
    ----------
    keep
        Leave the cluster running afterwards.
    compose
        In containers, by the compose.yaml of this folder, instead of processes.
    json
        Print the outcome as one line of JSON, for programs.
    folder
        Where state, logs and the ledger's data go; emptied at the start.
    """
    console = Console(highlight=False, stderr=json)
    stage = _stage(folder, compose=compose, console=console)
    story = Story(stage, screen := LiveScreen(console), width=min(console.width, MAX_WIDTH))
    failure = ""
    try:
        with screen:
            await story.play()
    except DemoFailed as error:
        failure = str(error)
        console.print(f"[bold red]failed:[/] {escape(failure)}")
    finally:
        if keep:
            stage.leave()
        else:
            await stage.stop()
    kept = story.outcome.kept and not failure
    if json:
        report = {"kept": kept, "failure": failure, **_plain(story)}
        Console(highlight=False).out(msgspec.json.encode(report).decode())
    else:
        show_outcome(console, story.outcome)
        if keep:
            _say_what_next(console, stage)
    return 0 if kept else 1


def _plain(story: Story) -> dict[str, object]:
    return msgspec.to_builtins(story.outcome)  # type: ignore[no-any-return]


def _stage(folder: Path, *, compose: bool, console: Console) -> Stage:
    if compose:
        from holdfast.console.demo.compose_stage import ComposeStage

        return ComposeStage()
    if (folder / "state" / "cluster.json").exists():
        raise HoldfastError(
            "a demonstration was left running here",
            place=str(folder),
            cure=f"stop it with `holdfast down --state {folder / 'state'}`, or give --folder",
        )
    if folder.exists() and not (folder / "cluster.toml").exists() and any(folder.iterdir()):
        raise HoldfastError(
            "the folder is not empty and was not made by a demonstration",
            place=str(folder),
            cure="give another one with --folder",
        )
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return LocalStage(folder, lambda _line: None)


def _say_what_next(console: Console, stage: Stage) -> None:
    console.print("The cluster runs on. Try:")
    for idea in stage.ideas:
        console.print(f"  {idea}")
