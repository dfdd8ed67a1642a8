"""Details of expiry and redemption: what is announced and spent first, and what a returned purchase does."""

from datetime import UTC, date, datetime, timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.decisions.facts import Ignored
from libs.common.events.loyalty import PointsExpired, PointsExpiring, PointsRedeemed, PointsReleased
from services.loyalty.domain.timers import EXPIRY
from tests.loyalty.histories import (
    RULES,
    InMemoryLedger,
    adjust,
    commit,
    release,
    reserve,
    return_points,
    timer_fired,
)

DAY = timedelta(days=1)
VALID = timedelta(days=RULES.validity_days)
LAST_DAY = date(2026, 11, 2) + VALID
NOTICE = timedelta(days=RULES.notice_days)


def midnight(day: date) -> datetime:
    """Return the beginning of that day in Tokyo."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(hours=9)


def with_points(*lots: int) -> InMemoryLedger:
    """Return an account with these points, granted a day apart."""
    ledger = InMemoryLedger()
    for number, points in enumerate(lots, start=1):
        ledger.apply(adjust(points, number)).advance(DAY)
    return ledger


def of(ledger: InMemoryLedger, kind: type[PointsExpiring] | type[PointsExpired]) -> list[int]:
    return [event.points for event in ledger.events if isinstance(event, kind)]


def test_points_are_announced_at_midnight_thirty_days_before_their_last_day() -> None:
    ledger = with_points(300)
    due_at = midnight(LAST_DAY - NOTICE)
    assert ledger.timers[EXPIRY] == due_at
    ledger.advance(due_at - ledger.now)
    (announced,) = [event for event in ledger.events if isinstance(event, PointsExpiring)]
    assert (announced.points, announced.expires_on, announced.balance) == (300, LAST_DAY, 300)


def test_points_expire_at_the_midnight_after_their_last_day() -> None:
    ledger = with_points(300)
    ledger.advance(midnight(LAST_DAY + DAY) - ledger.now - timedelta(seconds=1))
    assert of(ledger, PointsExpired) == []
    ledger.advance(timedelta(seconds=1))
    assert of(ledger, PointsExpired) == [300]


def test_a_timer_of_expiry_with_nothing_to_do_is_ignored() -> None:
    ledger = InMemoryLedger().apply(timer_fired(EXPIRY))
    assert list(ledger.decisions[-1]) == [Ignored("nothing_expires")]


def test_points_that_are_spent_are_not_announced() -> None:
    ledger = with_points(300).apply(reserve(100), commit())
    ledger.advance(midnight(LAST_DAY - NOTICE) - ledger.now)
    assert of(ledger, PointsExpiring) == [200]


def test_points_are_spent_from_those_that_expire_first() -> None:
    ledger = with_points(100, 200, 300).apply(reserve(250), commit())
    assert [lot.balances.spent for lot in ledger.account.lots.values()] == [100, 150, 0]


def test_points_can_be_reserved_on_their_last_day_and_not_after_it() -> None:
    for now, available in ((midnight(LAST_DAY + DAY) - timedelta(seconds=1), True), (midnight(LAST_DAY + DAY), False)):
        ledger = with_points(300)
        ledger.now = now  # the timer that expires them is late
        ledger.apply(reserve(300))
        assert (Ignored("insufficient_points") not in ledger.decisions[-1]) == available


def test_points_returned_after_their_last_day_expire_at_once() -> None:
    ledger = with_points(300).apply(reserve(300), commit())
    ledger.advance(VALID + 2 * DAY).apply(return_points())
    assert (of(ledger, PointsExpired), ledger.account.balances.available) == ([300], 0)


def test_a_returned_purchase_keeps_the_last_day_of_its_points() -> None:
    ledger = with_points(100, 200).apply(reserve(250), commit()).advance(10 * DAY).apply(return_points())
    assert [lot.balances.available for lot in ledger.account.lots.values()] == [100, 200]
    assert [lot.expires_on for lot in ledger.account.lots.values()] == [LAST_DAY, LAST_DAY + DAY]


@pytest.mark.parametrize("points", [1, 299, 300])
def test_a_reservation_released_leaves_the_account_as_it_was(points: int) -> None:
    ledger = with_points(100, 200)
    before = ledger.account.balances
    ledger.apply(reserve(points), release())
    assert ledger.account.balances == before


def test_one_point_more_than_there_is_cannot_be_reserved() -> None:
    ledger = with_points(100, 200).apply(reserve(301))
    assert list(ledger.decisions[-1]) == [Ignored("insufficient_points")]


@pytest.mark.parametrize(("change", "left"), [(-100, [0, 200]), (-150, [0, 150]), (-300, [0, 0])])
def test_staff_take_the_points_that_expire_first(change: int, left: list[int]) -> None:
    ledger = with_points(100, 200).apply(adjust(change, 9))
    assert [lot.balances.available for lot in ledger.account.lots.values()] == left


def test_staff_cannot_take_more_than_there_is_or_nothing() -> None:
    for change, reason in ((-301, "insufficient_points"), (0, "nothing_to_adjust")):
        ledger = with_points(100, 200).apply(adjust(change, 9))
        assert list(ledger.decisions[-1]) == [Ignored(reason)]


@given(
    st.lists(st.integers(1, 400), min_size=1, max_size=4),
    st.lists(st.integers(1, 300), min_size=1, max_size=4),
    st.randoms(use_true_random=False),
)
def test_purchases_returned_in_any_order_give_every_point_back_to_its_grant(
    lots: list[int], purchases: list[int], random: Random
) -> None:
    ledger = with_points(*lots)
    before = {lot.cause: lot.balances for lot in ledger.account.lots.values()}
    for number, points in enumerate(purchases, start=1):
        ledger.apply(reserve(points, number), commit(number))
    order = list(range(1, len(purchases) + 1))
    random.shuffle(order)
    for number in order:
        ledger.apply(return_points(number))
    assert {lot.cause: lot.balances for lot in ledger.account.lots.values()} == before
    redeemed = sum(event.points for event in ledger.events if isinstance(event, PointsRedeemed))
    assert redeemed == sum(event.points for event in ledger.events if isinstance(event, PointsReleased))
