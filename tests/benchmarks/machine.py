"""What a measurement was taken on."""

import os
import platform
from pathlib import Path

_MEMORY = "MemTotal:"
_MODEL = "model name"


def facts() -> dict[str, str]:
    """The machine in words: figures of another one are not comparable."""
    return {
        "processor": _first("/proc/cpuinfo", _MODEL, platform.processor()).lstrip(" :\t"),
        "cores": str(os.cpu_count()),
        "memory": f"{int(_first('/proc/meminfo', _MEMORY, '0').split()[0]) / 2**20:.0f} GiB",
        "kernel": platform.release(),
        "system": platform.freedesktop_os_release().get("PRETTY_NAME", ""),
        "python": platform.python_version(),
        "load before": f"{os.getloadavg()[0]:.2f}",
    }


def _first(path: str, start: str, default: str) -> str:
    for line in Path(path).read_text().splitlines():
        if line.startswith(start):
            return line.removeprefix(start).strip()
    return default
