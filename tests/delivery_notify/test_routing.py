"""Routes of notices as a table, and invariants of routing for every routing context."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.events.notices import NoticeKind
from libs.common.events.values import Language
from services.delivery_notify.domain.loyalty_news import ADVERTISING
from services.delivery_notify.domain.routing import (
    DEFERRABLE,
    Defer,
    RecipientContact,
    Route,
    RoutingContext,
    RoutingDecision,
    Unreachable,
    route,
)
from tests.delivery_notify.conversation_driver import CALENDAR, at

DAY = date(2027, 3, 1)
NOON, NIGHT, EARLY = at(DAY, 12), at(DAY, 22), at(DAY, 5)
HANAKO = RecipientContact("山田 花子", "hanako@example.jp", Language.JA, "+819012345678", "U-1")
EVERYWHERE = RoutingContext(NOON, CALENDAR, ("email", "line", "sms"))
MAIL, LINE, SMS = Route("email", "hanako@example.jp"), Route("line", "U-1"), Route("sms", "+819012345678")
LIKES_LINE = replace(HANAKO, preferred=("line",))


def way(
    contact: RecipientContact = HANAKO,
    kind: str = "order_delayed",
    failed: tuple[str, ...] = (),
    started: str = "",
    **more: Any,
) -> RoutingDecision:
    return route(kind, contact, failed, started, False, replace(EVERYWHERE, **more))


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (way(), MAIL),
        (way(LIKES_LINE), LINE),
        (way(replace(HANAKO, preferred=("sms", "line"))), SMS),
        (way(LIKES_LINE, channels=("email",)), MAIL),
        (way(replace(LIKES_LINE, line_user_id=None)), MAIL),
        (way(LIKES_LINE, failed=("line",)), MAIL),
        (way(HANAKO, failed=("email",)), LINE),
        (way(replace(LIKES_LINE, suppressed=frozenset({"line"}))), MAIL),
        (way(HANAKO, failed=("email", "line", "sms")), Unreachable("no_channel_left")),
        (
            way(replace(HANAKO, phone=None, line_user_id=None, suppressed=frozenset({"email"}))),
            Unreachable("address_suppressed"),
        ),
        (way(LIKES_LINE, unavailable=("line",)), MAIL),
        (way(LIKES_LINE, unavailable=("line", "email"), channels=("email", "line")), LINE),
        (way(LIKES_LINE, started="email"), MAIL),
        (way(LIKES_LINE, started="email", failed=("email",)), LINE),
        (way(HANAKO, started="line", unavailable=("line",)), LINE),
    ],
)
def test_the_customers_own_order_then_the_others(found: RoutingDecision, expected: RoutingDecision) -> None:
    assert found == expected


@pytest.mark.parametrize(
    ("now", "until"),
    [
        (NIGHT, at(date(2027, 3, 2), 8)),
        (EARLY, at(DAY, 8)),
        (at(DAY, 7, 59), at(DAY, 8)),
        (at(DAY, 8), None),
        (at(DAY, 20, 59), None),
        (at(DAY, 21), at(date(2027, 3, 2), 8)),
    ],
)
def test_line_is_silent_at_night(now: datetime, until: datetime | None) -> None:
    assert way(LIKES_LINE, now=now) == (Defer(until, "quiet_hours") if until else LINE)


def test_mail_rings_nobody_up() -> None:
    assert way(now=NIGHT) == MAIL


def test_a_promise_that_breaks_tonight_takes_the_way_that_does_not_ring() -> None:
    assert way(LIKES_LINE, now=NIGHT, promise_deadline=at(date(2027, 3, 2), 0)) == MAIL


def test_a_promise_that_breaks_tonight_rings_where_there_is_no_other_way() -> None:
    assert way(LIKES_LINE, now=NIGHT, promise_deadline=at(date(2027, 3, 2), 0), channels=("line",)) == LINE


def test_a_promise_that_is_broken_already_need_not_ring() -> None:
    assert isinstance(way(LIKES_LINE, now=NIGHT, promise_deadline=at(DAY, 0)), Defer)


def test_quiet_hours_may_lie_within_a_day() -> None:
    assert way(LIKES_LINE, now=NOON, quiet_hours=(11, 14)) == Defer(at(DAY, 14), "quiet_hours")


def test_quiet_hours_of_no_length_are_none() -> None:
    assert way(LIKES_LINE, now=NIGHT, quiet_hours=(8, 8)) == LINE


@pytest.mark.parametrize("kind", sorted(set(NoticeKind) - ADVERTISING))
def test_a_cap_keeps_back_what_can_wait_and_nothing_else(kind: NoticeKind) -> None:
    kept = Defer(at(date(2027, 3, 2), 9), "daily_limit", batched=True)
    assert way(kind=kind, recent_messages=6) == (kept if kind in DEFERRABLE else MAIL)


def test_what_was_kept_back_once_is_not_kept_back_again() -> None:
    assert route("refunded", HANAKO, (), "", True, replace(EVERYWHERE, recent_messages=99)) == MAIL


CHANNELS = st.lists(st.sampled_from(["email", "line", "sms"]), unique=True).map(tuple)


@given(
    kind=st.sampled_from(list(NoticeKind)),
    preferred=CHANNELS,
    suppressed=CHANNELS,
    failed=CHANNELS,
    started=st.sampled_from(["", "email", "line", "sms"]),
    channels=CHANNELS,
    away=CHANNELS,
    minutes=st.integers(0, 60 * 24 * 400),
    recent_messages=st.integers(0, 20),
)
def test_every_notice_has_a_way_unless_there_is_none(
    kind: NoticeKind,
    preferred: tuple[str, ...],
    suppressed: tuple[str, ...],
    failed: tuple[str, ...],
    started: str,
    channels: tuple[str, ...],
    away: tuple[str, ...],
    minutes: int,
    recent_messages: int,
) -> None:
    contact = replace(HANAKO, preferred=preferred, suppressed=frozenset(suppressed))
    now = NOON + timedelta(minutes=minutes)
    given = RoutingContext(now, CALENDAR, channels, away, recent_messages=recent_messages)
    found = route(kind, contact, failed, started, False, given)
    usable = set(channels) - set(failed) - set(suppressed)
    match found:
        case Route(channel=channel):
            assert channel in usable
        case Defer(until=until):
            assert now < until <= now + timedelta(hours=34)
        case Unreachable():
            assert not usable
