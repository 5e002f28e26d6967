"""Which span an event is: pure projection."""

from uuid import UUID

import msgspec

from holdfast import ids
from holdfast.events import Draft, Health, Layer, event_name, event_types, hands, health
from holdfast.telemetry import STEPS, project, span_id, trace_id, traceparent


def started(**changes: object) -> Draft:
    data = hands.ResourceStarted(
        group="ledger", resource="http", node="beta", epoch=3, instance="1:2", took=0.25
    )
    draft = Draft(id=ids.uuid7(), data=data, entity="resource/ledger/http")
    return msgspec.structs.replace(draft, **changes)


def test_ids_come_from_the_events() -> None:
    root = started()
    caused = started(incident=root.id, cause=root.id)
    assert trace_id(caused.correlation) == UUID(root.id).int
    assert span_id(caused.id) == UUID(caused.id).int & 0xFFFF_FFFF_FFFF_FFFF
    assert traceparent(caused) == f"00-{UUID(root.id).hex}-{UUID(caused.id).hex[16:]}-01"


def test_an_incident_that_is_no_uuid_has_no_trace() -> None:
    assert traceparent(started(incident="not a uuid")) is None
    assert trace_id("00000000-0000-0000-0000-000000000000") is None


def test_a_step_has_name_duration_and_attributes() -> None:
    step = project(started())
    assert (step.name, step.duration, step.failed) == ("start", 0.25, False)
    assert step.attributes["holdfast.resource"] == "http"
    assert step.attributes["holdfast.epoch"] == 3
    assert step.attributes["holdfast.entity"] == "resource/ledger/http"


def test_a_failing_event_is_marked() -> None:
    data = hands.RecoveryExhausted(
        group="g", resource="r", node="beta", epoch=1, reason="three attempts in 300 s"
    )
    assert project(started(data=data)).failed


def test_enumerations_are_plain_text() -> None:
    signal = health.HealthSignal(
        layer=Layer.APPLICATION,
        node="alpha",
        observer="alpha",
        probe="process",
        state=Health.FAILED,
        previous=Health.OK,
        reason="ended",
    )
    assert project(started(data=signal)).attributes["holdfast.state"] == "failed"


def test_every_step_is_a_registered_event() -> None:
    assert STEPS.keys() <= {event_name(cls) for cls in event_types().values()}
