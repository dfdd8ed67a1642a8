"""Every check of the auditor passes a valid history and fails a tampered one."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from deploy.verification.auditor import CHECKS, NUMBERS, audit
from deploy.verification.evidence import DatabaseEvidence, Row
from deploy.verification.verdict import run_check
from tests.verification.histories import (
    HOME,
    ISSUE,
    ORDER_LINE,
    START,
    HistoryBuilder,
    corrected_history,
    merged_history,
    refund_history,
    valid_history,
)
from tests.verification.refund_tampering import TAMPERED_REFUND
from tests.verification.request_tampering import TAMPERED_REQUESTS, announced, overdue, requested, settled
from tests.verification.tampering import TAMPERED, TIMER, Tamper, in_database, late_order, with_event


@pytest.mark.parametrize("story", [valid_history, refund_history, corrected_history, merged_history])
def test_a_valid_history_has_no_violations(story: Callable[[], HistoryBuilder]) -> None:
    found = {verdict.name: verdict.violations for verdict in audit(story().history())}
    assert found == dict.fromkeys(CHECKS, ())


def test_every_check_is_seen_to_fail_once() -> None:
    assert {name for name, _, _ in (*TAMPERED, *TAMPERED_REQUESTS, *TAMPERED_REFUND)} == set(CHECKS)


OF_THE_VALID = [*TAMPERED, *TAMPERED_REQUESTS]


@pytest.mark.parametrize(("name", "what", "tamper"), OF_THE_VALID, ids=[f"{n}: {what}" for n, what, _ in OF_THE_VALID])
def test_a_tampered_history_is_detected_with_its_records(name: str, what: str, tamper: Tamper) -> None:
    found = run_check(name, CHECKS[name], tamper(valid_history()).history()).violations
    assert found
    assert all(violation.records for violation in found)


@pytest.mark.parametrize(
    ("name", "what", "tamper"), TAMPERED_REFUND, ids=[f"{n}: {what}" for n, what, _ in TAMPERED_REFUND]
)
def test_a_tampered_refund_is_detected_with_its_records(name: str, what: str, tamper: Tamper) -> None:
    found = run_check(name, CHECKS[name], tamper(refund_history()).history()).violations
    assert found
    assert all(violation.records for violation in found)


def test_the_refund_of_a_unit_that_was_taken_out_leaves_the_price_of_the_others() -> None:
    two_units = refund_history().with_data("order.placed", lines=[{**ORDER_LINE, "quantity": 2}])
    one_unit = two_units.repeated("order.placed", lines=[ORDER_LINE])
    back = {"order_id": "S1", "refund_id": "R1", "amount": ORDER_LINE["unit_price"]}
    story = with_event(one_unit, "storefront.orders", "order.refunded", 2, **back)
    name = "refunded_within_paid"
    assert run_check(name, CHECKS[name], story.history()).violations == ()


def test_a_history_sent_again_after_a_correction_is_no_newer_version() -> None:
    story = corrected_history()
    placed = story.facts[0].data
    story.add("storefront.orders", "order.placed", 60, **placed)
    assert run_check("corrections_count", CHECKS["corrections_count"], story.history()).violations == ()


def test_an_order_stated_again_at_a_later_time_is_a_newer_version() -> None:
    story = corrected_history()
    later = {**story.facts[0].data, "updated_at": (START + timedelta(hours=60)).isoformat()}
    story.add("storefront.orders", "order.placed", 60, **later)
    (first, *_) = run_check("corrections_count", CHECKS["corrections_count"], story.history()).violations or ()
    assert first.description == "order S1 line L1: 2 units in intake, 1 by the shop"


def test_a_box_without_papers_that_is_kept_for_staff_is_no_violation() -> None:
    row = {"count_id": "gate-3", "issue_id": None, "from_issue": None, "matched_at": None, "units": 1}
    kept = in_database("returns", "kept_counts", {**row, "received_at": START.isoformat()})
    box = {"lines": [{"quantity": 1}], "receipt_id": "gate-3", "received_at": START.isoformat()}
    story = kept(with_event(valid_history(), "warehouse.events", "item.received", 151, **box))
    story.add("anomalies", "anomaly.detected", 151.1, thing="count:gate-3", event_id="e-box")
    assert run_check("counted_goods", CHECKS["counted_goods"], story.history()).violations == ()


def test_a_payment_that_nobody_asked_for_is_no_violation_once_staff_see_it() -> None:
    paid = {"refund_id": "nobodys", "amount": {"amount": "1000", "currency": "JPY"}}
    story = with_event(valid_history(), "payment.events", "refund.completed", 151, issue_id=ISSUE, **paid)
    story.issue("issue.anomaly_detected", 151.1, anomaly="unknown_refund", event_id=story.facts[-1].identity[1])
    assert run_check("counted_money", CHECKS["counted_money"], story.history()).violations == ()


def test_a_refund_may_follow_a_box_without_papers() -> None:
    at = START.isoformat()
    story = refund_history().without("item.received").with_data("issue.item_received", received_at=at)
    box = {"lines": [{"quantity": 1}], "receipt_id": "gate-3", "received_at": at}
    story = with_event(story, "warehouse.events", "item.received", 100, **box)
    assert run_check("counted_units", CHECKS["counted_units"], story.history()).violations == ()


def test_the_first_version_of_an_order_counts_as_of_the_order_itself() -> None:
    placed_at = (START + timedelta(hours=40)).isoformat()
    story = corrected_history().with_data("order.placed", placed_at=placed_at).rescheduled("order.placed", 51)
    assert run_check("corrections_count", CHECKS["corrections_count"], story.history()).violations == ()


@pytest.mark.parametrize(
    "story",
    [
        announced(settled(requested(valid_history()))),
        announced(announced(settled(overdue(requested(valid_history())), 100)), "change_pending"),
        settled(requested(valid_history())).with_data("customer.decision_settled", outcome="superseded"),
        requested(valid_history()).with_data("customer.decided", answer_by=None),
    ],
)
def test_a_request_with_an_outcome_that_its_customer_hears_is_no_violation(story: HistoryBuilder) -> None:
    assert run_check("requests_answered", CHECKS["requests_answered"], story.history()).violations == ()


def test_a_correction_that_was_not_read_before_the_order_is_no_violation() -> None:
    story = corrected_history().with_data("replacement.ordered", ship_to=HOME).rescheduled("order.changed", 71.9)
    story = replace(story.rescheduled("replacement.shipped", 72.1), rests=[START.timestamp()])
    found = run_check("corrections_count", CHECKS["corrections_count"], story.history()).violations or ()
    assert [each.description for each in found if "replacement" in each.description] == []


def test_every_check_has_the_number_of_its_invariant() -> None:
    assert NUMBERS.keys() == CHECKS.keys()


def test_a_timeline_out_of_order_is_detected() -> None:
    facts = [fact for fact in valid_history().facts if fact.topic == "issues"]
    rows: list[Row] = [{"issue_id": ISSUE, "event_id": fact.identity[1]} for fact in reversed(facts)]
    story = replace(valid_history(), databases={"intake": DatabaseEvidence({"timeline": rows})})
    assert run_check("in_order_per_issue", CHECKS["in_order_per_issue"], story.history()).violations


def test_a_violation_names_the_events_that_show_it() -> None:
    verdict = run_check(
        "ship_first", CHECKS["ship_first"], valid_history().rescheduled("collection.requested", 95).history()
    )
    assert verdict.violations
    assert "collection.requested" in verdict.violations[0].records[0]


def test_repeats_on_the_wire_with_the_same_id_are_no_violation() -> None:
    story = valid_history()
    again = replace(story, facts=[*story.facts, *(replace(fact, offset=fact.offset + 500) for fact in story.facts)])
    assert not any(verdict.violations for verdict in audit(again.history()))


def test_an_order_on_time_needs_no_notice() -> None:
    name = "notice_before_promise_breaks"
    assert run_check(name, CHECKS[name], valid_history().history()).violations == ()


def test_a_delay_announced_in_time_is_no_violation() -> None:
    story = late_order(valid_history())
    story = with_event(
        story, "storefront.orders", "order.promise_changed", 20, order_id="S1", promised_ship_date="2026-03-06"
    )
    story.notice("order_delayed", 20.1, promised_date="2026-03-06")
    name = "notice_before_promise_breaks"
    assert run_check(name, CHECKS[name], story.history()).violations == ()


def test_an_open_issue_with_a_deadline_is_no_silence() -> None:
    row = {**TIMER, "due_at": START + timedelta(days=61)}
    story = in_database("returns", "timers", row)(valid_history().without("issue.resolved"))
    assert run_check("no_silence", CHECKS["no_silence"], story.history()).violations == ()


@pytest.mark.parametrize(
    ("name", "story"),
    [
        ("one_trace", replace(valid_history(), facts=[replace(fact, headers={}) for fact in valid_history().facts])),
        ("no_silence", replace(valid_history(), databases={})),
        ("personal_data", valid_history().without("order.placed")),
    ],
)
def test_what_the_data_cannot_show_is_not_judged(name: str, story: HistoryBuilder) -> None:
    verdict = run_check(name, CHECKS[name], story.history())
    assert verdict.violations is None
    assert verdict.reason
