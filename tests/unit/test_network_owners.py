"""The arithmetic of the tests on real networks finds the overlap that must never be."""

from collections import Counter
from pathlib import Path

import msgspec
import pytest

from tests.network.faults import EVERYWHERE, KINDS, LONG, ON_ONE_PATH, STALL, cluster_of, draw
from tests.network.owners import (
    Alive,
    Answer,
    Sample,
    answering,
    current,
    living,
    moves,
    overlaps,
    together,
    told,
)
from tests.network.page import NAMES
from tests.network.runs import Run, read, summary, table, write


def answers(host: str, pid: int, *at: float, epoch: int = 1) -> list[Sample]:
    return [Answer(host=host, asked=t, answered=t + 0.01, epoch=epoch, pid=pid) for t in at]


def silence(host: str, *at: float) -> list[Sample]:
    return [Answer(host=host, asked=t, answered=t + 0.4) for t in at]


def alive(host: str, pid: int, *at: float, frozen: bool = False) -> list[Sample]:
    return [Alive(host=host, at=t, pid=pid, epoch=1, frozen=frozen) for t in at]


def test_one_owner_after_another_is_a_move_and_no_overlap() -> None:
    spans = answering(
        [*answers("a", 1, 0.0, 1.0), *silence("a", 2.0), *answers("b", 2, 3.0, 4.0, epoch=2)]
    )
    assert [(s.host, s.began, s.ended) for s in spans] == [("a", 0.0, 1.01), ("b", 3.0, 4.01)]
    assert moves(spans) == 1
    assert not overlaps(spans)
    assert told(spans, 0.0) == "a 0.0-1.0 (epoch 1), b 3.0-4.0 (epoch 2)"


def test_two_that_answer_at_the_same_time_overlap() -> None:
    spans = answering([*answers("a", 1, 0.0, 1.0), *answers("b", 2, 0.5, 2.0, epoch=2)])
    assert len(overlaps(spans)) == 1


def test_silence_ends_a_span_so_that_a_frozen_owner_does_not_overlap() -> None:
    seen = [
        *answers("a", 1, 0.0),
        *silence("a", 1.0),
        *answers("b", 2, 1.5, epoch=2),
        *silence("b", 2.0),
    ]
    assert not overlaps(answering([*seen, *answers("a", 1, 3.0)]))
    assert len(overlaps(answering([*seen, *answers("a", 1, 1.505)]))) == 1


def test_a_restart_on_the_same_host_is_no_move_but_a_span_of_its_own() -> None:
    spans = answering([*answers("a", 1, 0.0), *answers("a", 2, 1.0)])
    assert moves(spans) == 0
    assert len(spans) == 2


@pytest.mark.parametrize(("frozen_too", "found"), [(True, 1), (False, 0)])
def test_a_frozen_process_counts_only_if_asked_for(frozen_too: bool, found: int) -> None:
    samples = [
        *alive("a", 1, 0.0, 1.0),
        *alive("a", 1, 2.0, 4.0, frozen=True),
        *alive("b", 2, 3.0),
    ]
    assert len(overlaps(living(samples, frozen_too=frozen_too))) == found


def test_a_process_that_wakes_beside_the_next_owner_overlaps() -> None:
    samples = [
        *alive("a", 1, 0.0),
        *alive("a", 1, 1.0, frozen=True),
        *alive("b", 2, 2.0, 4.0),
        *alive("a", 1, 3.0),
    ]
    assert len(overlaps(living(samples, frozen_too=False))) == 1


def test_random_faults_are_of_every_kind_and_only_an_owners_long_one_may_move() -> None:
    drawn = [draw(seed, networks) for seed in range(400) for networks in (("lan",), ("lan", "san"))]
    assert {one.kind for one in drawn} == {*EVERYWHERE, *ON_ONE_PATH}
    assert all(one.lasts == STALL for one in drawn if one.kind == "stall")
    for one in drawn:
        assert one.least == 0 or (one.whom == "owner" and one.lasts >= LONG[0])
        assert one.most == one.least or (one.kind == "outage" and one.lasts >= LONG[0])
        assert (one.kind in ON_ONE_PATH) == bool(one.network)
        assert one.network == "" or one.most == 0
    assert [draw(7, ("lan",)), draw(8, ("lan",))] == [draw(7, ("lan",)), draw(8, ("lan",))]
    assert any(one.least for one in drawn)


def test_the_figures_tell_a_move_that_was_not_needed_from_one_that_was() -> None:
    calm = next(fault for n in range(99) if (fault := draw(n, ("lan",))).most == 0)
    moving = next(fault for n in range(99) if (fault := draw(n, ("lan",))).least == 1)
    runs = [
        Run(seed=1, networks=1, fencing="device", fault=calm, longest_outage=0.2),
        Run(seed=2, networks=1, fencing="device", fault=moving, moves=1, longest_outage=9.0),
        Run(
            seed=3,
            networks=1,
            fencing="watchdog",
            fault=calm,
            moves=2,
            restarts=1,
            overlaps=1,
            longest_outage=8.0,
        ),
        Run(seed=4, networks=1, fencing="lease-only", fault=moving, awake=0.2),
    ]
    assert [run.right for run in runs] == [True, True, False, False]
    figures = summary(runs)
    assert (figures.runs, figures.failed, figures.moves) == (4, 2, 3)
    assert (figures.unneeded_moves, figures.unneeded_restarts, figures.overlaps) == (2, 1, 1)
    assert (figures.longest_outage_without_move, figures.awake) == (0.2, 0.2)
    assert list(table(runs, lambda run: run.fencing)) == [
        "| device | 2 | 1 | 0 | 9.0 |",
        "| lease-only | 1 | 0 | 0 | 0.0 |",
        "| watchdog | 1 | 2 | 1 | 8.0 |",
    ]


def test_an_owner_that_wakes_overlaps_and_is_no_move() -> None:
    seen = [*answers("a", 1, 0.0, 1.0), *answers("b", 2, 2.0, 5.0, epoch=2)]
    spans = answering([*seen, *silence("a", 2.5), *answers("a", 1, 3.0, 3.5)])
    assert [span.host for span in current(spans)] == ["a", "b"]
    ((one, other),) = overlaps(spans)
    assert together(one, other) == pytest.approx(0.51)


def test_each_kind_of_fencing_is_drawn_on_one_network_and_on_two() -> None:
    seen = Counter(cluster_of(seed) for seed in range(1, 61))
    assert len(seen) == 2 * len(KINDS)
    assert set(seen.values()) == {10}


def test_only_between_hosts_without_fencing_may_an_owner_that_slept_wake() -> None:
    drawn = (draw(seed, ("lan",)) for seed in range(999))
    slept = next(fault for fault in drawn if fault.least and fault.kind == "freeze")
    cut = next(fault for seed in range(999) if (fault := draw(seed, ("lan",))).kind == "isolate")
    runs = [
        Run(seed=1, networks=1, fencing=kind, fault=fault)
        for kind in KINDS
        for fault in (slept, cut)
    ]
    assert [(run.fencing, run.fault.kind) for run in runs if run.wakes] == [
        ("lease-only", "freeze")
    ]


def test_the_page_has_a_name_for_every_fault_and_kind_of_fencing() -> None:
    assert set(NAMES) == {*KINDS, *EVERYWHERE, *ON_ONE_PATH}


def test_a_soak_goes_on_where_its_file_ends(tmp_path: Path) -> None:
    file = tmp_path / "soak.json"
    assert read(file) == []
    runs = [
        Run(seed=seed, networks=1, fencing="device", fault=draw(seed, ("lan",))) for seed in (3, 1)
    ]
    write(runs, file)
    assert [run.seed for run in read(file)] == [1, 3]
    old = msgspec.json.decode(file.read_bytes())
    del old["runs"][0]["fencing"]
    file.write_bytes(msgspec.json.encode(old))
    with pytest.raises(msgspec.ValidationError, match="fencing"):
        read(file)
