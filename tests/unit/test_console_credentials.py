"""`holdfast init`: what it makes, with which modes, and that it replaces nothing."""

from ipaddress import ip_address
from pathlib import Path

import msgspec
import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import PolicyBuilder, Store

from holdfast.config.model import ClusterFile
from holdfast.console import credentials
from holdfast.console.permissions import users
from holdfast.errors import HoldfastError

CLUSTER = msgspec.convert(
    {
        "cluster": {"name": "demo", "voters": ["alpha", "beta", "w"], "fencing": "lease-only"},
        "nodes": {"alpha": {"address": "10.0.0.1"}, "beta": {"address": "beta.lan"}},
        "witnesses": {"w": {"address": "10.0.0.3"}},
    },
    ClusterFile,
)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_every_user_gets_a_key_of_its_own(tmp_path: Path) -> None:
    made = credentials.initialise(CLUSTER, tmp_path, tls=False)
    assert {path.name for path in (tmp_path / "w").glob("*.nk")} == {
        "failover_decider.nk",
        "notifier.nk",
    }
    register = credentials.read_register(tmp_path / "beta")
    assert set(register) == set(users(CLUSTER))
    assert len(set(register.values())) == len(register) == len(made)
    assert all(key.startswith("U") and len(key) == 56 for key in register.values())
    for user, key in register.items():
        assert credentials.public_key(credentials.seed_file(tmp_path, user)) == key
    tokens = {credentials.read_route_token(tmp_path / place) for place in CLUSTER.places()}
    assert len(tokens) == 1
    assert not (tmp_path / "operator" / credentials.ROUTE_TOKEN).exists()


def test_secrets_are_for_their_owner_only(tmp_path: Path) -> None:
    credentials.initialise(CLUSTER, tmp_path / "out", tls=True)
    for path in (tmp_path / "out").rglob("*"):
        if path.is_dir():
            assert path.stat().st_mode & 0o777 == 0o700
        elif path.suffix not in (".pem", ".json"):
            assert path.stat().st_mode & 0o777 == 0o600
    keys = list((tmp_path / "out").rglob("ca.key"))
    assert keys == [tmp_path / "out" / "ca" / "ca.key"]


def test_a_second_run_changes_nothing(tmp_path: Path) -> None:
    credentials.initialise(CLUSTER, tmp_path, tls=True)
    before = contents(tmp_path)
    assert credentials.initialise(CLUSTER, tmp_path, tls=True) == []
    assert contents(tmp_path) == before


def test_keys_that_were_moved_to_their_place_are_not_made_again(tmp_path: Path) -> None:
    out = tmp_path / "out"
    credentials.initialise(CLUSTER, out, tls=True)
    register = credentials.read_register(out / "beta")
    (out / "alpha").rename(tmp_path / "moved")
    assert credentials.initialise(CLUSTER, out, tls=True) == []
    assert not (out / "alpha").exists()
    assert credentials.read_register(out / "beta") == register


def test_a_new_place_joins(tmp_path: Path) -> None:
    credentials.initialise(CLUSTER, tmp_path, tls=True)
    before = contents(tmp_path)
    gamma = {**CLUSTER.nodes, "gamma": CLUSTER.nodes["beta"]}
    credentials.initialise(msgspec.structs.replace(CLUSTER, nodes=gamma), tmp_path, tls=True)
    after = contents(tmp_path)
    changed = {Path(name).name for name, text in before.items() if after[name] != text}
    assert changed == {credentials.REGISTER}
    assert "monitor@gamma" in credentials.read_register(tmp_path / "alpha")
    assert credentials.read_route_token(tmp_path / "gamma") == credentials.read_route_token(
        tmp_path / "alpha"
    )


def test_certificates_verify_and_name_their_place(tmp_path: Path) -> None:
    credentials.initialise(CLUSTER, tmp_path, tls=True, names={"alpha": ["alpha.example.org"]})
    authority = x509.load_pem_x509_certificate((tmp_path / "ca" / "ca.pem").read_bytes())
    policy = PolicyBuilder().store(Store([authority]))
    server = x509.load_pem_x509_certificate((tmp_path / "alpha" / "server.pem").read_bytes())
    for name in ("alpha", "localhost", "alpha.example.org"):
        policy.build_server_verifier(x509.DNSName(name)).verify(server, [])
    for address in ("10.0.0.1", "127.0.0.1"):
        policy.build_server_verifier(x509.IPAddress(ip_address(address))).verify(server, [])
    with pytest.raises(x509.verification.VerificationError):
        policy.build_server_verifier(x509.DNSName("beta")).verify(server, [])
    usage = server.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert ExtendedKeyUsageOID.CLIENT_AUTH in usage
    client = x509.load_pem_x509_certificate((tmp_path / "reader" / "client.pem").read_bytes())
    usage = client.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]


def test_errors_name_the_file_and_the_cure(tmp_path: Path) -> None:
    credentials.initialise(CLUSTER, tmp_path, tls=False)
    seed = tmp_path / "alpha" / "monitor.nk"
    seed.write_text("SUnonsense")
    with pytest.raises(HoldfastError, match=r"monitor\.nk: not a readable nkey seed"):
        credentials.initialise(CLUSTER, tmp_path, tls=False)
    with pytest.raises(HoldfastError, match=r"--san gamma: not a place"):
        credentials.initialise(CLUSTER, tmp_path / "b", tls=True, names={"gamma": ["x"]})
    with pytest.raises(HoldfastError, match="no public keys here"):
        credentials.read_register(tmp_path / "absent")
