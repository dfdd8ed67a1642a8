"""Notices of points: apology points with the end of their issue, expiring points in time and rarely."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from deploy.local.mailbox import Mailbox
from libs.common.decisions.facts import Fact, Ignored
from libs.common.decisions.ids import derived_id
from libs.common.events import issues as ev
from libs.common.events.loyalty import PointsExpiring, PointsGranted, PointsWithheld
from libs.common.events.notices import NoticeKind
from libs.common.events.values import Language, Reason
from services.delivery_notify.domain.context import ConversationDecision
from services.delivery_notify.domain.conversation import Conversation
from services.delivery_notify.domain.notices import NoticeCreated, PointsDecided
from services.delivery_notify.domain.points import on_points_expiring
from tests.conftest import MakeDatabase
from tests.delivery_notify.conversation_driver import (
    CUSTOMER,
    ISSUE,
    MONDAY,
    ORDER,
    RULES,
    ConversationDriver,
    at,
    drive,
    issue,
    line,
    of,
    placed,
    reasons,
)
from tests.delivery_notify.service import notifying, settled, take

USABLE_FROM, USABLE_UNTIL = date(2027, 3, 15), date(2028, 3, 14)
SORRY = derived_id("entry", 1)


def granted(entry_id: UUID = SORRY, **more: Any) -> PointsGranted:
    known = {"customer_id": CUSTOMER, "entry_id": entry_id, "points": 549, "cause": f"issue:{ISSUE}:1", "rule": "ours"}
    about = {"issue_id": ISSUE, "order_id": ORDER, "granted_at": MONDAY, "vests_at": MONDAY + timedelta(days=14)}
    return PointsGranted.model_validate({**known, **about, "expires_on": USABLE_UNTIL, **more})


def resolved(**more: Any) -> ConversationDriver:
    return drive(placed(), issue(ev.IssueAccepted, **more), issue(ev.IssueResolved, **more))


def added(driver: ConversationDriver) -> list[PointsDecided]:
    return of(driver.facts, PointsDecided)


def test_the_end_of_an_issue_and_its_points_are_one_message() -> None:
    driver = resolved()
    driver.handle(granted())
    (end,) = driver.notices
    assert added(driver) == [PointsDecided(end.notice_id, 549, USABLE_FROM, USABLE_UNTIL)]


def test_points_granted_before_the_end_are_in_its_notice_at_once() -> None:
    driver = drive(placed(), issue(ev.IssueAccepted), granted(), issue(ev.IssueResolved))
    (end,) = driver.notices
    assert (end.facts.points, end.due_at) == (549, MONDAY)


def test_points_that_are_read_before_their_issue_are_in_its_last_notice() -> None:
    driver = drive(placed(), granted(), issue(ev.IssueAccepted), issue(ev.IssueResolved))
    (end,) = driver.notices
    assert (end.kind, end.facts.points) == (NoticeKind.ISSUE_RESOLVED, 549)


def test_points_for_an_issue_that_stays_unknown_are_announced_alone() -> None:
    driver = drive(placed(), granted())
    assert driver.notices == []
    driver.advance_to(MONDAY + timedelta(hours=7))
    assert driver.kinds == [NoticeKind.POINTS_GRANTED]


def test_the_end_is_held_back_for_its_points_no_longer_than_other_news() -> None:
    (end,) = resolved().notices
    assert end.due_at == MONDAY + RULES.batching_delay


def test_a_change_of_mind_earns_no_points_and_waits_for_none() -> None:
    (end,) = resolved(reason=Reason.CHANGED_MIND).notices
    assert end.due_at == MONDAY


def test_a_refund_and_the_points_for_it_are_one_message() -> None:
    driver = drive(placed(), issue(ev.IssueAccepted), issue(ev.IssueRefunded), issue(ev.IssueResolved), granted())
    (refunded,) = driver.notices
    assert (refunded.kind, added(driver)[0].notice_id) == (NoticeKind.REFUNDED, refunded.notice_id)


def test_points_granted_after_the_refund_notice_are_a_notice_of_their_own() -> None:
    driver = drive(placed(), issue(ev.IssueAccepted), issue(ev.IssueRefunded))
    driver.advance_to(MONDAY + timedelta(hours=1))
    driver.handle(granted())
    driver.handle(issue(ev.IssueResolved))
    assert driver.kinds == [NoticeKind.REFUNDED, NoticeKind.POINTS_GRANTED]


def test_points_that_staff_granted_later_are_a_notice_of_their_own() -> None:
    driver = resolved()
    driver.advance_to(MONDAY + timedelta(days=2))
    driver.handle(granted())
    assert driver.kinds == [NoticeKind.ISSUE_RESOLVED, NoticeKind.POINTS_GRANTED]


def test_points_granted_twice_are_announced_once() -> None:
    driver = resolved()
    driver.handle(granted())
    assert reasons(driver.handle(granted())) == ["duplicate_points"]


def test_a_notice_that_is_about_to_leave_is_not_counted_on() -> None:
    driver = resolved()
    driver.advance_to(MONDAY + RULES.batching_delay - RULES.deadline_margin / 2)
    driver.handle(granted())
    assert (added(driver), driver.kinds[-1]) == ([], NoticeKind.POINTS_GRANTED)


def withheld() -> PointsWithheld:
    known = {"customer_id": CUSTOMER, "issue_id": ISSUE, "order_id": ORDER, "cause": f"issue:{ISSUE}:1", "points": 549}
    return PointsWithheld.model_validate({**known, "code": "too_many", "withheld_at": MONDAY})


def test_the_end_of_an_issue_without_points_leaves_as_soon_as_that_is_decided() -> None:
    driver = resolved()
    driver.handle(withheld())
    assert added(driver) == [PointsDecided(driver.notices[0].notice_id)]


def test_the_end_of_an_issue_does_not_wait_for_points_that_were_withheld_before() -> None:
    (end,) = drive(placed(), issue(ev.IssueAccepted), withheld(), issue(ev.IssueResolved)).notices
    assert (end.due_at, end.facts.points) == (MONDAY, None)


def test_points_that_were_withheld_and_then_granted_by_staff_are_announced() -> None:
    driver = resolved()
    driver.handle(withheld())
    driver.handle(granted())
    assert driver.kinds == [NoticeKind.ISSUE_RESOLVED, NoticeKind.POINTS_GRANTED]


def test_an_issue_that_is_taken_up_again_takes_its_end_back() -> None:
    driver = resolved()
    driver.handle(issue(ev.IssueReopened))
    assert driver.received == [NoticeKind.ISSUE_REOPENED]


def test_points_of_the_second_resolution_are_announced_with_it() -> None:
    driver = resolved()
    driver.handle(granted())
    driver.handle(issue(ev.IssueReopened))
    driver.handle(issue(ev.IssueResolved, resolution=2))
    driver.handle(granted(derived_id("entry", 2), points=80))
    assert [(each.notice_id, each.points) for each in added(driver)][1:] == [(driver.notices[-1].notice_id, 80)]


def test_points_of_another_customer_create_no_notice() -> None:
    assert reasons(resolved().handle(granted(customer_id="C-2"))) == ["points_of_another_customer"]


LATEST = Conversation("O-9", CUSTOMER)


def expire(day: date, announced_at: datetime = MONDAY, **more: Any) -> PointsExpiring:
    known = {"customer_id": CUSTOMER, "points": 49, "expires_on": day, "announced_at": announced_at, "balance": 612}
    return PointsExpiring.model_validate({**known, **more})


def expiry_facts(conversation: Conversation, event: PointsExpiring, now: datetime = MONDAY) -> list[Fact]:
    decision = ConversationDecision(conversation, now, RULES)
    on_points_expiring(decision, event)
    return decision.facts


def expiry_notice(day: date, now: datetime = MONDAY) -> NoticeCreated:
    (notice,) = of(expiry_facts(LATEST, expire(day, now), now), NoticeCreated)
    return notice


def test_expiring_points_are_announced_with_their_last_day_and_the_balance() -> None:
    facts = expiry_notice(date(2027, 3, 31)).facts
    assert (facts.points, facts.day, facts.balance, facts.as_of) == (49, date(2027, 3, 31), 612, date(2027, 3, 1))


@pytest.mark.parametrize(
    ("day", "leaves"),
    [
        (date(2027, 3, 31), at(date(2027, 3, 15), 10)),
        (date(2027, 3, 29), at(date(2027, 3, 15), 10)),
        (date(2027, 3, 28), at(date(2027, 3, 2), 10)),
        (date(2027, 3, 2), MONDAY + timedelta(minutes=1)),
        (date(2027, 3, 1), MONDAY + timedelta(minutes=1)),
    ],
)
def test_expiring_points_are_announced_on_batch_days_at_least_two_weeks_ahead(day: date, leaves: datetime) -> None:
    assert expiry_notice(day, MONDAY + timedelta(minutes=1)).due_at == leaves


def test_expiring_points_are_announced_once_per_last_day_whatever_the_latest_order() -> None:
    other = of(expiry_facts(Conversation("O-10", CUSTOMER), expire(date(2027, 3, 31))), NoticeCreated)
    assert other[0].notice_id == expiry_notice(date(2027, 3, 31)).notice_id


def test_expired_points_are_not_announced() -> None:
    assert expiry_facts(LATEST, expire(date(2027, 2, 28))) == [Ignored("date_in_past")]


def test_an_unknown_customer_gets_no_notice_of_expiring_points() -> None:
    assert expiry_facts(Conversation(""), expire(date(2027, 3, 31))) == [Ignored("unknown_customer")]


TODAY = datetime.now(UTC)


def order(number: int, email: str, language: Language = Language.JA) -> Any:
    contact = placed().contact.model_copy(update={"email": email, "language": language})
    when = TODAY - timedelta(days=9 - number)
    return placed(line(promise=None), order_id=f"O-{number}", placed_at=when, contact=contact)


async def test_all_that_expires_is_one_mail_to_the_newest_address(database: MakeDatabase, smtp: Mailbox) -> None:
    days = [(TODAY + timedelta(days=count)).date() for count in (20, 40)]
    async with notifying(await database("delivery_notify"), smtp.url) as live:
        await take(live, order(2, "new@example.jp", Language.EN), order(1, "old@example.jp"))
        await take(live, *(expire(day, TODAY) for day in days), expire(days[0], TODAY))
        await live.service.pool.execute("UPDATE notices SET due_at = made_at")
        rows = await settled(live, 2)
        (mail,) = await smtp.wait_for(1)
    assert ([row["order_id"] for row in rows], mail["To"].addresses[0].addr_spec) == (["O-2"] * 2, "new@example.jp")
    assert "2 messages" in mail["Subject"]


async def test_points_are_in_the_mail_that_ends_an_issue(database: MakeDatabase, smtp: Mailbox) -> None:
    async with notifying(await database("delivery_notify"), smtp.url, notice_batching_minutes=10) as live:
        await take(live, order(1, "hanako@example.jp"))
        await take(live, issue(ev.IssueAccepted, order_id="O-1"), issue(ev.IssueResolved, order_id="O-1"))
        await take(live, granted(order_id="O-1"))
        (mail,) = await smtp.wait_for(1)
    text = next(mail.iter_parts()).get_content()
    assert "お詫びのしるしに、549ポイントをお贈りいたします。2027年3月15日(月)から2028年3月14日(火)まで" in text
