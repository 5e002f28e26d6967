"""Finding and running agents: `key=value` lines on standard input, argv empty, a process group."""

import asyncio
import os
import shutil
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from holdfast.fence_agents.errors import FenceError
from holdfast.fence_agents.metadata import Agent, parse

MAX_OUTPUT = 256 * 1024
METADATA_TIMEOUT = 10.0
REAP_WITHIN = 5.0
_known: dict[tuple[str, int, int], Agent] = {}
"""Metadata by program, time and size: one entry for each agent of the cluster file."""


def find(agent: str) -> Path:
    """The agent's program: a path as it is, a name beside Python, on PATH or in /usr/sbin.

    Raises FenceError.
    """
    folders = os.pathsep.join(
        [str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath), "/usr/sbin"]
    )
    found = shutil.which(agent, path=folders)
    if found is None:
        raise FenceError(
            f"fence agent {agent} is not installed here",
            place=agent,
            cure="install it on every place with a vote, e.g. the package fence-agents",
        )
    return Path(found)


async def describe(path: Path) -> Agent:
    """What the agent says of itself; asked once as long as the program stays the same.

    Raises FenceError.
    """
    try:
        stat = os.stat(path)
    except OSError as error:
        raise FenceError(
            f"cannot be used: {error.strerror}", place=str(path), cure="install it again"
        ) from error
    key = (str(path), stat.st_mtime_ns, stat.st_size)
    if key not in _known:
        _, text = await run(path, {"action": "metadata"}, METADATA_TIMEOUT)
        _known[key] = parse(text, path.name)
    return _known[key]


def read_secrets(path: Path) -> dict[str, str]:
    """The `key=value` lines of a secret file. Raises FenceError."""
    cure = "make it readable for the decider, mode 0600, with key=value lines"
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        problem = f"cannot read the secret file: {error}"
        raise FenceError(problem, place=str(path), cure=cure) from error
    secrets: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        key, equals, value = line.partition("=")
        if not line.strip() or line.startswith("#"):
            continue
        if not equals:
            raise FenceError(f"line {number} is not key=value", place=str(path), cure=cure)
        secrets[key.strip()] = value
    return secrets


async def run(path: Path, options: Mapping[str, str], timeout: float) -> tuple[int, str]:
    """Run once; exit code and output. Its process group is killed if it does not end in time, or
    if the task is cancelled. Raises FenceError.

    `timeout` in seconds. coreutils' timeout(1) ends it a little later should this process stand
    still or die meanwhile: no run of an agent outlives its time by much.
    """
    # What interpreters say on standard error would spoil the document.
    is_document = options["action"] == "metadata"
    errors = asyncio.subprocess.DEVNULL if is_document else asyncio.subprocess.STDOUT
    try:
        process = await asyncio.create_subprocess_exec(
            "timeout",
            "--signal=KILL",
            f"{timeout + REAP_WITHIN:.1f}",
            str(path),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
            process_group=0,
        )
    except OSError as error:
        cure = "install coreutils: its timeout(1) runs the agents"
        raise FenceError(f"cannot be run: {error}", place=str(path), cure=cure) from error
    lines = "".join(f"{key}={value}\n" for key, value in options.items())
    try:
        async with asyncio.timeout(timeout):
            output = await _talk(process, lines.encode())
    except TimeoutError as error:
        raise FenceError(
            f"no answer within {timeout:g} s",
            place=path.name,
            cure="look at the device; raise `timeout` if it takes that long",
        ) from error
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    assert process.returncode is not None
    text = output.decode(errors="replace").strip()
    return process.returncode, text if is_document else text.replace("\n", " ")[-300:]


async def _talk(process: asyncio.subprocess.Process, order: bytes) -> bytes:
    """Everything it says up to MAX_OUTPUT; the rest is read, so that it can end, and dropped."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(order)
    process.stdin.close()
    kept = b""
    while chunk := await process.stdout.read(64 * 1024):
        kept += chunk[: MAX_OUTPUT - len(kept)]
    await process.wait()
    return kept
