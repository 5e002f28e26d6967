"""Which epoch may use a volume, in memory and on the volume, and how its health is told."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.events import Draft, Health
from holdfast.events.health import HealthSignal
from holdfast.storage_replication.drivers.base import VolumeProblem
from holdfast.storage_replication.drivers.directory import MARK, DirectoryDriver
from holdfast.storage_replication.epochs import Mark, refusal
from holdfast.storage_replication.memory import Memory, MemoryFailed, Remembered
from holdfast.storage_replication.signals import Seen, Signals

MARKS = st.builds(
    Mark,
    epoch=st.integers(1, 5),
    node=st.sampled_from(["alpha", "beta"]),
    boot=st.sampled_from(["one", "two"]),
)


@given(wanted=st.lists(MARKS, max_size=30))
def test_accepted_epochs_only_rise_and_have_one_node_each(wanted: list[Mark]) -> None:
    known, accepted = Mark(), []
    for mark in wanted:
        if not refusal(known, mark):
            accepted.append(mark)
            known = mark
    epochs = [mark.epoch for mark in accepted]
    assert epochs == sorted(epochs)
    owners: dict[int, set[str]] = {}
    for mark in accepted:
        owners.setdefault(mark.epoch, set()).add(mark.node)
    assert all(len(nodes) == 1 for nodes in owners.values())
    if wanted:
        assert accepted[0] == wanted[0], "a fresh volume takes the first"


def test_the_mark_on_the_volume_binds_every_node(tmp_path: Path) -> None:
    alpha, beta = (DirectoryDriver(str(tmp_path), node) for node in ("alpha", "beta"))
    first = Mark(epoch=3, node="alpha", boot="one")
    alpha.activate(first)
    alpha.activate(first)
    alpha.probe(first)
    with pytest.raises(VolumeProblem, match="belongs to alpha"):
        beta.activate(Mark(epoch=3, node="beta", boot="one"))
    second = Mark(epoch=4, node="beta", boot="one")
    beta.activate(second)
    with pytest.raises(VolumeProblem, match="no longer"):
        alpha.probe(first)
    with pytest.raises(VolumeProblem, match="is past: beta"):
        alpha.activate(first)
    beta.release()
    with pytest.raises(VolumeProblem, match="is past: beta"):
        alpha.activate(first)
    assert msgspec.json.decode((tmp_path / MARK).read_bytes(), type=Mark) == second


def test_a_damaged_mark_is_not_guessed(tmp_path: Path) -> None:
    (tmp_path / MARK).write_bytes(b'{"epoch": ')
    with pytest.raises(VolumeProblem, match="damaged"):
        DirectoryDriver(str(tmp_path), "alpha").activate(Mark(epoch=9, node="alpha", boot="one"))


@pytest.mark.parametrize("what", ["missing", "file", "full"])
def test_what_is_no_usable_directory_is_refused(tmp_path: Path, what: str) -> None:
    path = tmp_path / "volume"
    if what == "file":
        path.touch()
    if what == "full":
        # Every write to it fails as on a full disk.
        path.mkdir()
        (path / ".holdfast-probe-alpha").symlink_to("/dev/full")
    with pytest.raises((VolumeProblem, OSError)):
        DirectoryDriver(str(path), "alpha").activate(Mark(epoch=1, node="alpha", boot="one"))
    assert not (path / MARK).exists()


def test_memory_survives_and_is_never_guessed(tmp_path: Path) -> None:
    kept = Remembered(mark=Mark(epoch=7, node="alpha", boot="one"), active=True)
    Memory(tmp_path).store("data", kept)
    assert Memory(tmp_path).of("data") == kept
    assert Memory(tmp_path).of("other") == Remembered()
    (tmp_path / "volumes.json").write_bytes(b"[")
    with pytest.raises(MemoryFailed, match="cure"):
        Memory(tmp_path)


def test_health_is_told_once_per_change() -> None:
    numbers = iter(range(100))
    signals, drafts = Signals("alpha"), []

    def observe(problem: str) -> None:
        nonlocal signals
        signals, draft = signals.observe(
            Seen("data", 3), problem, 5.0, lambda: f"id-{next(numbers)}"
        )
        if draft is not None:
            drafts.append(draft)

    for problem in ("", "no answer", "still none", "", ""):
        observe(problem)
        assert [s.reason for s in signals.failing] == (["no answer"] if problem else [])
    assert [state_of(draft) for draft in drafts] == [Health.FAILED, Health.OK]
    assert drafts[1].cause == drafts[1].incident == drafts[0].id
    observe("again")
    assert signals.forget("data").failing == ()


def state_of(draft: Draft) -> Health:
    """The state a health signal tells."""
    assert isinstance(draft.data, HealthSignal)
    return draft.data.state
