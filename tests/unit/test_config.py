"""The cluster file: what is refused, where the error points, and what it tells to do."""

from pathlib import Path

import pytest

from holdfast.config.load import load
from holdfast.config.problem import ConfigError, Problem

GOOD = """
[cluster]
name = "demo"
voters = ["alpha", "beta", "witness"]

[nodes.alpha]
address = "127.0.21.1"
[[nodes.alpha.fence]]
agent = "fence_test"

[nodes.beta]
address = "127.0.21.2"
[[nodes.beta.fence]]
agent = "fence_test"

[witnesses.witness]
address = "127.0.21.3"

[volumes.ledger]
driver = "directory"
path = "/srv/ledger"

[groups.ledger]
nodes = ["alpha", "beta"]

[groups.ledger.resources.data]
kind = "volume"
volume = "ledger"

[groups.ledger.resources.web]
kind = "process"
command = ["ledger"]
after = ["data"]
checks = [{kind = "process"}, {kind = "http", url = "http://127.0.0.1:8080/"}]
"""


def refused(tmp_path: Path, text: str, *, verify_files: bool = False) -> list[Problem]:
    path = tmp_path / "cluster.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(path, verify_files=verify_files)
    assert str(path) in str(caught.value)
    for problem in caught.value.problems:
        assert problem.problem in str(caught.value)
        assert problem.cure in str(caught.value)
    return caught.value.problems


def test_a_good_file_loads(tmp_path: Path) -> None:
    path = tmp_path / "cluster.toml"
    path.write_text(GOOD)
    cluster = load(path, verify_files=True)
    assert list(cluster.places()) == ["alpha", "beta", "witness"]
    assert cluster.groups["ledger"].resources["web"].after == ["data"]


# (what to change in GOOD, into what, the key path of the error, a word of the cure)
CASES = [
    ('name = "demo"', 'name = "de mo"', "cluster.name", "letters"),
    ('name = "demo"', 'name = "demo"\nprofil = "fast"', "cluster.profil", "`profile`"),
    ('name = "demo"', 'name = "demo"\nprofile = "fsat"', "cluster.profile", "`fast`"),
    ('name = "demo"', 'name = "demo"\nfencing = "none"', "cluster.fencing", "lease-only"),
    ('name = "demo"', "", "cluster.name", "add `name`"),
    ('["alpha", "beta", "witness"]', '["alpha"]', "cluster.voters", "three"),
    ('["alpha", "beta", "witness"]', '["alpha", "beta", "w"]', "cluster.voters[2]", "one of"),
    ('["alpha", "beta", "witness"]', '["alpha", "beta", "alpha"]', "cluster.voters[2]", "once"),
    ('["alpha", "beta", "witness"]', '["alpha", "beta", "beta"]', "cluster.voters", "add a voter"),
    ("[witnesses.witness]", "[witnesses.alpha]", "witnesses.alpha", "name of its own"),
    ("[witnesses.witness]", "[witnesses.operator]", "witnesses.operator", "another name"),
    ('"127.0.21.3"', '"127.0.21.1"', "witnesses.witness.bus.route_port", "free port"),
    ('"127.0.21.3"', "3", "witnesses.witness.address", "give `str`"),
    (
        '"127.0.21.3"',
        '"127.0.21.3"\nbus = {client_port = 70000}',
        "witnesses.witness.bus.client_port",
        "65535",
    ),
    (
        '"127.0.21.3"',
        '"127.0.21.3"\nbus = {route_port = 4222}',
        "witnesses.witness.bus.route_port",
        "free port",
    ),
    (
        '[[nodes.beta.fence]]\nagent = "fence_test"',
        "",
        "nodes.beta.fence",
        'fencing = "lease-only"',
    ),
    ('"/srv/ledger"', '"srv/ledger"', "volumes.ledger.path", "whole path"),
    ('["alpha", "beta"]', '["alpha", "bta"]', "groups.ledger.nodes[1]", "`beta`"),
    ('["alpha", "beta"]', '["alpha", "witness"]', "groups.ledger.nodes[1]", "one of"),
    ('["alpha", "beta"]', '["alpha", "alpha"]', "groups.ledger.nodes[1]", "once"),
    ('volume = "ledger"', 'volume = "leger"', "groups.ledger.resources.data.volume", "`ledger`"),
    ('kind = "process"\nc', 'kind = "proces"\nc', "groups.ledger.resources.web.kind", "`process`"),
    ('kind = "process"\nc', "c", "groups.ledger.resources.web.kind", "volume"),
    ('["ledger"]', '"ledger"', "groups.ledger.resources.web.command", "a list"),
    ('["data"]', '["dat"]', "groups.ledger.resources.web.after[0]", "`data`"),
    ('["data"]', '["web"]', "groups.ledger.resources.web.after", "remove one"),
    (
        'volume = "ledger"',
        'volume = "ledger"\nafter = ["web"]',
        "groups.ledger.resources.data.after",
        "remove one",
    ),
    (
        'volume = "ledger"',
        'volume = "ledger"\nchecks = [{kind = "process"}]',
        "groups.ledger.resources.data.checks[0].kind",
        "tcp",
    ),
    (
        '"http://127.0.0.1:8080/"',
        '"http:///x"',
        "groups.ledger.resources.web.checks[1].url",
        "host",
    ),
    (
        '{kind = "process"}',
        '{kind = "tcp", host = "", port = 1}',
        "groups.ledger.resources.web.checks[0].host",
        "listens",
    ),
    (
        '{kind = "process"}',
        '{kind = "tcp", host = "x"}',
        "groups.ledger.resources.web.checks[0].port",
        "add `port`",
    ),
    ("[volumes.ledger]", "[volume.ledger]", "volume", "`volumes`"),
]


@pytest.mark.parametrize(("old", "new", "key", "cure"), CASES)
def test_each_error_names_its_key_and_cure(
    tmp_path: Path, old: str, new: str, key: str, cure: str
) -> None:
    assert old in GOOD
    # The last place is the one meant: `["alpha", "beta"]` also begins no voters' list.
    head, _, tail = GOOD.rpartition(old)
    found = {problem.key: problem for problem in refused(tmp_path, head + new + tail)}
    assert key in found
    assert cure in found[key].cure


def test_a_volume_has_one_user(tmp_path: Path) -> None:
    second = """
[groups.other]
nodes = ["beta"]
[groups.other.resources.data]
kind = "volume"
volume = "ledger"
"""
    (problem,) = refused(tmp_path, GOOD + second)
    assert problem.key == "groups.other.resources.data.volume"
    assert "groups.ledger.resources.data.volume" in problem.problem


def test_unknown_event_to_notify_about(tmp_path: Path) -> None:
    (problem,) = refused(tmp_path, GOOD + '[notifications]\nevents = ["health_signl"]\n')
    assert problem.key == "notifications.events[0]"
    assert "health_signal" in problem.cure


def test_lease_only_needs_no_fence_device(tmp_path: Path) -> None:
    path = tmp_path / "cluster.toml"
    text = GOOD.replace('name = "demo"', 'name = "demo"\nfencing = "lease-only"')
    for node in ("alpha", "beta"):
        text = text.replace(f'[[nodes.{node}.fence]]\nagent = "fence_test"', "")
    path.write_text(text)
    assert load(path).cluster.fencing == "lease-only"


def test_every_problem_is_told_at_once(tmp_path: Path) -> None:
    text = (
        GOOD.replace('["data"]', '["dat"]')
        .replace('volume = "ledger"', 'volume = "x"')
        .replace('["alpha", "beta", "witness"]', '["alpha", "beta"]')
        .replace('name = "demo"', "name = 1")
    )
    assert {p.key for p in refused(tmp_path, text)} == {"cluster.name", "cluster.voters"}
    text = text.replace("name = 1", 'name = "demo"').replace('"beta"]', '"beta", "x", "y"]', 1)
    keys = {p.key for p in refused(tmp_path, text)}
    assert keys == {
        "cluster.voters",
        "cluster.voters[2]",
        "cluster.voters[3]",
        "groups.ledger.resources.data.volume",
        "groups.ledger.resources.web.after[0]",
    }


def test_syntax_error_names_the_line(tmp_path: Path) -> None:
    (problem,) = refused(tmp_path, "[cluster]\nname = \n")
    assert "line 2" in problem.problem


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.toml: cannot be read: No such file"):
        load(tmp_path / "absent.toml")


def test_not_text_and_too_large(tmp_path: Path) -> None:
    path = tmp_path / "cluster.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="correct the TOML"):
        load(path)
    path.write_bytes(b"#" * (1024 * 1024 + 1))
    with pytest.raises(ConfigError, match="larger than"):
        load(path)


def test_secret_file_must_be_readable_only_where_it_is_used(tmp_path: Path) -> None:
    text = GOOD.replace("[nodes.beta]", f'secret_file = "{tmp_path}/absent"\n\n[nodes.beta]')
    path = tmp_path / "cluster.toml"
    path.write_text(text)
    load(path)
    (problem,) = refused(tmp_path, text, verify_files=True)
    assert problem.key == "nodes.alpha.fence[0].secret_file"
    assert "No such file" in problem.problem
