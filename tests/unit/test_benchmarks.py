"""The pure parts of the benchmarks: arithmetic, what logs and events say, and the page."""

import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from holdfast.events import Envelope
from tests.benchmarks.failover.contestants import CONTESTANTS, holdfast_marks, pacemaker_log
from tests.benchmarks.failover.node.machine import HERE
from tests.benchmarks.failover.report import page
from tests.benchmarks.failover.results import (
    APPLICATION,
    HOST,
    Mark,
    Measurement,
    Result,
    Run,
    delays,
    pause,
    ratio,
    split,
    summary,
)
from tests.benchmarks.failover.times import from_log
from tests.support.documents import DOCS
from tests.support.follower import Seen


def _run(outage: float, fault: str = HOST, led: str = "", **phases: float) -> Run:
    return Run(
        fault=fault, outage=outage, phases=phases, owner="alpha", answered_by="beta", led=led
    )


def _result(name: str, *runs: Run, failure: str = "") -> Result:
    return Result(
        name=name, title=name.title(), versions={name: "1.2"}, runs=list(runs), failure=failure
    )


# --- arithmetic ------------------------------------------------------------------------------


def test_stretches_of_one_phase_add_up_and_the_rest_is_start() -> None:
    marks = [
        Mark(phase="decide", at=14.5),
        Mark(phase="detect", at=12.0),
        Mark(phase="fence", at=14.0),
        Mark(phase="decide", at=12.5),
    ]
    spent = split(10.0, marks, 16.0)
    assert spent == {"detect": 2.0, "decide": 1.0, "fence": 1.5, "start": 1.5}
    assert sum(spent.values()) == 6.0


def test_marks_of_coarse_clocks_stay_within_the_outage() -> None:
    marks = [Mark(phase="detect", at=9.9), Mark(phase="decide", at=11.2)]
    assert split(10.0, marks, 11.0) == {"detect": 0.0, "decide": 1.0, "start": 0.0}


def test_a_summary_is_of_medians() -> None:
    found = summary([_run(3.0, start=1.0), _run(9.0, start=2.0), _run(4.0, start=9.0, fence=3.0)])
    assert found is not None
    assert (found.runs, found.median, found.least, found.most) == (3, 4.0, 3.0, 9.0)
    assert found.phases == {"fence": 0.0, "start": 2.0}
    assert summary([]) is None


def test_a_ratio_needs_both() -> None:
    one, peer = summary([_run(2.0)]), summary([_run(8.0)])
    assert ratio(one, peer) == 0.25
    assert ratio(one, None) is ratio(None, peer) is None


def test_faults_are_spread_over_the_interval() -> None:
    assert delays(5, 10.0) == [1.0, 3.0, 5.0, 7.0, 9.0]
    assert pause(7.0, 5.0, 10.0) == 2.0
    assert pause(1.0, 26.0, 10.0) == 5.0


# --- what the contestants say ------------------------------------------------------------------

_LOG = """\
Nov 23 15:58:51.272 alpha pacemaker-controld  [43] (execute_rsc_action) notice: \
Initiating start operation ledger_start_0 on beta | action 6
Nov 23 15:58:55.784 [14] alpha corosync notice  [TOTEM ] A processor failed, forming new \
configuration: token timed out (3650ms), waiting 4380ms for consensus.
Nov 23 15:59:00.164 [14] alpha corosync notice  [TOTEM ] A new membership (1.11) was formed. \
Members left: 2
Nov 23 15:59:00.208 alpha pacemaker-controld  [43] (controld_execute_fence_action) notice: \
Requesting fencing (reboot) of node beta | action=1 timeout=60000
Nov 23 15:59:00.264 witness pacemaker-fenced    [42] (finalize_op) notice: \
Operation 'reboot' targeting beta by alpha for pacemaker-controld.43@alpha: OK (complete)
Nov 23 15:59:00.280 alpha pacemaker-controld  [43] (execute_rsc_action) notice: \
Initiating start operation ledger_start_0 locally on alpha | action 6
Nov 23 15:59:00.600 alpha pacemaker-controld  [43] (log_executor_event) notice: \
Result of start operation for ledger on alpha: ok | CIB update 104
Nov 23 15:59:10.724 alpha pacemaker-controld  [43] (log_executor_event) notice: \
Result of monitor operation for ledger on alpha: not running | rc=7
Nov 23 15:59:10.776 alpha pacemaker-controld  [43] (execute_rsc_action) notice: \
Initiating stop operation ledger_stop_0 locally on alpha | action 2
Nov 23 15:59:11.296 alpha pacemaker-controld  [43] (log_executor_event) notice: \
Result of start operation for ledger on alpha: ok | CIB update 110
"""
_NOW = datetime(2026, 11, 23, 16, 0).astimezone()


def _at(text: str) -> float:
    return from_log(f"Nov 23 {text}", _NOW)


def test_pacemakers_log_has_every_phase_of_a_lost_host() -> None:
    found = pacemaker_log.marks(HOST, "beta", _LOG, began=_at("15:58:52.000"), now=_NOW)
    assert [(mark.phase, mark.at) for mark in found] == [
        ("detect", _at("15:59:00.164")),
        ("decide", _at("15:59:00.208")),
        ("fence", _at("15:59:00.264")),
        ("decide", _at("15:59:00.280")),
        ("start", _at("15:59:00.600")),
    ]


def test_pacemakers_log_has_every_phase_of_a_killed_application() -> None:
    found = pacemaker_log.marks(APPLICATION, "alpha", _LOG, began=_at("15:59:05.000"), now=_NOW)
    assert [(mark.phase, mark.at) for mark in found] == [
        ("detect", _at("15:59:10.724")),
        ("decide", _at("15:59:10.776")),
        ("start", _at("15:59:11.296")),
    ]


def test_a_log_without_a_year_is_read_as_the_past() -> None:
    now = datetime(2027, 1, 1, 0, 0, 1).astimezone()
    assert from_log("Dec 31 23:59:59.500", now) == now.timestamp() - 1.5


_STATE = """\
<pacemaker-result><summary><current_dc name="alpha" with_quorum="true"/></summary>
<nodes><node name="alpha" online="true" pending="false" unclean="false"/>
<node name="beta" online="true" pending="false" unclean="false"/></nodes>
<resources><resource id="ledger" role="Started" failed="false"><node name="beta"/></resource>
</resources></pacemaker-result>"""


def test_pacemaker_is_whole_only_when_everything_is() -> None:
    assert pacemaker_log.whole(_STATE, ("alpha", "beta"))
    assert pacemaker_log.coordinator(_STATE) == "alpha"
    assert not pacemaker_log.whole(_STATE, ("alpha", "beta", "witness"))
    for good, bad in [
        ('online="true" pending="false"', 'online="true" pending="true"'),
        ('with_quorum="true"', 'with_quorum="false"'),
        ('role="Started"', 'role="Starting"'),
        ('failed="false"', 'failed="true"'),
        ('<node name="beta"/>', ""),
    ]:
        assert not pacemaker_log.whole(_STATE.replace(good, bad), ("alpha", "beta")), bad


def _seen(name: str, second: float, **data: Any) -> Seen:
    time = datetime.fromtimestamp(second, UTC).isoformat(timespec="microseconds")
    envelope = Envelope(
        id="",
        source="",
        type="",
        subject="",
        time=time.replace("+00:00", "Z"),
        dataschema="",
        correlationid="",
        sequence="",
        previoushash="",
        hash="",
        data=msgspec.Raw(b"{}"),
    )
    return Seen(name, envelope, data)


SUSPECTED = _seen("node_suspected", 101.5, node="alpha")
OFF = _seen("fence_finished", 101.6, node="alpha", outcome="off")
REVOKED = _seen("lease_revoked", 101.9, node="alpha")
ORDERED = _seen("order_sent", 102.0, action="start")


@pytest.mark.parametrize(("proof", "at"), [([OFF, REVOKED], 1.6), ([REVOKED], 1.9)])
def test_holdfasts_events_have_every_phase_whatever_their_order(
    proof: list[Seen], at: float
) -> None:
    found = holdfast_marks.marks(HOST, "alpha", [ORDERED, *proof, SUSPECTED], 100.0)
    assert found is not None
    assert [mark.phase for mark in found] == ["detect", "fence", "decide"]
    assert [mark.at for mark in found] == pytest.approx([1.5, at, 2.0])


def test_holdfasts_phases_wait_for_events_that_are_still_spooled() -> None:
    on = _seen("fence_finished", 101.6, node="alpha", outcome="on")
    for seen in ([OFF, ORDERED], [SUSPECTED, on, ORDERED], [SUSPECTED, OFF], []):
        assert holdfast_marks.marks(HOST, "alpha", seen, 100.0) is None


def test_holdfasts_local_recovery_is_split_too() -> None:
    failed = _seen("health_signal", 100.1, node="alpha", state="failed", layer="application")
    begun = _seen("recovery_started", 100.2, node="alpha")
    found = holdfast_marks.marks(APPLICATION, "alpha", [begun, failed], 100.0)
    assert found is not None
    assert [mark.at for mark in found] == pytest.approx([0.1, 0.2])


# --- the fence agent ---------------------------------------------------------------------------


def _fence(order: str) -> subprocess.CompletedProcess[str]:
    agent = HERE / "fence_bench.py"
    return subprocess.run([agent], input=order, capture_output=True, text=True, timeout=30)


def test_no_answer_of_the_power_switch_proves_nothing(tmp_path: Path) -> None:
    for action in ("status", "off", "on", "reboot", "monitor", "dance"):
        done = _fence(f"action={action}\nplug=alpha\nswitch={tmp_path / 'absent'}\n")
        assert done.returncode == 1, action
        assert "fence_bench: " in done.stderr


# --- the page ----------------------------------------------------------------------------------


def _page(*results: Result) -> str:
    return page(Measurement(taken="now", machine={"cores": "2"}, results=list(results)))


def test_the_page_says_whether_a_goal_was_reached() -> None:
    peer = _result("pacemaker", _run(10.0), _run(4.0, APPLICATION))
    text = _page(_result("holdfast", _run(2.0, led="deciders"), _run(1.0, APPLICATION)), peer)
    assert "Goal: at most 0.4 × Pacemaker. Seen: 0.200, reached." in text
    assert "Goal: at most 0.1 × Pacemaker. Seen: 0.250, missed." in text
    assert "- Holdfast: the lost host also led (deciders) in 1 of 1." in text
    assert "| Holdfast | 1 | **2.00** | 2.00 to 2.00 |" in text


def test_the_page_hides_no_failure() -> None:
    text = _page(_result("holdfast", _run(2.0)), _result("pacemaker", failure="TimeoutError: no"))
    assert "Goal: at most 0.4 × Pacemaker. Not measured." in text
    assert "- Pacemaker: TimeoutError: no" in text
    assert "Not measured to the end" not in _page(_result("holdfast", _run(2.0)))


def test_the_page_in_the_documentation_is_that_of_its_data() -> None:
    folder = DOCS / "benchmarks"
    data = msgspec.json.decode((folder / "failover.json").read_bytes(), type=Measurement)
    assert (folder / "failover.md").read_text("utf-8") == page(data), "run `make bench`"
    assert {one.name for one in data.results} <= set(CONTESTANTS)
