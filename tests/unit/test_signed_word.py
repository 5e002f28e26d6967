"""An operator's signed word: whose it is, and that it is worth nothing anywhere else."""

from pathlib import Path

import msgspec
import pytest

from holdfast.signed_word import REGISTER, WordError, sign, verify
from holdfast.wire import FenceRequest
from tests.support.cluster_file import write_seed


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    """A place's secrets folder that knows the operator's public key; the seed lies in `ann`."""
    key = write_seed(tmp_path / "ann", "operator")
    (tmp_path / REGISTER).write_bytes(msgspec.json.encode({"operator": key}))
    return tmp_path


def word(folder: Path, action: str = "confirm") -> FenceRequest:
    return sign(
        folder / "operator.nk",
        cluster="demo",
        action=action,  # type: ignore[arg-type]
        node="alpha",
        boot="boot-1",
        operator="ann",
    )


def test_an_operators_word_counts(secrets: Path) -> None:
    verify(word(secrets / "ann"), cluster="demo", secrets=secrets)


@pytest.mark.parametrize(
    "forged",
    [
        {"boot": "boot-2"},
        {"node": "beta"},
        {"action": "allow"},
        {"operator": "bob"},
        {"signature": ""},
        {"signature": "ä"},
        {"signature": "AAAA"},
    ],
)
def test_a_word_that_was_changed_does_not_count(secrets: Path, forged: dict[str, str]) -> None:
    changed = msgspec.structs.replace(word(secrets / "ann"), **forged)
    with pytest.raises(WordError, match="signature does not fit"):
        verify(changed, cluster="demo", secrets=secrets)


def test_a_word_counts_in_its_cluster_only(secrets: Path) -> None:
    with pytest.raises(WordError, match="signature does not fit"):
        verify(word(secrets / "ann"), cluster="other", secrets=secrets)


def test_another_key_is_not_the_operators(secrets: Path) -> None:
    write_seed(secrets / "bob", "operator")
    with pytest.raises(WordError, match="not the operator's"):
        verify(word(secrets / "bob"), cluster="demo", secrets=secrets)


def test_without_a_register_nobody_is_an_operator(secrets: Path) -> None:
    (secrets / REGISTER).unlink()
    with pytest.raises(WordError, match="operators cannot be known") as refused:
        verify(word(secrets / "ann"), cluster="demo", secrets=secrets)
    assert "holdfast init" in refused.value.cure


def test_without_a_seed_nothing_is_signed(tmp_path: Path) -> None:
    with pytest.raises(WordError, match="cannot sign"):
        word(tmp_path)
