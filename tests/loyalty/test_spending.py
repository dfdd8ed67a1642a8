"""Reserve, commit, release and give back; debts of points that were spent and were not due."""

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
    Book,
    adjust,
    commit,
    decide,
    give_back,
    release,
    reopened,
    reserve,
    resolved,
)

POINTS = 549


def with_points() -> Book:
    return Book().take(resolved()).wait(HOLD)


def held(book: Book) -> tuple[int, int, int]:
    """Available, reserved, spent."""
    purse = book.account.purse
    return purse.available, purse.reserved, purse.spent


def test_reserved_points_are_set_aside() -> None:
    assert held(with_points().take(reserve(500))) == (49, 500, 0)


def test_committed_points_are_spent() -> None:
    assert held(with_points().take(reserve(500), commit())) == (49, 0, 500)


def test_released_points_may_be_spent_again() -> None:
    assert held(with_points().take(reserve(500), release())) == (POINTS, 0, 0)


def test_points_of_a_purchase_that_is_undone_come_back() -> None:
    assert held(with_points().take(reserve(500), commit(), give_back())) == (POINTS, 0, 0)


def test_a_reservation_that_nobody_decides_runs_out() -> None:
    book = with_points().take(reserve(500)).wait(timedelta(minutes=RULES.reservation_minutes))
    released = book.said[-1]
    assert held(book) == (POINTS, 0, 0)
    assert isinstance(released, PointsReleased)
    assert released.text == "reservation_ran_out"


def test_a_committed_reservation_does_not_run_out() -> None:
    book = with_points().take(reserve(500), commit()).wait(timedelta(days=1))
    assert held(book) == (49, 0, 500)


@pytest.mark.parametrize("points", [550, 10_000])
def test_more_than_there_is_cannot_be_reserved(points: int) -> None:
    assert with_points().take(reserve(points)).outcomes[-1] == (Ignored("not_enough_points"),)


def test_pending_points_cannot_be_reserved() -> None:
    assert Book().take(resolved(), reserve(1)).outcomes[-1] == (Ignored("not_enough_points"),)


def test_a_repeated_command_changes_nothing() -> None:
    book = with_points().take(reserve(500), reserve(500), commit(), commit(), give_back(), give_back())
    assert [facts[-1] for facts in book.outcomes[-5::2]] == [
        Ignored("already_reserved"),
        Ignored("already_committed"),
        Ignored("already_returned"),
    ]
    assert held(book) == (POINTS, 0, 0)


@pytest.mark.parametrize("command", [commit(), release(), give_back()])
def test_a_redemption_that_nobody_made_is_unknown(command: AnyEvent) -> None:
    _, facts = decide(command)
    assert facts == (Ignored("unknown_redemption"),)


def test_the_points_that_expire_first_are_spent_first() -> None:
    book = Book().take(resolved()).wait(timedelta(days=20))
    book.take(resolved(UUID(int=2))).wait(HOLD)
    book.take(reserve(600))
    assert [lot.purse.reserved for lot in sorted(book.account.lots.values(), key=lambda lot: lot.granted_at)] == [
        549,
        51,
    ]


def test_a_reservation_tells_until_when_it_holds() -> None:
    reserved = with_points().take(reserve(500)).said[-1]
    assert isinstance(reserved, PointsReserved)
    assert reserved.expires_at == NOON + HOLD + timedelta(minutes=RULES.reservation_minutes)


def test_points_that_were_spent_and_are_not_due_become_a_debt() -> None:
    book = with_points().take(reserve(500), commit(), reopened())
    reversal = book.said[-1]
    assert (book.account.purse.available, book.account.purse.debt) == (0, -500)
    assert isinstance(reversal, PointsReversed)
    assert (reversal.points, reversal.debt) == (POINTS, 500)


def test_other_points_pay_a_debt_at_once() -> None:
    book = with_points().take(adjust(200), reserve(500), commit(), reopened())
    assert (book.account.purse.available, book.account.purse.debt) == (0, -300)


def test_a_later_grant_pays_the_debt_first() -> None:
    book = with_points().take(reserve(500), commit(), reopened(), resolved(resolution=2)).wait(HOLD)
    vested = [said for said in book.said if isinstance(said, PointsVested)][-1]
    assert (book.account.purse.available, book.account.purse.debt) == (49, 0)
    assert vested.paid_debt == 500


def test_reserved_points_that_are_not_due_are_owed_until_they_come_back() -> None:
    book = with_points().take(reserve(500), reopened())
    assert (book.account.purse.reserved, book.account.purse.debt) == (500, -500)
    book.take(release())
    assert (book.account.purse.available, book.account.purse.debt) == (0, 0)


def test_points_given_by_hand_may_be_spent_at_once_and_taken_again() -> None:
    book = Book().take(adjust(300), adjust(-100, 2))
    assert held(book) == (200, 0, 0)
    assert [(entry.staff, entry.note) for entry in book.entries] == [("sato", "called twice")] * 2


def test_no_more_than_there_is_can_be_taken_by_hand() -> None:
    assert Book().take(adjust(300), adjust(-301, 2)).outcomes[-1] == (Ignored("not_enough_points"),)
