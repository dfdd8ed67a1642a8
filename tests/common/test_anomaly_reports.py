"""Anomalies for the desk: one event per cause, with listed fields only."""

import json
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from libs.common.decisions.facts import Anomaly
from libs.common.events.registry import decode, encode, event_class
from libs.common.messaging.anomaly_reports import REPORTED_FIELDS, anomaly_report
from tests.contracts.reading import SAMPLES, written

NOW = datetime(2026, 3, 10, 3, tzinfo=UTC)
PERSON = ("name", "email", "phone", "street", "city", "postal_code", "recipient", "description", "comment", "note")


@given(st.sampled_from(sorted(SAMPLES)))
def test_every_event_can_be_reported_and_is_an_event_of_the_contract(name: str) -> None:
    report = anomaly_report("returns", Anomaly("odd"), decode(written(SAMPLES[name])), NOW)
    kind = event_class(type(report))
    again = decode(encode(kind.model_construct(id="e", source="/returns", type=report.TYPE, time=NOW, data=report,
                                               subject=report.cause)))  # fmt: skip
    assert again.data == report


@given(st.sampled_from(sorted(SAMPLES)))
def test_no_field_of_a_person_leaves_its_topic(name: str) -> None:
    report = anomaly_report("intake", Anomaly("odd"), decode(written(SAMPLES[name])), NOW)
    assert not {each.field for each in report.reported} & set(PERSON)
    assert {each.field for each in report.reported} <= set(REPORTED_FIELDS)


def reported(name: str, anomaly: Anomaly, event_id: str = "e-1") -> str:
    event = decode(json.dumps({**SAMPLES[name], "id": event_id}))
    return anomaly_report("returns", anomaly, event, NOW).cause


def test_reports_of_one_thing_have_one_cause() -> None:
    first = reported("item.received.v1", Anomaly("odd", "at ten", thing="count:R-7"))
    assert first == reported("item.inspected.v1", Anomaly("odd", "at eleven", thing="count:R-7"), "e-2")


def test_without_a_thing_the_detail_is_the_cause_and_without_both_the_event_is() -> None:
    name = "item.received.v1"
    assert reported(name, Anomaly("odd", "O-1: L2")) == reported(name, Anomaly("odd", "O-1: L2"), "e-2")
    assert reported(name, Anomaly("odd")) != reported(name, Anomaly("odd"), "e-2")


def test_amounts_and_lines_are_listed_by_the_name_of_their_field() -> None:
    report = anomaly_report("returns", Anomaly("odd"), decode(written(SAMPLES["refund.completed.v1"])), NOW)
    amount = SAMPLES["refund.completed.v1"]["data"]["amount"]
    assert {each.field: each.value for each in report.reported}["amount"] == f"{amount['amount']} {amount['currency']}"
