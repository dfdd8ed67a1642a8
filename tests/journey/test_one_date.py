"""One promise, one date on every surface, and none on a day that is closed for the party that has to act.

Random histories of one issue through returns and delivery_notify; after each step the mails, the status page, the desk
and the promise ledger (the API) are read as their readers see them. The parties keep different days: the shop is closed
on Tuesdays, the warehouse on Thursdays, the carrier on Sundays, and all of them in a closed season.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from libs.common.decisions.business_hours import BusinessHours
from libs.common.decisions.calendars import Calendars
from libs.common.decisions.shop_calendar import Closure, ShopCalendar
from libs.common.events.envelope import Payload
from libs.common.events.issues import IssueEvent
from libs.common.events.notices import NoticeKind, NoticeSent, PromiseSubject
from libs.common.events.values import Language, Reason
from libs.common.events.warehouse import ReplacementOrdered
from services.delivery_notify.domain.notices import NoticeCreated, PromiseMade
from services.delivery_notify.rendering.content import NoticeContent
from services.delivery_notify.rendering.renderer import Renderer
from services.delivery_notify.rendering.shop import Shop
from services.intake.customer_pages.milestones import current_replacement
from services.intake.customer_pages.status_view import StatusView, build_status_view
from services.intake.desk.promised_dates import FULFILLED_BY, promised_dates
from services.intake.domain.projections.issue_status import fold_status
from services.returns.domain.context import CaseRules
from tests.delivery_notify.rendered_notices import LINKS
from tests.delivery_notify.written_days import written_days
from tests.examples import examples
from tests.journey.test_first_dates import FOUR_WEEKS, STEPS, Step, payload_of
from tests.journey.two_services import TwoServices
from tests.returns.cases import CALENDAR, RULES, TUESDAY
from tests.returns.cases import accepted as accepted_event

SEASON = Closure(date(2026, 3, 16), date(2026, 3, 18))
SHOP, WAREHOUSE, CARRIER = (ShopCalendar(CALENDAR.zone, None, (closed,), [SEASON]) for closed in (1, 3, 6))
PARTIES = Calendars(BusinessHours(SHOP), {"default": BusinessHours(WAREHOUSE)}, {"default": BusinessHours(CARRIER)})
RENDERER = Renderer(SHOP, LINKS, Shop("さきだし商店"))

STARTS = st.integers(0, 7 * 24 - 1).map(lambda hours: TUESDAY + timedelta(hours=hours))
"""Times of the report, on any day of the week before the closed season."""
_SHIP_KINDS = (NoticeKind.ISSUE_ACCEPTED, NoticeKind.REPLACEMENT_PROMISED, NoticeKind.REPLACEMENT_DELAYED)


@dataclass
class Surfaces:
    """All surfaces of one issue at the present moment of its story."""

    story: TwoServices
    start: datetime

    @property
    def today(self) -> date:
        return CALENDAR.day(self.story.now)

    @property
    def left(self) -> list[NoticeCreated]:
        """Notices that were sent by now."""
        return [each for each in self.story.notices if each.due_at <= self.story.now]

    @property
    def timeline(self) -> list[Mapping[str, Any]]:
        """Events of the issue and its notices, as intake keeps them."""
        facts = [(at, fact) for at, fact in self._history() if at <= self.story.now]
        rows = [{"type": fact.TYPE, "at": at, "data": fact.model_dump(mode="json")} for at, fact in facts]
        return sorted(rows, key=lambda row: row["at"])

    def _history(self) -> Iterator[tuple[datetime, IssueEvent | NoticeSent]]:
        yield self.start, accepted_event(Reason.DEFECTIVE, at=self.start)
        yield from published(self.story)
        for notice in self.left:
            yield notice.due_at, sent(notice)

    @property
    def status_page(self) -> StatusView:
        timeline = self.timeline
        status = fold_status(refused=False, types=[row["type"] for row in timeline])
        return build_status_view(timeline, status.value, self.today, CARRIER)

    def newest_row(self, subject: PromiseSubject, subject_id: str) -> PromiseMade | None:
        """The newest row of the ledger about this subject, as `GET /v1/orders/{order_id}/promises` lists it."""
        rows = [row for row in self.story.talk.facts if isinstance(row, PromiseMade)]
        return next((r for r in reversed(rows) if (r.subject, r.subject_id) == (subject, subject_id)), None)


def published(story: TwoServices) -> list[tuple[datetime, IssueEvent]]:
    """Issue events of returns with the times at which they were published."""
    return [(at, fact) for at, fact in story.published if isinstance(fact, IssueEvent)]


def sent(notice: NoticeCreated) -> NoticeSent:
    return NoticeSent(
        notice_id=notice.notice_id,
        order_id=notice.order_id,
        customer_id=notice.customer_id,
        issue_id=notice.issue_id,
        kind=notice.kind,
        channel="email",
        language=Language.EN,
        promised_date=notice.promised_date,
        announces=notice.promises.announces,
        supersedes=notice.promises.supersedes,
        next_update_by=notice.facts.next_update_by,
        sent_at=notice.due_at,
    )


def mail_days(notice: NoticeCreated, language: Language) -> set[tuple[int, int]]:
    """Months and days in the text of the mail."""
    content = NoticeContent(
        notice.kind, notice.order_id, "Hanako", language, notice.facts, notice.issue_id, notice.due_at
    )
    return written_days(RENDERER.render(content).text, language)


def party_of(notice: NoticeCreated) -> ShopCalendar:
    """The party that has to act on the day of a notice."""
    if notice.facts.plan == "refund_collection":
        return CARRIER
    is_restock = notice.kind is NoticeKind.CHOICE_REQUESTED and notice.promised_date is not None
    if is_restock or (notice.kind in _SHIP_KINDS and notice.facts.plan != "date"):
        return WAREHOUSE
    if notice.kind in (NoticeKind.REPLACEMENT_SHIPPED, NoticeKind.REPLACEMENT_DELIVERY_CHANGED):
        return CARRIER
    return SHOP


def story_of(steps: list[Step], start: datetime) -> TwoServices:
    """A report at `start`; the warehouse takes these steps with its first order, and ships later ones at once."""

    def answer(order: ReplacementOrdered) -> list[tuple[datetime, Payload]]:
        steps_now = steps if len(story.ordered) == 1 else [("confirm", 0, 1), ("ship", 600, 0)]
        times = [(story.now + timedelta(minutes=minutes), kind, days) for kind, minutes, days in steps_now]
        return [(at, payload_of(order, kind, at, days)) for at, kind, days in times]

    story = TwoServices(answer, CaseRules(RULES.policies, PARTIES), start)
    story.report(Reason.DEFECTIVE)
    return story


def surfaces_after(steps: list[Step], start: datetime) -> Surfaces:
    """The surfaces after four weeks."""
    story = story_of(steps, start)
    story.run_until(start + FOUR_WEEKS)
    return Surfaces(story, start)


def every_moment(steps: list[Step], start: datetime) -> Iterator[Surfaces]:
    """The surfaces at many moments of four weeks."""
    story = story_of(steps, start)
    for hours in (0, 1, 5, *range(9, FOUR_WEEKS.days * 24, 21)):
        story.run_until(start + timedelta(hours=hours))
        story.now = start + timedelta(hours=hours)
        yield Surfaces(story, start)


@settings(max_examples=examples(150))
@given(STEPS, STARTS)
def test_no_mail_shows_a_day_that_is_closed_for_the_party_that_has_to_act(steps: list[Step], start: datetime) -> None:
    last = surfaces_after(steps, start)
    for notice in last.left:
        facts = notice.facts
        if facts.day and facts.day >= CALENDAR.day(notice.made_at):
            assert party_of(notice).is_open(facts.day), (notice.kind, facts)
        if facts.next_update_by:
            assert SHOP.is_open(facts.next_update_by), (notice.kind, facts)
        if facts.answer_by:
            assert SHOP.is_open(CALENDAR.day(facts.answer_by)), (notice.kind, facts)


@settings(max_examples=examples(60))
@given(STEPS, STARTS)
def test_the_text_of_a_mail_shows_the_dates_of_the_ledger(steps: list[Step], start: datetime) -> None:
    last = surfaces_after(steps, start)
    for notice in last.left:
        for promise in notice.promises.announces:
            for language in Language:
                assert (promise.day.month, promise.day.day) in mail_days(notice, language), (notice.kind, language)


@settings(max_examples=examples(60))
@given(STEPS, STARTS)
def test_the_status_page_shows_open_days_and_the_newest_date_of_the_ledger(steps: list[Step], start: datetime) -> None:
    for surfaces in every_moment(steps, start):
        page = surfaces.status_page
        found = {each.code: each for each in page.milestones}
        ships, arrives = found.get("shipped"), found.get("delivered")
        if ships and ships.expected_on:
            replacement_id = str(current_replacement(surfaces.timeline)[-1]["data"]["replacement_id"])
            row = surfaces.newest_row(PromiseSubject.REPLACEMENT, replacement_id)
            assert row
            assert ships.expected_on == row.day
            assert WAREHOUSE.is_open(row.day)
        if ships and ships.known_by:
            assert SHOP.is_open(ships.known_by)
        if arrives and arrives.expected_on and arrives.expected_on >= surfaces.today:
            assert CARRIER.is_open(arrives.expected_on)
        if page.next_update_by:
            assert SHOP.is_open(page.next_update_by)
        assert all(CARRIER.is_open(window.day) for window in page.available_windows)


@settings(max_examples=examples(100))
@given(STEPS, STARTS)
def test_the_desk_shows_the_date_of_the_mail_and_of_the_ledger(steps: list[Step], start: datetime) -> None:
    last = surfaces_after(steps, start)
    desk = [
        (each.sent_at, each.notice, each.day)
        for each in promised_dates(last.timeline, last.today, CALENDAR.zone)
        if each.notice in FULFILLED_BY
    ]
    mails = [
        (notice.due_at, notice.kind, facts.day)
        for notice in last.left
        if notice.promised_date and notice.kind in FULFILLED_BY and (facts := notice.facts).day
    ]
    assert sorted(desk) == sorted(mails)
    for notice in last.left:
        days = {each.day for each in notice.promises.announces if each.subject is PromiseSubject.REPLACEMENT}
        assert days <= {notice.promised_date}
