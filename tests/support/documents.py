"""The documentation as data: code blocks, links and anchors; and a shell to run its commands."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(DOCS.glob("*.md"))]

# A machine that runs tests may be busy, which `status` says with exit code 1.
_PRELUDE = """
set -euo pipefail
holdfast() { command holdfast "$@" || { code=$?; [[ $1 == status && $code -eq 1 ]]; }; }
"""


def blocks(page: Path, language: str) -> list[str]:
    """The page's code blocks of one language, in order."""
    text = page.read_text("utf-8")
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```$", text, re.MULTILINE | re.DOTALL)
    return [re.sub(rf"^{indent}", "", body, flags=re.MULTILINE) for indent, body in found]


def links(page: Path) -> Iterator[tuple[str, str]]:
    """Path and anchor of every link into the project; either may be empty."""
    text = re.sub(r"^ *```.*?^ *```$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if not re.match(r"[a-z]+:", target):
            path, _, anchor = target.partition("#")
            yield path, anchor


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def run_session(commands: list[str], folder: Path, *, deadline: float) -> str:
    """Run shell blocks as one session in a folder; returns what was printed.

    Raises AssertionError with the output's end when a command fails or the deadline (seconds)
    passes. Whatever is left of the session's process group is killed.
    """
    marked = [f"echo '--- block {n}'\n{text}" for n, text in enumerate(commands, 1)]
    environment = {name: value for name, value in os.environ.items() if name != "HOLDFAST_HOME"}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    environment["COLUMNS"] = "120"
    output = folder / "session.out"
    with output.open("wb") as out:
        shell = subprocess.Popen(
            ["bash", "-c", _PRELUDE + "\n".join(marked)],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code: int | str = shell.wait(deadline)
        except subprocess.TimeoutExpired:
            code = f"none within {deadline:.0f} s"
            os.killpg(shell.pid, signal.SIGKILL)
            shell.wait()
    said = output.read_text("utf-8", errors="replace")
    assert code == 0, f"exit code {code}; the end of the session:\n{said[-6000:]}"
    return said
