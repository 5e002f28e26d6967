"""What `holdfast volume attach` notes, whom it finds using it, and where it refuses."""

import os
import subprocess
from pathlib import Path

import pytest

from holdfast.console import volume_attach
from holdfast.console.attaching import file
from holdfast.console.attaching.in_use import users
from holdfast.console.attaching.record import AttachError, Attachment, Shelf
from holdfast.wire.volumes import VolumePulse, VolumeStatus

NOTE = Attachment(volume="v", uri="nbd+unix:///v?socket=/s", how="file", path="/p", pid=7, ticks=9)


def test_what_is_noted_is_read_back_and_forgotten(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "shelf")
    with shelf.locked("v"), pytest.raises(AttachError, match="another command"), shelf.locked("v"):
        pass
    assert shelf.read("v") is None
    shelf.keep(NOTE)
    assert shelf.read("v") == NOTE
    (shelf.folder / ".v.json").write_text("{")
    with pytest.raises(AttachError, match="cannot be read"):
        shelf.read("v")
    shelf.forget("v")
    assert shelf.read("v") is None


def test_a_user_without_a_place_is_told_to_name_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/1000")
    assert Shelf().folder == Path("/run/user/1000/holdfast/volumes")
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    with pytest.raises(AttachError, match="name a folder"):
        Shelf()


def test_who_has_it_open_is_named(tmp_path: Path) -> None:
    held = tmp_path / "held"
    held.touch()
    assert users(held) == []
    with held.open() as stdin, subprocess.Popen(["sleep", "60"], stdin=stdin) as process:
        try:
            assert users(held) == [f"open in sleep ({process.pid})"]
        finally:
            process.kill()


def test_what_was_not_finished_is_undone(tmp_path: Path) -> None:
    """The command was killed between its note and its deed."""
    path = tmp_path / "v"
    path.touch()
    begun = Attachment(volume="v", uri=NOTE.uri, how="file", path=str(path))
    assert not file.alive(begun)
    file.detach(begun)
    assert not path.exists()


@pytest.mark.parametrize(
    ("socket", "problem"), [("", "does not say where"), ("/nonexistent/nbd.sock", "on this host")]
)
def test_it_is_refused_where_the_primary_is_not(socket: str, problem: str) -> None:
    pulse = VolumePulse(
        volume="v", standing="in_sync", role="primary", epoch=1, size=4096, socket=socket
    )
    with pytest.raises(AttachError, match=problem):
        volume_attach.door_of(VolumeStatus(node="alpha", heard=True, pulse=pulse))


def test_a_path_with_odd_characters_is_one_uri() -> None:
    pulse = VolumePulse(
        volume="v", standing="in_sync", role="primary", epoch=1, size=4096,
        socket="/srv/a b&c.sock", export="v",
    )  # fmt: skip
    status = VolumeStatus(node="alpha", heard=True, pulse=pulse)
    assert volume_attach.uri_of(status) == "nbd+unix:///v?socket=/srv/a%20b%26c.sock"
