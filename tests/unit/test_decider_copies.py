"""Placement of groups with replicated volumes: who is preferred, who is refused, and why."""

from typing import Any

import msgspec
import pytest

from holdfast.config.model import ClusterFile
from holdfast.failover_decider.placement import choose
from holdfast.failover_decider.state import NodeView, State, initial
from holdfast.timing import PROFILES
from holdfast.wire import HandsPulse
from holdfast.wire.volumes import MemberPulse, VolumePulse

NOW = 100.0


def cluster(**volume: Any) -> ClusterFile:
    members = {n: {"path": "/srv/v.raw", "port": 7801} for n in ("alpha", "beta")}
    return msgspec.convert(
        {
            "cluster": {"name": "w", "voters": ["alpha", "beta", "w"], "fencing": "lease-only"},
            "nodes": {"alpha": {"address": "127.0.0.1"}, "beta": {"address": "127.0.0.2"}},
            "witnesses": {"w": {"address": "127.0.0.3"}},
            "volumes": {
                "v": {"driver": "replicated", "size": "1GiB", "members": members, **volume}
            },
            "groups": {
                "g": {
                    "nodes": ["alpha", "beta"],
                    "resources": {"store": {"kind": "volume", "volume": "v"}},
                }
            },
        },
        ClusterFile,
    )


def state(made: ClusterFile, alpha: VolumePulse | None, beta: VolumePulse | None) -> State:
    """Both nodes are well; each said this of its copy."""
    blank = initial(made, PROFILES["standard"], "w", "boot", 1.0)
    views = {
        node: NodeView(
            node,
            boot="b",
            heard=NOW,
            clock=NOW,
            hands=HandsPulse(node=node, boot="b", now=NOW, term=1, lease_valid=True),
            volumes=(copy,) if copy else (),
        )
        for node, copy in (("alpha", alpha), ("beta", beta))
    }
    return msgspec.structs.replace(blank, nodes=views)


def copy(standing: str, **more: Any) -> VolumePulse:
    fields = {"role": "replica", "epoch": 4, "size": 1 << 30, **more}
    return VolumePulse(volume="v", standing=standing, **fields)  # type: ignore[arg-type]


def primary(*, phase: str = "streaming", **member: Any) -> VolumePulse:
    seen = MemberPulse(node="beta", connected=phase != "away", phase=phase, **member)
    return copy("in_sync", role="primary", in_sync=["alpha"], members=[seen])


def test_a_copy_in_sync_comes_before_an_earlier_node_and_one_behind_is_refused() -> None:
    behind = copy("behind", in_sync=["beta"])
    choice = choose(state(cluster(), behind, copy("in_sync")), "g", NOW, [])
    assert choice.target == "beta"
    assert "lacks acknowledged writes; beta has all" in choice.reasons("alpha")


def test_a_record_of_the_past_counts_on_nobody_but_the_newest_copy() -> None:
    """The bucket was restored: by it both are in sync, and beta was taken out since."""
    alpha, beta = copy("in_sync", epoch=6, record=4), copy("in_sync", epoch=4, record=4)
    choice = choose(state(cluster(), alpha, beta), "g", NOW, [], "beta")
    assert choice.target == "alpha"
    assert "of the past (epoch 4): the copy on alpha is of epoch 6" in choice.reasons("beta")
    for known in (6, 0):  # as it is, and by a service that does not tell
        beta = copy("in_sync", epoch=4, record=known)
        assert choose(state(cluster(), alpha, beta), "g", NOW, [], "beta").target == "beta"


def test_an_orderly_move_gives_a_copy_that_follows_all_of_it() -> None:
    copies = primary(lag_bytes=512, lag_seconds=0.1), copy("following", in_sync=["alpha"])
    lost = choose(state(cluster(mode="async"), *copies), "g", NOW, ["b"], "beta")
    assert lost.target is None
    moved = choose(state(cluster(mode="async"), *copies), "g", NOW, [], "beta", orderly=True)
    assert moved.target == "beta"


def test_an_orderly_move_gives_nothing_to_a_copy_that_is_away() -> None:
    within = cluster(mode="async", max_lag={"bytes": "1MiB", "seconds": 5.0})
    away = primary(phase="away", lag_bytes=512, lag_seconds=0.1)
    made = state(within, away, copy("following", in_sync=["alpha"]))
    moved = choose(made, "g", NOW, [], "beta", orderly=True)
    assert moved.target == "alpha"
    assert "512 bytes of 0.1 s may be lost" in moved.reasons("beta")
    assert choose(_without_alpha(made), "g", NOW, []).target == "beta"


def test_a_copy_that_follows_and_lost_power_needs_an_operators_word() -> None:
    """What it lacks is more than its primary told: it had that only in memory."""
    within = cluster(mode="async", max_lag={"bytes": "1MiB", "seconds": 5.0})
    lost = copy("following", in_sync=["alpha"], intact=False)
    made = _without_alpha(state(within, primary(phase="away"), lost))
    refused = choose(made, "g", NOW, [])
    assert refused.target is None
    assert "it lost power: more than 0 bytes" in refused.reasons("beta")


def test_among_copies_in_sync_one_that_lost_power_comes_last() -> None:
    unsure = copy("in_sync", intact=False)
    choice = choose(state(cluster(), unsure, copy("in_sync")), "g", NOW, [])
    assert choice.target == "beta"
    assert choose(state(cluster(), unsure, copy("behind")), "g", NOW, []).target == "alpha"


@pytest.mark.parametrize(
    ("problem", "said"),
    [
        (copy("in_sync", problem="its disk failed (errno 5)"), "disk failed"),
        (copy("none"), "no copy of volume v on record"),
        (None, "has not told"),
    ],
)
def test_what_cannot_be_used_is_refused_with_the_reason(
    problem: VolumePulse | None, said: str
) -> None:
    choice = choose(state(cluster(), problem, problem), "g", NOW, [])
    assert choice.target is None
    assert said in choice.reasons()


def test_an_async_loss_is_said_in_bytes_and_seconds_and_needs_max_lag_or_a_word() -> None:
    follower = copy("following", in_sync=["alpha"])
    lag: dict[str, Any] = {"lag_bytes": 81920, "lag_seconds": 0.8}
    made = state(cluster(mode="async"), primary(**lag), follower)
    refused = choose(made, "g", NOW, ["b"])
    assert refused.target is None
    refused = choose(_without_alpha(made), "g", NOW, [])
    assert refused.target is None
    assert "81920 bytes of 0.8 s may be lost" in refused.reasons("beta")
    within = cluster(mode="async", max_lag={"bytes": "1MiB", "seconds": 5.0})
    made = _without_alpha(state(within, primary(**lag), follower))
    assert choose(made, "g", NOW, []).target == "beta"
    word = _without_alpha(state(cluster(mode="async"), primary(), copy("accepted")))
    assert choose(word, "g", NOW, []).target == "beta"


def test_how_much_a_copy_that_is_behind_lacks_is_said_in_bytes_and_seconds() -> None:
    seen = primary(behind=4096, behind_seconds=12.5)
    made = _without_alpha(state(cluster(mode="async"), seen, copy("behind", in_sync=["alpha"])))
    refused = choose(made, "g", NOW, [])
    assert refused.target is None
    assert "is behind, by at most 4096 bytes of the last 12.5 s" in refused.reasons("beta")


def _without_alpha(made: State) -> State:
    """Silent now; what it said last of its members stays known."""
    silent = msgspec.structs.replace(made.nodes["alpha"], heard=NOW - 60.0)
    return msgspec.structs.replace(made, nodes={**made.nodes, "alpha": silent})
