"""The work queue beside the cases that returns decides: the same reviews, and the dates that the customer was given."""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.common.events.carrier import CollectionAttemptFailed, ParcelException
from libs.common.events.envelope import Payload
from libs.common.events.issues import IssueRefundRequested, IssueReplacementPartShipped
from libs.common.events.values import Condition, LineQuantity, Reason, Remedy, StaffAction
from libs.common.events.warehouse import ReplacementDelayed
from services.intake.domain.projections.ended_reviews import ENDED_WITH_CASE
from services.returns.domain.handlers.case_closure import CLOSURE_BLOCKING_CAUSES
from services.returns.domain.state.review_causes import ReviewCause
from tests.examples import examples
from tests.intake.case_events import ObservedCase, observed
from tests.returns.cases import ISSUE, CaseScenario, accepted, line
from tests.returns.partner_events import staff_says
from tests.returns.random_histories import reports, steps, tell
from tests.returns.test_first_dates import with_limits

ENDED_BY_RECEIPTS = {"receipt_overdue", "collection_failed", "not_collected"}
"""An event of a receipt does not tell whether everything came back; see `ended_reviews`."""


def no_review_is_lost(case: CaseScenario) -> None:
    assert isinstance(case, ObservedCase)
    open_reviews = {review.cause.value for review in case.known.reviews}
    assert open_reviews - ENDED_BY_RECEIPTS <= case.reviews


@settings(max_examples=examples(300), deadline=None)
@given(reports, st.lists(steps, min_size=5, max_size=40))
def test_no_open_review_is_lost_from_the_work_queue(report: Payload, history: list[object]) -> None:
    case = ObservedCase()
    case.apply(report)
    tell(case, history, no_review_is_lost)


def test_every_cause_of_a_review_is_either_closed_with_its_case_or_left_to_staff() -> None:
    assert set(ENDED_WITH_CASE) == set(ReviewCause) - set(CLOSURE_BLOCKING_CAUSES)


def shipped() -> ObservedCase:
    case = observed(Reason.DEFECTIVE, line("1", 2))
    case.ship(expected_delivery_date=case.today + timedelta(days=1))
    return case


def collecting() -> ObservedCase:
    case = shipped()
    case.later(days=1).deliver()
    return case


def days_after(case: ObservedCase, days: int) -> str:
    return (case.today + timedelta(days=days)).isoformat()


def test_a_delivery_day_that_the_carrier_moved_is_the_one_to_watch() -> None:
    case = shipped()
    late = {"issue_id": ISSUE, "replacement_id": case.replacement_id, "code": "weather", "occurred_at": case.now}
    case.apply(ParcelException(**late, expected_delivery_date=case.today + timedelta(days=3)))
    assert case.steps["outbound"] == f"arrive {days_after(case, 3)}"


def test_after_a_part_the_day_of_the_remaining_units_is_the_one_to_watch() -> None:
    case = observed(Reason.DEFECTIVE, line("1", 2))
    case.ship(lines=(LineQuantity(line_id="1", quantity=1),), shipment_id="p1")
    remaining = case.last(IssueReplacementPartShipped).remaining_ship_date
    assert case.steps["outbound"] == f"ship {remaining.isoformat()}"


def test_a_visit_that_failed_is_followed_by_the_next_one() -> None:
    case = collecting()
    case.book(case.today + timedelta(days=1))
    case.later(days=1)
    ids = {"issue_id": ISSUE, "collection_id": case.collection_id}
    case.apply(CollectionAttemptFailed(**ids, cause="nobody_home", attempted_at=case.now))
    assert case.steps["inbound"] == "book"
    case.book(case.today + timedelta(days=2))
    assert case.steps["inbound"] == f"collect {days_after(case, 2)}"


def test_a_collection_that_staff_waived_is_waited_for_no_more() -> None:
    case = shipped()
    assert "inbound" in case.steps
    case.apply(staff_says(StaffAction.WAIVE_COLLECTION, None, None)(case))
    assert (case.status, list(case.steps)) == ("replacement_shipped", ["outbound"])


def refunding() -> ObservedCase:
    case = observed(Reason.DEFECTIVE, line("1", 2), requested_remedy=Remedy.REFUND)
    while "money" not in case.steps:
        case.collect()
        case.receive()
        case.inspect()
    return case


def test_a_part_of_a_refund_leaves_the_rest_to_wait_for() -> None:
    case = refunding()
    case.later(hours=5).pay("100")
    assert (case.steps["money"], case.work_since("money")) == ("refund", case.now)
    case.pay(str(case.known.money.refunds[-1].amount - 100))
    assert "money" not in case.steps


def test_a_refund_that_failed_stays_a_review_while_another_one_is_only_requested() -> None:
    case = refunding()
    while "refund_failed" not in case.reviews:
        case.fail_refund(retriable=False)
    case.observe(case.last(IssueRefundRequested))
    assert "refund_failed" in case.reviews


def test_a_silent_warehouse_stays_a_review_when_returns_moves_the_date_by_itself() -> None:
    case = ObservedCase(rules=with_limits(first_date_seconds=0))
    case.apply(accepted())
    while "warehouse_silent" not in case.reviews:
        case.next_timer()
    while not any(row["data"].get("cause") == "no_shipment" for row in case.timeline):
        case.next_timer()
    assert "warehouse_silent" in case.reviews


def test_a_warehouse_that_names_another_day_is_silent_no_more() -> None:
    case = observed()
    while "warehouse_silent" not in case.reviews:
        case.next_timer()
    later = case.today + timedelta(days=7)
    case.apply(ReplacementDelayed(issue_id=ISSUE, replacement_id=case.replacement_id, ship_date=later))
    assert (case.reviews, case.steps) == (set(), {"outbound": f"ship {later.isoformat()}"})


def test_a_question_that_returns_asks_by_itself_ends_no_review() -> None:
    case = observed()
    while "choice_requested" not in case.timeline[-1]["type"]:
        case.next_timer()
    assert "not_shipping" in case.reviews


@pytest.mark.parametrize("cause", ["value", "exposure", "many_reports", "earlier_mismatches", "shared_address"])
@pytest.mark.parametrize("start", ["replacement_ordered", "collection_requested", "refund_requested"])
def test_a_review_that_holds_all_legs_back_is_over_when_one_starts(cause: str, start: str) -> None:
    case = observed()
    case.observe(case.review_request(cause))
    assert cause in case.reviews
    case.observe(case.sample(f"issue.{start}.v1"))
    assert case.reviews == set()


def test_units_of_a_replacement_that_came_back_end_no_review_of_the_collection() -> None:
    case = observed()
    case.observe(case.review_request("receipt_overdue"))
    case.observe(case.sample("issue.item_received.v1", replacement_id=case.replacement_id))
    assert case.reviews == {"receipt_overdue"}
    case.observe(case.sample("issue.item_received.v1", replacement_id=None))
    assert case.reviews == set()


def test_an_item_that_staff_refuse_leaves_only_what_staff_alone_can_decide() -> None:
    case = collecting()
    case.book(case.today + timedelta(days=1))
    case.collect()
    case.receive()
    case.inspect(Condition.NOT_AS_REPORTED)
    for cause in ("refund_overpaid", "stalled"):
        case.observe(case.review_request(cause))
    case.decide_review(ReviewCause.INSPECTION_MISMATCH, approved=False)
    assert (case.status, case.reviews, case.steps) == ("cancelled", {"refund_overpaid"}, {})
