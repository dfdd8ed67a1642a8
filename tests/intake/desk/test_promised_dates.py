"""The desk's account of promised dates: kept, broken, open or superseded."""

from datetime import UTC, date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from libs.common.events.notices import NoticeKind
from services.intake.desk.promised_dates import promised_dates

ZONE = ZoneInfo("Asia/Tokyo")
AT = datetime(2026, 3, 10, 3, tzinfo=UTC)
PROMISED, DAY_AFTER = date(2026, 3, 19), date(2026, 3, 20)
Event = dict[str, Any]


def notice(kind: str, day: date = PROMISED) -> Event:
    return {"type": "notice.sent.v1", "at": AT, "data": {"kind": kind, "promised_date": day.isoformat()}}


def answer(choice: str) -> Event:
    return {"type": "customer.decided.v1", "at": AT, "data": {"choice": choice}}


def issue(name: str, day: date | None = None, **data: Any) -> Event:
    """An event of the issue, at noon of that day in the shop."""
    at = datetime.combine(day, time(12), ZONE) if day else AT
    return {"type": f"issue.{name}.v1", "at": at, "data": data}


def kept(*timeline: Event, today: date = DAY_AFTER, **happened: date) -> list[bool | None]:
    """Return whether each promise was kept, where these events follow the timeline."""
    events = [*timeline, *(issue(name, day) for name, day in happened.items())]
    return [promise.kept for promise in promised_dates(events, today, ZONE)]


@pytest.mark.parametrize("kind", ["issue_accepted", "replacement_promised", "replacement_delayed", "choice_requested"])
def test_a_ship_date_is_kept_by_shipping_on_that_day(kind: str) -> None:
    assert kept(notice(kind), replacement_shipped=PROMISED) == [True]
    assert kept(notice(kind), replacement_shipped=DAY_AFTER) == [False]
    assert kept(notice(kind)) == [False]
    assert kept(notice(kind), today=PROMISED) == [None]


def test_a_delivery_date_is_kept_by_delivery_and_not_by_shipping() -> None:
    assert kept(notice("replacement_shipped"), replacement_shipped=PROMISED) == [False]
    assert kept(notice("replacement_shipped"), replacement_delivered=PROMISED) == [True]


def test_a_collection_date_is_kept_by_the_collection() -> None:
    assert kept(notice("collection_booked"), collected=PROMISED) == [True]
    assert kept(notice("collection_booked"), notice("collection_booked", DAY_AFTER), today=DAY_AFTER) == [None, None]


@pytest.mark.parametrize("earlier", ["issue_accepted", "replacement_promised", "choice_requested"])
@pytest.mark.parametrize("later", ["replacement_promised", "replacement_delayed", "choice_requested"])
def test_a_later_ship_date_supersedes_the_earlier_one(earlier: str, later: str) -> None:
    assert kept(notice(earlier), notice(later, DAY_AFTER), replacement_shipped=DAY_AFTER) == [None, True]


@pytest.mark.parametrize(("choice", "expected"), [("refund", None), ("cancel", None), ("wait", False)])
def test_a_restock_date_counts_only_for_customers_who_wait(choice: str, expected: bool | None) -> None:
    assert kept(notice("choice_requested"), answer(choice)) == [expected]


@pytest.mark.parametrize("kind", list(NoticeKind))
def test_no_kind_of_notice_is_broken_though_its_event_happened_in_time(kind: NoticeKind) -> None:
    in_time = dict.fromkeys(("replacement_shipped", "replacement_delivered", "collected"), PROMISED)
    assert kept(notice(kind), **in_time) in ([True], [None])


def test_a_delivery_date_that_was_moved_is_judged_by_the_new_one() -> None:
    timeline = notice("replacement_shipped"), notice("replacement_delivery_changed", DAY_AFTER)
    assert kept(*timeline, replacement_delivered=DAY_AFTER) == [None, True]
    assert kept(*timeline, today=date(2026, 3, 21)) == [None, False]


@pytest.mark.parametrize("later", ["collection_attempted", "collection_reminded"])
def test_another_visit_supersedes_the_collection_date(later: str) -> None:
    assert kept(notice("collection_booked"), notice(later, DAY_AFTER)) == [None, None]


def test_a_kept_promise_stays_kept_when_the_issue_goes_on_with_another_replacement() -> None:
    first = notice("replacement_promised"), issue("replacement_shipped", PROMISED)
    second = issue("reopened"), issue("replacement_ordered"), notice("replacement_promised", DAY_AFTER)
    assert kept(*first, *second, replacement_shipped=date(2026, 3, 23)) == [True, False]


def test_a_promise_counts_the_event_that_came_before_its_notice_was_sent() -> None:
    ordered, shipped = issue("replacement_ordered"), issue("replacement_shipped", PROMISED)
    assert kept(ordered, shipped, notice("issue_accepted")) == [True]
    assert kept(ordered, issue("replacement_shipped", DAY_AFTER), notice("issue_accepted")) == [False]


def test_the_event_of_an_earlier_replacement_keeps_no_promise() -> None:
    earlier = issue("replacement_ordered"), issue("replacement_shipped", PROMISED), issue("reopened")
    assert kept(*earlier, issue("replacement_ordered"), notice("replacement_promised")) == [False]


def test_a_cancelled_issue_breaks_no_promise() -> None:
    assert kept(notice("replacement_promised"), issue("cancelled")) == [None]


@pytest.mark.parametrize(
    ("kind", "action", "applied", "expected"),
    [
        ("replacement_promised", "choose_remedy", True, None),
        ("replacement_promised", "choose_remedy", False, False),
        ("replacement_promised", "waive_collection", True, False),
        ("collection_booked", "waive_collection", True, None),
        ("collection_booked", "choose_remedy", True, False),
    ],
)
def test_a_promise_ends_with_the_decision_of_staff_that_makes_it_obsolete(
    kind: str, action: str, applied: bool, expected: bool | None
) -> None:
    decision = issue("staff_decision_applied", action=action, applied=applied)
    assert kept(notice(kind), decision) == [expected]


def test_the_day_of_an_event_is_that_of_the_shop() -> None:
    past_midnight = {**issue("replacement_shipped"), "at": datetime(2026, 3, 19, 15, 30, tzinfo=UTC)}
    assert kept(notice("replacement_promised"), past_midnight) == [False]


def test_a_parcel_that_is_sent_again_supersedes_its_delivery_date() -> None:
    again = issue("replacement_ordered"), notice("replacement_promised", DAY_AFTER)
    assert kept(notice("replacement_shipped"), *again) == [None, None]


def test_other_notices_between_an_event_and_its_own_notice_change_nothing() -> None:
    happened = issue("replacement_ordered"), issue("replacement_shipped", PROMISED), notice("review_started")
    assert kept(*happened, notice("issue_accepted")) == [None, True]


def test_the_date_of_the_first_answer_ends_with_another_remedy_too() -> None:
    decision = issue("staff_decision_applied", action="choose_remedy", applied=True)
    assert kept(notice("issue_accepted"), decision) == [None]
