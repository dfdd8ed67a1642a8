"""Redemptions; debts of points that were spent and then reversed."""

from datetime import timedelta
from uuid import UUID

import pytest

from libs.common.decisions.facts import Ignored
from libs.common.events.loyalty import PointsReleased, PointsReserved, PointsReversed, PointsVested
from libs.common.events.registry import AnyEvent
from tests.loyalty.histories import (
    HOLD,
    NOON,
    RULES,
    InMemoryLedger,
    adjust,
    commit,
    decide,
    release,
    reopened,
    reserve,
    resolved,
    return_points,
)

POINTS = 549


def with_points() -> InMemoryLedger:
    return InMemoryLedger().apply(resolved()).advance(HOLD)


def amounts(ledger: InMemoryLedger) -> tuple[int, int, int]:
    """Return available, reserved and spent points."""
    balances = ledger.account.balances
    return balances.available, balances.reserved, balances.spent


def test_reserved_points_are_set_aside() -> None:
    assert amounts(with_points().apply(reserve(500))) == (49, 500, 0)


def test_committed_points_are_spent() -> None:
    assert amounts(with_points().apply(reserve(500), commit())) == (49, 0, 500)


def test_released_points_may_be_spent_again() -> None:
    assert amounts(with_points().apply(reserve(500), release())) == (POINTS, 0, 0)


def test_points_of_a_purchase_that_is_undone_come_back() -> None:
    assert amounts(with_points().apply(reserve(500), commit(), return_points())) == (POINTS, 0, 0)


def test_an_unfinished_reservation_expires() -> None:
    ledger = with_points().apply(reserve(500)).advance(timedelta(minutes=RULES.reservation_minutes))
    released = ledger.events[-1]
    assert amounts(ledger) == (POINTS, 0, 0)
    assert isinstance(released, PointsReleased)
    assert released.text == "reservation_expired"


def test_a_committed_reservation_does_not_expire() -> None:
    ledger = with_points().apply(reserve(500), commit()).advance(timedelta(days=1))
    assert amounts(ledger) == (49, 0, 500)


@pytest.mark.parametrize("points", [550, 10_000])
def test_more_than_there_is_cannot_be_reserved(points: int) -> None:
    assert with_points().apply(reserve(points)).decisions[-1] == (Ignored("insufficient_points"),)


def test_pending_points_cannot_be_reserved() -> None:
    assert InMemoryLedger().apply(resolved(), reserve(1)).decisions[-1] == (Ignored("insufficient_points"),)


def test_a_repeated_command_changes_nothing() -> None:
    ledger = with_points().apply(reserve(500), reserve(500), commit(), commit(), return_points(), return_points())
    assert [facts[-1] for facts in ledger.decisions[-5::2]] == [
        Ignored("already_reserved"),
        Ignored("already_committed"),
        Ignored("already_returned"),
    ]
    assert amounts(ledger) == (POINTS, 0, 0)


@pytest.mark.parametrize("command", [commit(), release(), return_points()])
def test_a_redemption_without_a_reservation_is_unknown(command: AnyEvent) -> None:
    _, facts = decide(command)
    assert facts == (Ignored("unknown_redemption"),)


def test_the_points_that_expire_first_are_spent_first() -> None:
    ledger = InMemoryLedger().apply(resolved()).advance(timedelta(days=20))
    ledger.apply(resolved(UUID(int=2))).advance(HOLD)
    ledger.apply(reserve(600))
    assert [lot.balances.reserved for lot in sorted(ledger.account.lots.values(), key=lambda lot: lot.granted_at)] == [
        549,
        51,
    ]


def test_a_reservation_names_its_expiry() -> None:
    reserved = with_points().apply(reserve(500)).events[-1]
    assert isinstance(reserved, PointsReserved)
    assert reserved.expires_at == NOON + HOLD + timedelta(minutes=RULES.reservation_minutes)


def test_points_that_were_spent_and_are_not_due_become_a_debt() -> None:
    ledger = with_points().apply(reserve(500), commit(), reopened())
    reversal = ledger.events[-1]
    assert (ledger.account.balances.available, ledger.account.balances.debt) == (0, -500)
    assert isinstance(reversal, PointsReversed)
    assert (reversal.points, reversal.debt) == (POINTS, 500)


def test_other_points_pay_a_debt_at_once() -> None:
    ledger = with_points().apply(adjust(200), reserve(500), commit(), reopened())
    assert (ledger.account.balances.available, ledger.account.balances.debt) == (0, -300)


def test_a_later_grant_pays_the_debt_first() -> None:
    ledger = with_points().apply(reserve(500), commit(), reopened(), resolved(resolution=2)).advance(HOLD)
    vested = [event for event in ledger.events if isinstance(event, PointsVested)][-1]
    assert (ledger.account.balances.available, ledger.account.balances.debt) == (49, 0)
    assert vested.paid_debt == 500


def test_reserved_points_that_are_not_due_are_owed_until_they_come_back() -> None:
    ledger = with_points().apply(reserve(500), reopened())
    assert (ledger.account.balances.reserved, ledger.account.balances.debt) == (500, -500)
    ledger.apply(release())
    assert (ledger.account.balances.available, ledger.account.balances.debt) == (0, 0)


def test_adjusted_points_can_be_spent_at_once_and_taken_again() -> None:
    ledger = InMemoryLedger().apply(adjust(300), adjust(-100, 2))
    assert amounts(ledger) == (200, 0, 0)
    assert [(entry.staff, entry.note) for entry in ledger.entries] == [("sato", "called twice")] * 2


def test_an_adjustment_takes_no_more_than_the_available_points() -> None:
    assert InMemoryLedger().apply(adjust(300), adjust(-301, 2)).decisions[-1] == (Ignored("insufficient_points"),)
