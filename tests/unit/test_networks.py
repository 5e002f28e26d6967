"""Several networks: the cluster file, the servers' files and certificates, and what is a signal."""

import subprocess
from pathlib import Path

import msgspec
import pytest
from cryptography import x509

from holdfast.config.check import problems
from holdfast.config.model import ClusterFile
from holdfast.config.sections import PRIMARY
from holdfast.console import credentials
from holdfast.console.bus_config import ROUTES_FILE, render, render_routes
from holdfast.console.launcher.errors import LaunchError
from holdfast.console.launcher.preflight import check_ports, find_nats_server
from holdfast.console.permissions import grant
from holdfast.console.status import degradations
from holdfast.events.fields import Health, Layer
from holdfast.events.health import HealthSignal
from holdfast.failover_decider.core import decide
from holdfast.failover_decider.messages import PulseHeard
from holdfast.failover_decider.state import initial
from holdfast.failover_decider.status import status
from holdfast.ids import uuid7
from holdfast.monitor.probes.paths import BACK_AFTER, Lost
from holdfast.notifier.core import notable
from holdfast.paths import Newest
from holdfast.timing import PROFILES
from holdfast.wire import HandsPulse, MonitorPulse, PathStatus, SignalSummary

LOST_AFTER = 1.5


def cluster(**changes: object) -> ClusterFile:
    """Two hosts and a witness on two networks; `changes` replace whole places or the networks."""
    addresses = {"alpha": "10.1.0.1", "beta": "10.1.0.2", "w": "10.1.0.3"}
    place = {
        name: {"address": address.replace("10.1", "10.0"), "addresses": {"san": address}}
        for name, address in addresses.items()
    }
    tree: dict[str, object] = {
        "cluster": {"name": "demo", "voters": ["alpha", "beta", "w"], "fencing": "lease-only"},
        "networks": changes.get("networks", {"san": {}}),
        "nodes": {name: changes.get(name, place[name]) for name in ("alpha", "beta")},
        "witnesses": {"w": changes.get("w", place["w"])},
    }
    return msgspec.convert(tree, ClusterFile)


def single() -> ClusterFile:
    places = {name: {"address": f"10.0.0.{n}"} for n, name in enumerate(("alpha", "beta", "w"), 1)}
    return cluster(networks={}, **places)


# --- the cluster file --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "key", "problem", "cure"),
    [
        (
            {"beta": {"address": "10.0.0.2"}},
            "nodes.beta.addresses",
            "no address in network `san`",
            "[nodes.beta.addresses]",
        ),
        (
            {"w": {"address": "10.0.0.3", "addresses": {"san": "10.1.0.3", "sna": "10.2.0.3"}}},
            "witnesses.w.addresses.sna",
            "no network `sna`",
            "did you mean `san`?",
        ),
        (
            {"alpha": {"address": "10.0.0.1", "addresses": {"san": "10.0.0.1"}}},
            "nodes.alpha.addresses.san",
            "`nodes.alpha.address`",
            "address of its own",
        ),
        (
            {"beta": {"address": "10.0.0.2", "addresses": {"san": "10.1.0.1"}}},
            "nodes.beta.addresses.san",
            "`nodes.alpha.addresses.san`",
            "address of its own",
        ),
        (
            {"beta": {"address": "beta.example", "addresses": {"san": "10.1.0.2"}}},
            "nodes.beta.address",
            "`beta.example` is no IP address",
            "IP address in that network",
        ),
        (
            {"networks": {"san": {}, PRIMARY: {}}},
            f"networks.{PRIMARY}",
            "network of `address`",
            "another name",
        ),
    ],
)
def test_what_cannot_be_is_told_with_its_key_and_cure(
    changes: dict[str, object], key: str, problem: str, cure: str
) -> None:
    (found,) = problems(cluster(**changes))
    assert found.key == key
    assert problem in found.problem
    assert cure in found.cure


def test_one_network_needs_no_section() -> None:
    assert not problems(single())
    assert single().network_names() == [PRIMARY]
    assert not problems(cluster())
    assert cluster().network_names() == [PRIMARY, "san"]


# --- the servers ---------------------------------------------------------------------------------


def test_the_servers_of_a_pair_call_each_other_over_different_networks() -> None:
    """Each redials one address only: with the same for both, the loss of it would part them."""
    alpha, beta = (render_routes(cluster(), name, "t") for name in ("alpha", "beta"))
    assert "@10.0.0.2:6222" in alpha
    assert "@10.1.0.1:6222" in beta
    assert "10.1.0.2" not in alpha
    assert 'host: "0.0.0.0"' in alpha
    assert "pool_size: -1" in alpha


def test_one_network_is_served_as_ever() -> None:
    routes = render_routes(single(), "beta", "t")
    assert '  host: "10.0.0.2"' in routes
    assert "@10.0.0.1:6222" in routes
    assert "pool_size" not in routes


@pytest.mark.parametrize("six", [False, True])
def test_the_real_server_takes_it_and_its_certificate_covers_every_address(
    tmp_path: Path, six: bool
) -> None:
    beta = {"address": "10.0.0.2", "addresses": {"san": "fd00::2" if six else "10.1.0.2"}}
    made = cluster(beta=beta)
    credentials.initialise(made, tmp_path / "secrets", tls=True)
    place = tmp_path / "secrets" / "beta"
    tls = credentials.server_tls(place)
    config = tmp_path / "nats.conf"
    keys = credentials.read_register(place)
    config.write_text(render(made, "beta", keys, store=str(tmp_path / "js"), tls=tls))
    (tmp_path / ROUTES_FILE).write_text(render_routes(made, "beta", "t", tls=tls))
    assert ('host: "::"' if six else 'host: "0.0.0.0"') in config.read_text()
    subprocess.run([find_nats_server(), "-t", "-c", config], check=True, timeout=20)
    certificate = x509.load_pem_x509_certificate((place / "server.pem").read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    covered = {str(address) for address in names.get_values_for_type(x509.IPAddress)}
    assert {"10.0.0.2", beta["addresses"]["san"]} <= covered  # type: ignore[index]


def test_places_on_one_machine_need_ports_of_their_own() -> None:
    places = {
        name: {"address": f"127.0.41.{n}", "addresses": {"san": f"127.0.42.{n}"}}
        for n, name in enumerate(("alpha", "beta", "w"), 1)
    }
    with pytest.raises(LaunchError, match=r"beta\.bus\.client_port.*`alpha\.bus\.client_port`"):
        check_ports(cluster(**places))


def test_pulses_over_a_path_come_from_their_node_and_are_heard_where_they_were_sent() -> None:
    made = single()
    for service in ("monitor", "recovery"):
        assert "ha.pulse.alpha.*.*" in grant(made, f"{service}@alpha").publish
    for user in ("monitor@beta", "failover_decider@beta"):
        assert "ha.pulse.*.beta.*" in grant(made, user).subscribe


# --- pulses that come more than once -------------------------------------------------------------


def hands(now: float, boot: str = "b", node: str = "alpha") -> HandsPulse:
    return HandsPulse(node=node, boot=boot, now=now, term=1, lease_valid=True)


def beat(now: float, *signals: SignalSummary) -> MonitorPulse:
    return MonitorPulse(node="alpha", boot="b", now=now, signals=list(signals))


def test_repetitions_and_what_a_slow_path_brings_late_are_not_news() -> None:
    newest = Newest({"alpha"})
    assert newest.take(hands(1.0))
    assert not newest.take(hands(1.0))
    assert newest.take(beat(1.0)), "the hands and the monitor speak for themselves"
    assert newest.take(hands(2.0))
    assert not newest.take(hands(1.5))
    assert newest.take(hands(0.5, boot="next")), "a boot's clock is its own"


def test_what_is_not_for_it_to_judge_is_let_through() -> None:
    newest = Newest({"alpha"})
    for _ in range(2):
        assert newest.take(hands(1.0, node="nobody"))
        assert newest.take(msgspec.structs.replace(beat(1.0), service="storage_replication"))


# --- signals -------------------------------------------------------------------------------------


def seen(lost: Lost, now: float, **up: bool) -> dict[str, tuple[Health, float]]:
    """What is said of paths to beta: by network, the state and how long it must last to count."""
    looked = lost.look({("beta", network): is_up for network, is_up in up.items()}, now)
    return {one.subject.probe: (one.state, one.hold) for one in looked}


def test_one_path_down_is_degraded_once_it_lasts_and_ok_only_after_a_while() -> None:
    lost = Lost(LOST_AFTER)
    assert seen(lost, 0.0, lan=True, san=False) == {
        "path-lan": (Health.OK, BACK_AFTER),
        "path-san": (Health.DEGRADED, LOST_AFTER),
    }


def test_a_place_that_is_out_of_reach_is_no_matter_of_paths() -> None:
    lost = Lost(LOST_AFTER)
    assert not seen(lost, 0.0, lan=False, san=False)
    # It is back, and its connections come one after another.
    assert set(seen(lost, 1.0, lan=True, san=False)) == {"path-lan"}
    assert set(seen(lost, LOST_AFTER, lan=True, san=False)) == {"path-lan", "path-san"}


def test_a_lost_path_is_notified_and_shown_and_its_node_is_well() -> None:
    signal = HealthSignal(
        layer=Layer.NETWORK,
        node="beta",
        observer="alpha",
        probe="path-san",
        state=Health.DEGRADED,
        previous=Health.OK,
        reason="path san to beta is lost, another one is up",
    )
    assert notable(signal, None)
    assert not notable(msgspec.structs.replace(signal, probe="path", state=Health.OK), None)
    summary = SignalSummary(
        entity="node/beta",
        node="beta",
        layer=signal.layer,
        probe=signal.probe,
        state=signal.state,
        reason=signal.reason,
        event=uuid7(),
        incident=uuid7(),
        since=1.0,
    )
    state = initial(cluster(), PROFILES["standard"], "w", "boot", 0.0)
    for now in (0.0, 1.0):
        state, _ = decide(state, PulseHeard(beat(now, summary)), now, uuid7)
        state, _ = decide(state, PulseHeard(hands(now)), now, uuid7)
    reply = status(state, 1.0)
    assert reply.paths == [
        PathStatus(network=PRIMARY, node="alpha", lost=[]),
        PathStatus(network=PRIMARY, node="beta", lost=[]),
        PathStatus(network="san", node="alpha", lost=["beta"]),
        PathStatus(network="san", node="beta", lost=[]),
    ]
    assert reply.nodes[0].state == "alive"
    assert any("path san to beta is lost" in one for one in degradations(reply))
    assert not status(initial(single(), PROFILES["standard"], "w", "boot", 1.0), 1.0).paths
