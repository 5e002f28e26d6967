"""Running fence agents by their API: `key=value` lines on standard input, argv empty.

What makes it safe: every key is checked against the agent's metadata before use, because agents
ignore unknown keys; `action` is always named, because its absence means reboot; `off` counts only
when `status` then says off; a time-out is a failure.
"""

import asyncio
import os
import shutil
import signal
import sys
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from holdfast.config.model import FenceDevice
from holdfast.errors import HoldfastError

Outcome = Literal["off", "on", "failed"]
MAX_OUTPUT = 256 * 1024
METADATA_TIMEOUT = 10.0


class FenceError(HoldfastError):
    """An agent that cannot be used as configured. The node counts as alive."""


@dataclass(frozen=True, slots=True)
class FenceResult:
    """What came of a run, in words for the record."""

    outcome: Outcome
    agent: str
    detail: str


async def fence(
    node: str, boot: str, devices: list[FenceDevice], action: Literal["status", "off"]
) -> FenceResult:
    """Try the devices in their order until one answers. Never raises: a failure is a result."""
    results = []
    for device in devices:
        result = await _one(node, boot, device, action)
        if result.outcome == "off" or (action == "status" and result.outcome == "on"):
            return result
        results.append(result)
    return FenceResult(
        "failed",
        ", ".join(result.agent for result in results),
        "; ".join(f"{result.agent}: {result.detail}" for result in results)[:1000],
    )


async def _one(
    node: str, boot: str, device: FenceDevice, action: Literal["status", "off"]
) -> FenceResult:
    try:
        path = find(device.agent)
        known = await _parameters(path)
        options = _options(node, boot, device, known)
        if action == "off":
            code, said = await _run(path, {**options, "action": "off"}, device.timeout)
            if code != 0:
                return FenceResult("failed", device.agent, f"off exited with {code}: {said}")
        code, said = await _run(path, {**options, "action": "status"}, device.timeout)
    except FenceError as error:
        return FenceResult("failed", device.agent, error.problem)
    except TimeoutError:
        return FenceResult("failed", device.agent, f"no answer within {device.timeout} s")
    match code:
        case 2:
            return FenceResult("off", device.agent, "status says off")
        case 0 if action == "status":
            return FenceResult("on", device.agent, "status says on")
        case 0:
            return FenceResult("failed", device.agent, "off succeeded, yet status says on")
        case _:
            return FenceResult("failed", device.agent, f"status exited with {code}: {said}")


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


async def _parameters(path: Path) -> set[str]:
    """Names of the parameters in the agent's metadata. Raises FenceError, TimeoutError."""
    code, text = await _run(path, {"action": "metadata"}, METADATA_TIMEOUT)
    try:
        tree = ET.fromstring(text)
    except ET.ParseError as error:
        raise FenceError(
            f"its metadata (exit code {code}) does not parse: {error}",
            place=str(path),
            cure="is this a fence agent? Try it by hand: echo action=metadata | " + path.name,
        ) from error
    return {parameter.get("name", "") for parameter in tree.iter("parameter")}


def _options(node: str, boot: str, device: FenceDevice, known: set[str]) -> dict[str, str]:
    options = dict(device.options)
    if device.secret_file is not None:
        options |= _read_secrets(Path(device.secret_file))
    plug = device.plug or node
    for name in ("plug", "port", "nodename"):
        if name in known:
            options.setdefault(name, node if name == "nodename" else plug)
    if "boot_id" in known:
        options["boot_id"] = boot
    unknown = sorted(set(options) - known)
    if unknown:
        raise FenceError(
            f"it does not know the option {', '.join(unknown)}",
            place=device.agent,
            cure="agents ignore unknown options: correct the name as its metadata has it",
        )
    return options


def _read_secrets(path: Path) -> dict[str, str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise FenceError(
            f"cannot read the secret file: {error}",
            place=str(path),
            cure="make it readable for the decider, mode 0600, with key=value lines",
        ) from error
    pairs = (line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
    return {key.strip(): value for key, value in pairs}


async def _run(path: Path, options: dict[str, str], timeout: float) -> tuple[int, str]:
    """Run once; exit code and output. Raises TimeoutError, having killed its process group."""
    process = await asyncio.create_subprocess_exec(
        str(path),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        process_group=0,
    )
    lines = "".join(f"{key}={value}\n" for key, value in options.items())
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        async with asyncio.timeout(timeout):
            process.stdin.write(lines.encode())
            process.stdin.close()
            output = await _read(process.stdout)
            await process.wait()
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    assert process.returncode is not None
    text = output.decode(errors="replace").strip()
    is_document = options["action"] == "metadata"
    return process.returncode, text if is_document else text.replace("\n", " ")[-300:]


async def _read(stream: asyncio.StreamReader) -> bytes:
    """Everything up to MAX_OUTPUT; the rest is read, so that the agent can end, and dropped."""
    kept = b""
    while chunk := await stream.read(64 * 1024):
        kept += chunk[: MAX_OUTPUT - len(kept)]
    return kept
