"""Replicated volumes in the cluster file: what is refused, and where the error points."""

from pathlib import Path

import pytest

from holdfast.config import volume_check
from holdfast.config.load import load
from holdfast.config.problem import ConfigError
from holdfast.config.volumes import ReplicatedVolume, size_in_bytes

GOOD = """
[cluster]
name = "demo"
voters = ["alpha", "beta", "witness"]
fencing = "lease-only"

[nodes.alpha]
address = "127.0.21.1"
[nodes.beta]
address = "127.0.21.2"
[witnesses.witness]
address = "127.0.21.3"

[volumes.data]
driver = "replicated"
size = "20GiB"
[volumes.data.members.alpha]
path = "/srv/data.raw"
port = 7801
[volumes.data.members.beta]
path = "/srv/data.raw"
port = 7801

[groups.shop]
nodes = ["alpha", "beta"]
[groups.shop.resources.store]
kind = "volume"
volume = "data"
"""


def test_a_good_file_loads(tmp_path: Path) -> None:
    path = tmp_path / "cluster.toml"
    path.write_text(GOOD)
    volume = load(path).volumes["data"]
    assert isinstance(volume, ReplicatedVolume)
    assert size_in_bytes(volume.size) == 20 << 30
    assert (volume.mode, volume.on_full, volume.max_lag) == ("sync", "bitmap", None)


WRONG = [
    ('"replicated"', '"replicate"', "volumes.data.driver", "did you mean `replicated`"),
    ('driver = "replicated"', "", "volumes.data.driver", "directory, replicated"),
    ('"20GiB"', '"20 GB"', "volumes.data.size", ""),
    ('"20GiB"', '"0GiB"', "volumes.data.size", ""),
    ("members.beta", "members.gamma", "volumes.data.members.gamma", "alpha, beta"),
    ("port = 7801", "port = 0", "volumes.data.members.alpha.port", ""),
    ('nodes = ["alpha", "beta"]', 'nodes = ["alpha"]', "", ""),
    (
        '[volumes.data.members.beta]\npath = "/srv/data.raw"\nport = 7801\n',
        "",
        "groups.shop.nodes[1]",
        "volumes.data.members.beta",
    ),
    ("port = 7801", "port = 4222", "volumes.data.members.alpha.port", "its own"),
    ('"/srv/data.raw"', '"data.raw"', "volumes.data.members.alpha.path", "whole path"),
    (
        '"20GiB"',
        '"20GiB"\nmax_lag = { seconds = 5 }',
        "volumes.data.max_lag",
        'mode = "async"',
    ),
    (
        "port = 7801\n",
        'port = 7801\nnetwork = "san"\n',
        "volumes.data.members.alpha.network",
        "primary",
    ),
]


@pytest.mark.parametrize(("old", "new", "key", "cure"), WRONG)
def test_each_error_names_its_key_and_cure(
    tmp_path: Path, old: str, new: str, key: str, cure: str
) -> None:
    assert old in GOOD
    path = tmp_path / "cluster.toml"
    path.write_text(GOOD.replace(old, new))
    if not key:
        load(path)
        return
    with pytest.raises(ConfigError) as caught:
        load(path)
    first = caught.value.problems[0]
    assert first.key == key
    assert cure in first.cure


def test_two_volumes_share_no_port_file_or_socket(tmp_path: Path) -> None:
    second = GOOD[GOOD.index("[volumes") : GOOD.index("[groups")].replace("s.data", "s.logs")
    path = tmp_path / "cluster.toml"
    path.write_text(GOOD + second)
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert {problem.key for problem in caught.value.problems} == {
        f"volumes.logs.members.{node}.{field}"
        for node in ("alpha", "beta")
        for field in ("port", "path")
    }


@pytest.mark.parametrize("name", ["sdb", "vda2", "nvme0n1", "md1", "xvdf", "dm-3"])
def test_a_device_by_a_name_of_the_kernel_is_a_weakness(tmp_path: Path, name: str) -> None:
    path = tmp_path / "cluster.toml"
    path.write_text(GOOD.replace("/srv/data.raw", f"/dev/{name}", 1))
    (found,) = volume_check.weaknesses(load(path))
    assert found.startswith(f"volumes.data.members.alpha.path: /dev/{name} may be another disk")


@pytest.mark.parametrize("name", ["disk/by-id/wwn-0x5002", "mapper/vg-data", "vg/data", "md/data"])
def test_a_name_that_stays_is_none(tmp_path: Path, name: str) -> None:
    path = tmp_path / "cluster.toml"
    path.write_text(GOOD.replace("/srv/data.raw", f"/dev/{name}", 1))
    assert not list(volume_check.weaknesses(load(path)))
