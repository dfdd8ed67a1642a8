"""The desk's account of promised dates: kept, broken, open or superseded."""

from datetime import UTC, date, datetime
from typing import Any

import pytest

from libs.common.events.notices import NoticeKind
from services.intake.desk.promised_dates import promised_dates

AT = datetime(2026, 3, 10, 3, tzinfo=UTC)
PROMISED, DAY_AFTER = date(2026, 3, 19), date(2026, 3, 20)


def notice(kind: str, day: date = PROMISED) -> dict[str, Any]:
    return {"type": "notice.sent.v1", "at": AT, "data": {"kind": kind, "promised_date": day.isoformat()}}


def answer(choice: str) -> dict[str, Any]:
    return {"type": "customer.decided.v1", "at": AT, "data": {"choice": choice}}


def kept(*story: dict[str, Any], today: date = DAY_AFTER, **day_of: date) -> list[bool | None]:
    return [
        promise.kept
        for promise in promised_dates(story, today, {f"issue.{name}.v1": day for name, day in day_of.items()})
    ]


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
