"""Property of the dates of order lines: open days for the party that has to act, and the same on every surface.

Random histories of an order of two lines from two warehouses, whose days differ from those of the shop and of the
carrier. Closures come to light on the way. Dates of the checkout are the shop's own, and on open days.
"""

from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from libs.common.decisions.business_hours import BusinessHours
from libs.common.decisions.calendars import CALENDAR_TIMER, Calendars
from libs.common.decisions.facts import TimerFired
from libs.common.decisions.shop_calendar import Closure, ShopCalendar
from libs.common.events.change_requests import ChangeAnswer, OrderChangeAnswered
from libs.common.events.notices import ChangeSubject, PromiseRef, PromiseSubject
from libs.common.events.storefront import OrderDelayed, OrderPromiseChanged, OrderShipped, ShipmentChanged
from libs.common.events.values import Choice, Language
from services.delivery_notify.domain.customer_questions import CustomerAnswered
from services.delivery_notify.domain.notices import NoticeCreated, PromiseMade
from services.delivery_notify.domain.promises import DELIVERY, SHIP, SHOP
from services.delivery_notify.http.pages.choice_view import ChoiceView, shown_dates
from services.delivery_notify.rendering.content import NoticeContent
from services.delivery_notify.rendering.renderer import Renderer
from services.delivery_notify.rendering.shop import Shop
from tests.delivery_notify.conversation_driver import ORDER, RULES, TOKYO, ConversationDriver, line, of, placed
from tests.delivery_notify.rendered_notices import LINKS
from tests.delivery_notify.written_days import written_days
from tests.examples import examples

WAREHOUSES = {"1": "osaka", "2": "nara"}
CLOSED_WEEKDAY = {"shop": 1, "osaka": 3, "nara": 5, "carrier": 6}
TODAY = date(2027, 3, 1)
RENDERER = Renderer(ShopCalendar(TOKYO), LINKS, Shop("さきだし商店"))


def parties(closures: dict[str, list[Closure]]) -> Calendars:
    def hours(name: str) -> BusinessHours:
        return BusinessHours(ShopCalendar(TOKYO, None, (CLOSED_WEEKDAY[name],), closures.get(name, ())))

    return Calendars(hours("shop"), {name: hours(name) for name in WAREHOUSES.values()}, {"default": hours("carrier")})


def day_after(days: int) -> date:
    return TODAY + timedelta(days=days)


DAYS = st.integers(0, 30).map(day_after)
LINE_IDS = st.sampled_from([(), ("1",), ("2",)])
ACTIONS = st.one_of(
    st.tuples(st.just("promise"), LINE_IDS, DAYS, st.none() | DAYS),
    st.tuples(st.just("delay"), LINE_IDS, st.none() | DAYS, st.none() | DAYS),
    st.tuples(st.just("ship"), st.sampled_from("12"), st.none() | DAYS),
    st.tuples(st.just("correct"), st.sampled_from("12"), DAYS),
    st.tuples(st.just("choose"), DAYS),
    st.tuples(st.just("answer"), st.sampled_from(ChangeAnswer), st.none() | DAYS),
    st.tuples(st.just("wait"), st.integers(1, 24 * 4)),
    st.tuples(st.just("close"), st.sampled_from(sorted(CLOSED_WEEKDAY)), DAYS, st.integers(0, 5)),
)


@dataclass
class Story:
    """An order with its calendars; `judged` holds each notice with the calendars of the time at which it was made."""

    driver: ConversationDriver = field(repr=False)
    actions: list[tuple[Any, ...]] = field(default_factory=list)
    closures: dict[str, list[Closure]] = field(default_factory=dict, repr=False)
    judged: list[tuple[NoticeCreated, Calendars]] = field(default_factory=list, repr=False)
    made: list[tuple[PromiseMade, Calendars]] = field(default_factory=list, repr=False)

    def act(self, action: tuple[Any, ...]) -> None:
        self.actions.append(action)
        self._act(*action)
        self.note()

    def note(self) -> None:
        calendars = self.driver.rules.calendars
        self.judged += [(notice, calendars) for notice in self.driver.notices[len(self.judged) :]]
        self.made += [(row, calendars) for row in of(self.driver.facts, PromiseMade)[len(self.made) :]]

    def _act(self, kind: str, *more: Any) -> None:
        driver, now = self.driver, self.driver.now
        match kind, more:
            case "promise", (line_ids, day, delivery):
                dates = {"promised_ship_date": day, "promised_delivery_date": delivery}
                driver.handle(OrderPromiseChanged(order_id=ORDER, line_ids=line_ids, **dates, changed_at=now))
            case "delay", (line_ids, day, delivery):
                dates = {"promised_ship_date": day, "promised_delivery_date": delivery}
                driver.handle(OrderDelayed(order_id=ORDER, line_ids=line_ids, **dates, cause="late", delayed_at=now))
            case "ship", (line_id, day):
                parcel: dict[str, Any] = {"shipment_id": f"P-{line_id}", "lines": [{"line_id": line_id, "quantity": 1}]}
                parcel |= {"shipped_at": now, "expected_delivery_date": day}
                driver.handle(OrderShipped.model_validate({"order_id": ORDER, **parcel}))
            case "correct", (line_id, day):
                change = {"shipment_id": f"P-{line_id}", "changed_at": now, "expected_delivery_date": day}
                driver.handle(ShipmentChanged.model_validate({"order_id": ORDER, **change}))
            case "choose", (day,):
                sent = {notice.notice_id for notice in driver.notices if notice.due_at <= now}
                asked = (each for each in driver.conversation.questions if each.open and each.notice_id in sent)
                question = next(asked, None)
                if question:
                    change = {"choice": Choice.CHANGE, "change": ChangeSubject.DATE, "requested_date": day}
                    driver.handle(CustomerAnswered(order_id=ORDER, choice_id=question.choice_id, **change))
            case "answer", (answer, day):
                for request in driver.conversation.requests[:1]:
                    given_ = {"request_id": request.request_id, "answer": answer, "promised_ship_date": day}
                    driver.handle(OrderChangeAnswered(order_id=ORDER, **given_, answered_at=now))
            case "wait", (hours,):
                driver.advance_to(now + timedelta(hours=hours))
            case "close", (party, first, days):
                self.closures.setdefault(party, []).append(Closure(first, first + timedelta(days=days)))
                driver.rules = replace(driver.rules, calendars=parties(self.closures))
                driver.handle(TimerFired(name=CALENDAR_TIMER, due_at=now), ORDER)


@st.composite
def stories(draw: st.DrawFn) -> Story:
    calendars = parties({})
    driver = ConversationDriver(rules=replace(RULES, calendars=calendars))
    lines = []
    for line_id, name in WAREHOUSES.items():
        ships = calendars.warehouse(name).next_open(draw(DAYS))
        arrives = draw(st.none() | st.integers(1, 5))
        delivery = arrives and calendars.carrier().next_open(ships + timedelta(days=arrives))
        lines.append(line(line_id, ships, warehouse=name, promised_delivery_date=delivery))
    driver.handle(placed(*lines))
    story = Story(driver, [("order", *((each.line_id, each.promised_ship_date) for each in lines))])
    story.note()
    for action in draw(st.lists(ACTIONS, max_size=9)):
        story.act(action)
    return story


def party_of(promise: PromiseRef | PromiseMade, calendars: Calendars) -> ShopCalendar:
    is_shipped = promise.subject == PromiseSubject.LINE
    return calendars.warehouse(WAREHOUSES[promise.subject_id]) if is_shipped else calendars.carrier()


def shown(story: Story) -> list[tuple[NoticeCreated, Calendars]]:
    """Notices that leave."""
    return [each for each in story.judged if each[0].notice_id not in story.driver.withdrawn_unsent]


def known_days(story: Story) -> dict[tuple[str, str], date]:
    """The newest date of each promise that the customer was given: by the shop itself, the choice page, or a mail that
    was sent or waits to be sent."""
    sent = {
        (ref.subject, ref.subject_id, ref.version)
        for notice, _ in shown(story)
        for ref in notice.promises.announces
        if (notice.notice_id, ref.subject_id) not in story.driver.excluded_unsent
    }
    rows = [row for row, _ in story.made if row.surface or (row.subject, row.subject_id, row.version) in sent]
    return {(row.subject, row.subject_id): row.day for row in sorted(rows, key=lambda row: row.version)}


@settings(max_examples=examples(300), deadline=None)
@given(stories())
def test_no_date_is_announced_for_a_day_on_which_its_party_is_closed(story: Story) -> None:
    for notice, calendars in shown(story):
        for ref in notice.promises.announces:
            if ref.day >= calendars.shop.day(notice.made_at):
                assert party_of(ref, calendars).is_open(ref.day), (story, notice.kind, ref)


@settings(max_examples=examples(300), deadline=None)
@given(stories())
def test_no_date_is_recorded_for_a_day_on_which_its_party_is_closed(story: Story) -> None:
    """Dates that the shop itself announced are its own."""
    for row, calendars in story.made:
        assert row.surface == SHOP or party_of(row, calendars).is_open(row.day), (story, row)


@settings(max_examples=examples(100), deadline=None)
@given(stories())
def test_the_text_of_a_mail_shows_the_dates_that_it_announces_in_every_language(story: Story) -> None:
    for notice, _ in shown(story):
        for language in Language:
            content = NoticeContent(notice.kind, ORDER, "Hanako", language, notice.facts, None, notice.due_at)
            found = written_days(RENDERER.render(content).text, language)
            assert {(ref.day.month, ref.day.day) for ref in notice.promises.announces} <= found, (
                story,
                notice.kind,
                language,
            )


@settings(max_examples=examples(300), deadline=None)
@given(stories())
def test_mail_and_choice_page_show_the_date_of_the_ledger(story: Story) -> None:
    ledger = {(row.subject, row.subject_id, row.version): row.day for row, _ in story.made}
    notices = {notice.notice_id: notice for notice, _ in shown(story)}
    for notice in notices.values():
        for ref in notice.promises.announces:
            assert ledger[ref.subject, ref.subject_id, ref.version] == ref.day
    for question in story.driver.conversation.questions:
        notice_ = notices.get(question.notice_id)
        if notice_ and question.open and notice_.promises.announces:
            view = ChoiceView(ORDER, question, notice_.facts, Language("de"))
            dates = {day for label, day in shown_dates(view) if label == "choice.ship_date" and day}
            assert dates <= {ref.day for ref in notice_.promises.announces}


@settings(max_examples=examples(300), deadline=None)
@given(stories(), st.sampled_from(sorted(CLOSED_WEEKDAY)), DAYS, st.integers(0, 5))
def test_after_a_change_of_the_calendar_no_date_stands_on_a_closed_day_and_the_customer_has_each(
    story: Story, party: str, first: date, days: int
) -> None:
    """The shop announces the first delivery date of a line with the shipment; an earlier delivery needs no notice."""
    story.act(("close", party, first, days))
    known, rules = known_days(story), story.driver.rules
    for each in story.driver.conversation.lines:
        for track in (SHIP, DELIVERY):
            promise = track.of(each)
            if not track.is_pending(each) or promise.updates_sent or promise.day is None:
                continue
            if promise.day >= rules.calendar.day(story.driver.now):
                assert track.party(each, rules).is_open(promise.day), (story, track.subject)
                day = known.get((track.subject, each.line_id), promise.day)
                assert day == promise.day or (track is DELIVERY and day > promise.day), (story, track.subject)
