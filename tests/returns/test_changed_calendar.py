"""A changed calendar: a ship date or a visit on a day that is closed now moves to the next open day."""

from datetime import date

from libs.common.decisions.business_hours import BusinessHours
from libs.common.decisions.calendars import CALENDAR_TIMER, Calendars
from libs.common.decisions.facts import Facts, TimerFired
from libs.common.decisions.shop_calendar import Closure, ShopCalendar
from libs.common.events.issues import IssueCollectionRequested, IssueReplacementDelayed
from libs.common.events.values import Reason
from services.returns.domain.context import CaseRules
from tests.returns.cases import CALENDAR, RULES, CaseScenario, event_types, open_scenario, refusal_reasons

WEDNESDAY, THURSDAY, FRIDAY = date(2026, 3, 11), date(2026, 3, 12), date(2026, 3, 13)


def with_closure(case: CaseScenario, first: date, last: date) -> Facts:
    """Close every party for these days, and let the case look at its dates."""
    closed = ShopCalendar(CALENDAR.zone, "JP", (5, 6), [Closure(first, last)])
    case.rules = CaseRules(RULES.policies, Calendars(BusinessHours(closed)))
    return case.apply(TimerFired(name=CALENDAR_TIMER, due_at=case.now))


def test_a_given_ship_date_that_cannot_hold_is_replaced() -> None:
    case = open_scenario()
    case.confirm(WEDNESDAY)
    with_closure(case, WEDNESDAY, THURSDAY)
    delayed = case.last(IssueReplacementDelayed)
    assert (delayed.previous_ship_date, delayed.ship_date, delayed.cause) == (WEDNESDAY, FRIDAY, "calendar")


def test_an_answer_of_the_warehouse_is_awaited_as_long_as_before() -> None:
    case = open_scenario()
    before = case.known.outbound.due_at
    with_closure(case, WEDNESDAY, THURSDAY)
    assert case.known.outbound.due_at == before
    assert case.known.outbound.promises[-1].ship_date == FRIDAY


def test_a_visit_on_a_closed_day_is_requested_for_the_next_open_one() -> None:
    case = open_scenario(Reason.CHANGED_MIND)
    case.book(THURSDAY)
    with_closure(case, THURSDAY, THURSDAY)
    assert case.last(IssueCollectionRequested).earliest_date == FRIDAY


def test_a_date_that_still_holds_stays_without_an_event() -> None:
    case = open_scenario()
    case.confirm(WEDNESDAY)
    assert event_types(with_closure(case, THURSDAY, FRIDAY)) == []


def test_a_closed_case_has_no_date_to_move() -> None:
    case = open_scenario()
    case.ship()
    case.deliver()
    case.collect()
    case.receive()
    case.inspect()
    assert case.known.is_closed
    assert refusal_reasons(with_closure(case, WEDNESDAY, THURSDAY)) == ["case_closed"]
