"""The documentation is true: its commands run, its files are accepted, its links lead somewhere."""

import asyncio
import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import nats
import nats.errors
import pytest
from nats.js.api import StreamConfig

from holdfast.clock import monotonic
from holdfast.streams import stream_settings
from tests.support.documents import DOCS, PAGES, ROOT, anchors, blocks, links, run_session
from tests.support.nats import MakeServers

SESSION_DEADLINE = 270.0
STARTED = DOCS / "getting-started.md"
ELSEWHERE = {"subscribe.md", "volumes.md"}
"""Pages whose commands have a test of their own."""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """An empty folder; a cluster that a failed session left there is stopped."""
    yield tmp_path
    for state in tmp_path.rglob("cluster.json"):
        down = [sys.executable, "-m", "holdfast.console", "down", "--state", str(state.parent)]
        subprocess.run(down, timeout=60, check=True)


@pytest.mark.timeout(330)
def test_getting_started_is_one_session_that_works(folder: Path) -> None:
    said = run_session(blocks(STARTED, "sh"), folder, deadline=SESSION_DEADLINE)
    shown = {_shape(line) for line in said.splitlines()}
    excerpt = [line for block in blocks(ROOT / "README.md", "text") for line in block.splitlines()]
    promised = [line for line in excerpt if line.startswith(("✓", "    ", "│ ✓"))]
    assert len(promised) > 15
    missing = [line for line in promised if _shape(line) not in shown]
    assert not missing, "README.md shows what the demonstration does not print"


def _shape(line: str) -> str:
    """A line without what differs from run to run: figures, and the widths they give columns."""
    return " ".join(re.sub(r"\d+(\.\d+)?", "#", line).split())


@pytest.mark.parametrize(
    "page",
    [
        page
        for page in PAGES
        if page != STARTED and page.name not in ELSEWHERE and blocks(page, "sh")
    ],
    ids=lambda page: page.name,
)
def test_commands_of_other_pages_run_in_the_project_folder(page: Path, tmp_path: Path) -> None:
    (tmp_path / "docs").symlink_to(DOCS)
    run_session(blocks(page, "sh"), tmp_path, deadline=60)


def test_every_page_says_why_a_block_is_not_run() -> None:
    languages = {"sh", "text", "toml"}
    for page in PAGES:
        fences = re.findall(r"^ *```(.*)$", page.read_text("utf-8"), re.MULTILINE)
        assert set(fences[::2]) <= languages, page
        assert set(fences[1::2]) <= {""}, page


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for path, anchor in links(page):
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page.name} links to {path}"
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target), f"{page.name} links to {path}#{anchor}"


_USERS = """
authorization { users: [
  { user: service, password: "its-own" }
  { user: mender, password: "once-only", permissions {
    publish: ["$JS.API.STREAM.*.HA_EVENTS"], subscribe: ["_INBOX.>"] } }
] }
"""


async def test_an_unwritable_record_is_replaced(make_nats: MakeServers) -> None:
    servers = make_nats(["alpha", "beta", "witness"], extra=_USERS)
    bus = await nats.connect(servers[0].url, user="service", password="its-own")
    stream = bus.jetstream(timeout=3)
    try:
        await _eventually(lambda: stream.add_stream(StreamConfig(**_stream())), "the stream")
        await stream.publish("ha.events.kept", b"{}", headers={"Nats-Msg-Id": "1"})
        with contextlib.suppress(nats.errors.Error):
            forged = {"Nats-Expected-Last-Msg-Id": "another"}
            await stream.publish("ha.events.forged", b"{}", headers=forged)
        with pytest.raises(nats.errors.Error):
            await stream.publish("ha.events.later", b"{}")
        said = await asyncio.to_thread(_replace_stream, servers[1].url)
        assert "replacing a stream of 1 events" in said
        await _eventually(lambda: stream.publish("ha.events.later", b"{}"), "a publish")
        info = await stream.stream_info("HA_EVENTS")
        assert info.config.num_replicas == 3
        assert info.config.deny_delete
    finally:
        await bus.close()


def _stream() -> dict[str, Any]:
    return {key: value for key, value in stream_settings(3)[0].items() if key in _KNOWN}


_KNOWN = {"name", "subjects", "storage", "num_replicas", "deny_delete", "deny_purge", "max_bytes"}


def _replace_stream(url: str) -> str:
    done = subprocess.run(
        [sys.executable, str(DOCS / "examples/replace_stream.py")],
        env={**os.environ, "NATS_URL": url, "NATS_PASSWORD": "once-only"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


async def _eventually(attempt: Callable[[], Awaitable[Any]], what: str) -> None:
    deadline, last = monotonic() + 30, "nothing tried"
    while monotonic() < deadline:
        try:
            await attempt()
            return
        except nats.errors.Error as error:
            last = repr(error)
            await asyncio.sleep(0.1)
    raise AssertionError(f"{what} failed for 30 s: {last}")
