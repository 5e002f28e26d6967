"""The order on standard input: `key=value` lines to a checked Order. No I/O."""

import re
from dataclasses import dataclass
from pathlib import Path

from holdfast.fence_host.errors import FenceError

MAX_INPUT_BYTES = 64 * 1024
DEFAULT_TIMEOUT_SECONDS = 10.0
MAX_TIMEOUT_SECONDS = 300.0
ACTIONS = ("off", "status", "monitor", "list", "metadata", "validate-all")
_REFUSED_ACTIONS = ("on", "reboot")
_HOST_ACTIONS = ("off", "status")
# In the order of precedence: a cluster manager sends `nodename` beside the device's own name.
_PLUG_KEYS = ("plug", "port", "nodename")
KEYS = ("action", *_PLUG_KEYS, "run_dir", "boot_id", "timeout")
_PLUG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")


@dataclass(frozen=True, slots=True)
class Order:
    """One order. `timeout` in seconds; `plug` and `run_dir` are "" where the action needs none."""

    action: str
    plug: str
    run_dir: Path
    boot_id: str | None
    timeout: float


def parse(text: str) -> Order:
    """Raises FenceError. Stricter than usual: an unknown key or no action is an error."""
    values = _pairs(text)
    action = _action(values.get("action"))
    plug = _plug(values)
    run_dir = values.get("run_dir", "")
    if plug is None and action in _HOST_ACTIONS:
        raise _wrong("plug", "is missing", f"`{action}` needs plug=<node>")
    if not run_dir and action != "metadata":
        raise _wrong("run_dir", "is missing", "give the folder that holds <node>/host.json")
    boot_id = values.get("boot_id")
    if boot_id == "":
        raise _wrong("boot_id", "is empty", "name a boot, or leave the key out")
    return Order(action, plug or "", Path(run_dir), boot_id, _timeout(values.get("timeout")))


def _pairs(text: str) -> dict[str, str]:
    values: dict[str, str] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        key, equals, value = line.partition("=")
        key, place = key.strip(), f"standard input, line {number}"
        if not equals:
            raise FenceError("is not key=value", place=place, cure="send one pair per line")
        if key not in KEYS:
            cure = f"this agent knows only: {', '.join(KEYS)}"
            raise FenceError(f"unknown key {key[:40]!r}", place=place, cure=cure)
        if key in values:
            raise FenceError(f"{key} is given twice", place=place, cure="send each key once")
        values[key] = value.strip()
    return values


def _action(action: str | None) -> str:
    known = f"name one of: {', '.join(ACTIONS)}"
    if not action:
        raise _wrong("action", "is missing", f"{known}; there is no default")
    if action in _REFUSED_ACTIONS:
        cure = "use off; a host is started by whoever launched it, never by this agent"
        raise _wrong("action", f"{action} is not supported", cure)
    if action not in ACTIONS:
        raise _wrong("action", f"unknown action {action[:40]!r}", known)
    return action


def _plug(values: dict[str, str]) -> str | None:
    for key in _PLUG_KEYS:
        if key in values:
            if not _PLUG.fullmatch(values[key]):
                raise _wrong(key, "is not a node name", "letters, digits, '_', '.', '-'; up to 64")
            return values[key]
    return None


def _timeout(text: str | None) -> float:
    if text is None:
        return DEFAULT_TIMEOUT_SECONDS
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= MAX_TIMEOUT_SECONDS:
        cure = f"seconds, more than 0, at most {MAX_TIMEOUT_SECONDS:.0f}"
        raise _wrong("timeout", f"{text[:40]!r} is not usable", cure)
    return seconds


def _wrong(key: str, problem: str, cure: str) -> FenceError:
    return FenceError(problem, place=f"standard input, {key}", cure=cure)
