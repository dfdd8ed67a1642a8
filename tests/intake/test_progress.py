"""Progress on the customer's page, from the events of cases as returns decides them."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from libs.common.decisions.shop_calendar import ShopCalendar
from libs.common.events.carrier import CollectionAttemptFailed, CollectionCollected, ParcelException
from libs.common.events.issues import IssueCollectionWindowChosen, IssueDetailsRequested, IssueRated, IssueReopened
from libs.common.events.values import Choice, LineQuantity, Reason, Remedy, StaffAction, TimeWindow
from libs.common.events.warehouse import ReplacementRejected
from services.intake.customer_pages.milestones import Milestone, milestones
from services.intake.customer_pages.status_view import StatusView, build_status_view, current_resolution
from services.returns.domain.commands import ReopenCase
from services.returns.domain.state.review_causes import ReviewCause
from tests.intake.case_events import ObservedCase, observed
from tests.returns.cases import ISSUE, line
from tests.returns.partner_events import customer_says, staff_says

EVERY_DAY = ShopCalendar(ZoneInfo("Asia/Tokyo"), None, ())


def progress(case: ObservedCase) -> dict[str, date | datetime | None]:
    """Return when each milestone was reached, or the day on which it is expected."""
    return {each.code: each.done_at or each.expected_on for each in milestones(case.timeline, case.status)}


def view(case: ObservedCase) -> StatusView:
    return build_status_view(case.timeline, case.status, case.today, EVERY_DAY)


def in_days(case: ObservedCase, days: int) -> date:
    return case.today + timedelta(days=days)


def shipped(*lines: Any, **parcel: Any) -> ObservedCase:
    case = observed(Reason.DEFECTIVE, *lines)
    case.later(hours=1).ship(**{"expected_delivery_date": in_days(case, 1), **parcel})
    return case


def delivered() -> ObservedCase:
    case = shipped()
    case.later(days=1).deliver()
    return case


def resolved() -> ObservedCase:
    case = delivered()
    case.later(days=1).collect()
    case.receive()
    case.inspect()
    assert case.status == "resolved"
    return case


def test_a_report_that_was_accepted_shows_what_comes_next() -> None:
    case = observed()
    promised = case.known.outbound.promises[-1].ship_date
    case.confirm(promised)
    assert progress(case) == {"accepted": case.now, "shipped": promised, "delivered": None, "resolved": None}


def test_each_step_of_a_replacement_is_done_at_its_time() -> None:
    case = observed()
    accepted_at = case.now
    case.later(hours=1).ship(expected_delivery_date=in_days(case, 1))
    shipped_at = case.now
    assert progress(case)["delivered"] == in_days(case, 1)
    case.later(days=1).deliver()
    assert progress(case) == {
        "accepted": accepted_at, "shipped": shipped_at, "delivered": case.now, "collected": None, "resolved": None
    }  # fmt: skip


def test_a_delivery_day_that_the_carrier_moved_is_shown() -> None:
    case = shipped()
    late = {"issue_id": ISSUE, "replacement_id": case.replacement_id, "code": "weather", "occurred_at": case.now}
    case.apply(ParcelException(**late, expected_delivery_date=in_days(case, 3)))
    assert progress(case)["delivered"] == in_days(case, 3)


def test_after_a_part_the_remaining_units_are_expected_and_the_parcel_can_be_tracked() -> None:
    case = shipped(
        line("1", 2), lines=(LineQuantity(line_id="1", quantity=1),), tracking_number="A-1", carrier="yamato"
    )
    remaining = case.timeline[-1]["data"]["remaining_ship_date"]
    assert progress(case)["shipped"] == date.fromisoformat(remaining)
    assert view(case).tracking_number == "A-1"


def lost() -> ObservedCase:
    """A case whose first parcel was lost, so that staff sent another one."""
    case = shipped(tracking_number="A-1")
    while "delivery_overdue" not in case.reviews:
        case.next_timer()
    case.decide_review(ReviewCause.DELIVERY_OVERDUE)
    return case


def test_after_a_lost_parcel_the_page_is_about_the_new_one() -> None:
    case = lost()
    promised = case.known.outbound.promises[-1].ship_date
    case.confirm(promised)
    assert (progress(case)["shipped"], progress(case)["delivered"]) == (promised, None)
    assert view(case).tracking_number is None
    case.ship(expected_delivery_date=in_days(case, 1), tracking_number="A-2")
    assert (progress(case)["shipped"], view(case).tracking_number) == (case.now, "A-2")


def test_a_reopened_issue_is_about_the_second_replacement() -> None:
    case = resolved()
    case.later(days=2).apply(ReopenCase(issue_id=ISSUE, cause="again"))
    promised = case.known.outbound.promises[-1].ship_date
    case.confirm(promised)
    assert (progress(case)["shipped"], progress(case)["delivered"]) == (promised, None)
    assert progress(case)["resolved"] is None


def test_an_issue_that_is_resolved_again_is_done_at_the_second_time() -> None:
    case = resolved()
    case.later(days=1).apply(ReopenCase(issue_id=ISSUE, cause="again"))
    case.later(days=1).ship()
    case.later(days=1).deliver()
    case.collect()
    case.receive()
    case.inspect()
    assert (case.status, progress(case)["resolved"]) == ("resolved", case.now)


def rejected_by_warehouse(*lines: Any, quantity: int | None = None) -> ObservedCase:
    case = observed(Reason.DEFECTIVE, *lines)
    some = (LineQuantity(line_id="1", quantity=quantity),) if quantity else None
    ids = {"issue_id": ISSUE, "replacement_id": case.replacement_id}
    case.apply(ReplacementRejected(**ids, cause="out_of_stock", lines=some, restock_date=in_days(case, 20)))
    return case


def test_while_the_customer_has_a_choice_no_date_is_named_for_the_replacement() -> None:
    case = rejected_by_warehouse()
    assert case.status == "waiting_for_customer"
    assert progress(case)["shipped"] is None


def test_a_report_that_lacks_a_detail_is_shown_as_received() -> None:
    asked_at = datetime(2027, 3, 1, 9, tzinfo=UTC)
    asked = {"type": IssueDetailsRequested.TYPE, "at": asked_at, "data": {}}
    reminded = {**asked, "at": asked_at + timedelta(hours=3)}
    received, *_ = milestones([asked, reminded], "waiting_for_customer")
    assert received == Milestone("accepted", asked_at)


def choose_refund(case: ObservedCase) -> None:
    case.later(hours=1).apply(customer_says(1, Choice.REFUND)(case))
    while "money" not in case.steps:
        case.collect()
        case.receive()
        case.inspect()


def test_a_customer_who_chose_the_money_is_promised_no_parcel() -> None:
    case = rejected_by_warehouse()
    choose_refund(case)
    assert [*progress(case)] == ["accepted", "collected", "refunded", "resolved"]


def test_a_refund_of_some_units_leaves_the_parcel_of_the_others() -> None:
    case = observed(Reason.DEFECTIVE, line("1", 2))
    case.observe(case.sample("issue.refund_requested.v1", lines=case.sample_lines(1)))
    assert [*progress(case)] == ["accepted", "shipped", "delivered", "refunded", "resolved"]
    case.observe(case.sample("issue.refund_requested.v1", lines=case.sample_lines(1)))
    assert [*progress(case)] == ["accepted", "refunded", "resolved"]


def test_a_refund_is_done_once_all_of_it_is_paid() -> None:
    case = rejected_by_warehouse()
    choose_refund(case)
    case.later(hours=1).pay("100")
    assert progress(case)["refunded"] is None
    case.later(hours=1).pay(str(case.known.money.refunds[-1].amount - 100))
    assert progress(case)["refunded"] == case.now


def test_of_two_refunds_both_have_to_be_paid() -> None:
    case = observed()
    for refund_id in (case.replacement_id, ISSUE):
        case.observe(case.sample("issue.refund_requested.v1", refund_id=refund_id))
    case.observe(case.sample("issue.refunded.v1", refund_id=ISSUE, remaining=None))
    assert progress(case)["refunded"] is None
    case.later(hours=1).observe(case.sample("issue.refunded.v1", refund_id=case.replacement_id, remaining=None))
    assert progress(case)["refunded"] == case.now


@pytest.mark.parametrize("end", ["cancelled", "rejected"])
def test_an_issue_that_ended_otherwise_shows_only_what_was_reached(end: str) -> None:
    case = shipped()
    case.observe(case.sample(f"issue.{end}.v1", cause="customer"))
    assert [*progress(case)] == ["accepted", "shipped"]


def test_a_resolved_issue_has_nothing_to_come() -> None:
    case = shipped()
    case.observe(case.sample("issue.resolved.v1"))
    assert all(isinstance(reached, datetime) for reached in progress(case).values())


def test_before_any_event_only_the_end_is_to_come() -> None:
    assert milestones([], "accepted") == [Milestone("accepted"), Milestone("resolved")]


def booked(days: int = 2) -> ObservedCase:
    case = delivered()
    case.book(in_days(case, days))
    return case


def test_a_booked_visit_is_shown_with_its_day() -> None:
    case = booked()
    window = view(case).window
    assert window
    assert (window.day, progress(case)["collected"]) == (in_days(case, 2), in_days(case, 2))


def test_a_visit_that_failed_is_not_announced_any_more() -> None:
    case = booked(days=1)
    case.later(days=1)
    ids = {"issue_id": ISSUE, "collection_id": case.collection_id}
    case.apply(CollectionAttemptFailed(**ids, cause="nobody_home", attempted_at=case.now))
    assert (view(case).window, progress(case)["collected"]) == (None, case.known.inbound.earliest_date)


def test_a_part_that_was_collected_leaves_windows_for_the_rest() -> None:
    case = shipped(line("1", 2))
    case.later(days=1).deliver()
    part = (LineQuantity(line_id="1", quantity=1),)
    ids = {"issue_id": ISSUE, "collection_id": case.collection_id}
    case.apply(CollectionCollected(**ids, collected_at=case.now, lines=part))
    assert (progress(case)["collected"], bool(view(case).available_windows)) == (None, True)


def test_the_second_collection_of_a_reopened_issue_has_windows_of_its_own() -> None:
    case = resolved()
    case.later(days=1).apply(ReopenCase(issue_id=ISSUE, cause="again"))
    assert view(case).available_windows == []
    case.later(days=1).ship(expected_delivery_date=in_days(case, 1))
    windows = view(case).available_windows
    assert windows[0].day == max(in_days(case, 1), case.known.inbound.earliest_date or case.today)


def test_a_collection_that_staff_waived_offers_no_window() -> None:
    case = shipped()
    case.later(days=1).book(in_days(case, 2))
    assert (bool(view(case).available_windows), bool(view(case).window)) == (True, True)
    case.apply(staff_says(StaffAction.WAIVE_COLLECTION, None, None)(case))
    assert (view(case).available_windows, view(case).window) == ([], None)


def test_a_waiver_that_returns_refused_changes_nothing() -> None:
    case = booked()
    case.observe(case.sample("issue.staff_decision_applied.v1", action=StaffAction.WAIVE_COLLECTION, applied=False))
    assert view(case).window


def chosen(case: ObservedCase, day: date) -> TimeWindow:
    window = TimeWindow(day=day, from_hour=18, to_hour=20)
    case.observe(IssueCollectionWindowChosen(**case.ids, window=window, chosen_at=case.now))
    return window


def test_a_window_that_the_customer_chose_is_shown_until_the_courier_confirms_it() -> None:
    case = booked()
    wanted = chosen(case.later(hours=1), in_days(case, 3))
    assert view(case).requested_window == wanted
    case.observe(case.sample("issue.collection_booked.v1", window=wanted))
    assert view(case).requested_window == wanted  # at the same moment, the courier may not know it yet
    case.later(hours=1).observe(case.sample("issue.collection_booked.v1", window=wanted))
    assert (view(case).requested_window, view(case).window) == (None, wanted)


def test_the_first_window_is_tomorrow_or_the_first_day_of_the_courier() -> None:
    case = delivered()
    earliest = case.known.inbound.earliest_date
    assert earliest
    assert view(case).available_windows[0].day == max(in_days(case, 1), earliest)
    case.later(days=5)
    assert view(case).available_windows[0].day == in_days(case, 1)


def test_a_week_of_the_couriers_windows_is_offered() -> None:
    windows = view(delivered()).available_windows
    assert len({window.day for window in windows}) == 7
    first_day = [(each.from_hour, each.to_hour) for each in windows if each.day == windows[0].day]
    assert first_day == [(9, 12), (14, 16), (16, 18), (18, 20), (19, 21)]


def test_an_issue_that_was_reopened_at_the_moment_of_its_resolution_is_resolved() -> None:
    case = resolved()
    case.observe(IssueReopened(**case.ids, cause="again", reopened_at=case.now))
    case.observe(case.sample("issue.resolved.v1", resolution=2))
    assert current_resolution(case.timeline) == 2


def test_a_rating_counts_for_its_own_resolution_only() -> None:
    case = resolved()
    case.observe(IssueRated(**case.ids, score=9, resolution=1, rated_at=case.now))
    assert view(case).is_rated
    case.later(days=1).observe(IssueReopened(**case.ids, cause="again", reopened_at=case.now))
    assert not view(case).is_rated
    case.later(days=1).observe(case.sample("issue.resolved.v1", resolution=2))
    assert not view(case).is_rated


def points(case: ObservedCase, state: str, number: int) -> None:
    case.observe(case.sample(f"points.{state}.v1", points=number))


def test_points_shown_are_those_that_are_left_and_final_once_vested() -> None:
    case = resolved()
    points(case, "granted", 300)
    assert (view(case).points, view(case).points_vested) == (300, False)
    points(case, "reversed", 100)
    points(case, "vested", 200)
    assert (view(case).points, view(case).points_vested) == (200, True)
    points(case, "reversed", 500)
    assert view(case).points == 0


def test_a_refund_from_the_start_shows_no_parcel() -> None:
    case = observed(Reason.CHANGED_MIND, requested_remedy=Remedy.REFUND)
    assert [*progress(case)] == ["accepted", "collected", "resolved"]


def test_the_page_names_the_day_of_the_next_update_that_the_last_mail_named() -> None:
    case = observed(Reason.DEFECTIVE)
    announced = in_days(case, 3)
    case.observe(case.sample("notice.sent.v1", issue_id=case.ids["issue_id"], next_update_by=announced))
    case.observe(case.sample("notice.sent.v1", issue_id=case.ids["issue_id"], next_update_by=None))
    assert view(case).next_update_by == announced


def test_no_collection_window_is_offered_on_a_day_without_a_courier() -> None:
    carrier = ShopCalendar(ZoneInfo("Asia/Tokyo"), None, (6,))
    case = delivered()
    days = {
        window.day for window in build_status_view(case.timeline, case.status, case.today, carrier).available_windows
    }
    assert len(days) == 7
    assert all(carrier.is_open(day) for day in days)
