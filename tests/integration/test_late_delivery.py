"""Nothing sent into a cut network is delivered after it heals; nats-py as it comes does that."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

UNSHARE = ["unshare", "--user", "--map-root-user", "--net"]


def namespaces_allowed() -> bool:
    """Whether this user may make a network namespace."""
    try:
        return subprocess.run([*UNSHARE, "true"], capture_output=True, timeout=10).returncode == 0
    except OSError:
        return False


async def cut_off(kind: str, folder: Path) -> dict[str, Any]:
    process = await asyncio.create_subprocess_exec(
        *(*UNSHARE, sys.executable, "-m", "tests.support.cut_off", kind, str(folder / kind)),
        stdout=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(60):
        output, _ = await process.communicate()
    assert process.returncode == 0
    result: dict[str, Any] = json.loads(output)
    return result


@pytest.mark.skipif(not namespaces_allowed(), reason="needs a network namespace to cut")
async def test_requests_sent_into_a_cut_are_never_delivered(tmp_path: Path) -> None:
    safe, stock = await asyncio.gather(cut_off("safe", tmp_path), cut_off("stock", tmp_path))
    assert safe["asked"] > 5
    assert safe["late"] == []
    assert stock["late"], "the cut did not show what it is for: this test would prove nothing"
