"""Closed days: no date on a day on which the party that has to act is closed."""

from dataclasses import replace
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from libs.common.decisions.business_hours import BusinessHours
from libs.common.decisions.calendars import Calendars
from libs.common.decisions.shop_calendar import Closure, ShopCalendar
from libs.common.events.issues import (
    IssueChoiceRequested,
    IssueCollectionRequested,
    IssueReplacementOrdered,
    IssueReplacementPromised,
)
from libs.common.events.values import IssueLine, Reason
from libs.common.events.warehouse import ReplacementRejected
from services.returns.domain.context import CaseRules
from tests.returns.cases import ISSUE, RULES, CaseScenario, accepted, line

TOKYO = ZoneInfo("Asia/Tokyo")
NEW_YEAR = Closure(date(2026, 12, 29), date(2027, 1, 3), yearly=True)
SHOP = ShopCalendar(TOKYO, "JP", (5, 6))
CLOSED_SEASON = ShopCalendar(TOKYO, "JP", (5, 6), [NEW_YEAR])
NO_MONDAYS = ShopCalendar(TOKYO, None, (0,))
PARTIES = Calendars(
    BusinessHours(SHOP),
    {"default": BusinessHours(CLOSED_SEASON)},
    {"default": BusinessHours(NO_MONDAYS)},
)
BEFORE_NEW_YEAR = datetime(2026, 12, 28, 3, tzinfo=UTC)
REOPENING = date(2027, 1, 4)


def scenario(reason: Reason = Reason.DEFECTIVE, at: datetime = BEFORE_NEW_YEAR) -> CaseScenario:
    found = CaseScenario(now=at, rules=CaseRules(RULES.policies, PARTIES))
    found.apply(accepted(reason, at=at))
    return found


def out_of_stock_until(day: date) -> CaseScenario:
    case = scenario()
    answer = {"issue_id": ISSUE, "replacement_id": case.replacement_id, "cause": "out_of_stock"}
    case.apply(ReplacementRejected.model_validate({**answer, "restock_date": day}))
    return case


def test_no_replacement_is_promised_for_the_closed_season() -> None:
    assert scenario().last(IssueReplacementOrdered).promised_ship_date == REOPENING


def test_a_date_that_the_closed_warehouse_states_is_its_next_open_day() -> None:
    case = scenario()
    case.confirm(date(2026, 12, 31))
    assert case.last(IssueReplacementPromised).ship_date == REOPENING


def test_goods_are_back_on_an_open_day_of_the_warehouse() -> None:
    case = out_of_stock_until(date(2026, 12, 30))
    assert case.last(IssueChoiceRequested).restock_date == REOPENING


def test_the_shop_itself_may_answer_while_its_warehouse_is_closed() -> None:
    case = out_of_stock_until(date(2026, 12, 30))
    assert case.last(IssueChoiceRequested).due_at.astimezone(TOKYO).date() == date(2026, 12, 31)


def test_no_courier_is_asked_for_a_day_on_which_it_does_not_drive() -> None:
    sunday = datetime(2026, 3, 15, 3, tzinfo=UTC)
    case = scenario(Reason.CHANGED_MIND, at=sunday)
    assert case.last(IssueCollectionRequested).earliest_date == date(2026, 3, 17)


def test_the_courier_has_a_day_of_open_hours_to_answer_a_collection() -> None:
    """The shop cannot ask the courier at night, on a weekend or in its closed season."""
    friday_afternoon = datetime(2026, 12, 25, 7, tzinfo=UTC)  # 16:00 in the shop, two hours before it closes
    case = scenario(Reason.CHANGED_MIND, friday_afternoon)
    assert case.known.inbound.due_at == SHOP.moment(date(2026, 12, 28), 16)


def from_warehouse(name: str, line_id: str = "1") -> IssueLine:
    return line(line_id).model_copy(update={"warehouse": name})


def test_a_replacement_is_promised_on_the_days_of_the_warehouse_of_its_line() -> None:
    osaka = ShopCalendar(TOKYO, "JP", ())
    parties = replace(PARTIES, warehouses={**PARTIES.warehouses, "osaka": BusinessHours(osaka)})
    case = CaseScenario(now=BEFORE_NEW_YEAR, rules=CaseRules(RULES.policies, parties))
    case.apply(accepted(Reason.DEFECTIVE, from_warehouse("Osaka"), at=BEFORE_NEW_YEAR))
    assert case.last(IssueReplacementOrdered).promised_ship_date < date(2026, 12, 31)


def test_goods_of_two_warehouses_are_promised_on_the_days_of_any_other() -> None:
    osaka = ShopCalendar(TOKYO, "JP", ())
    parties = replace(PARTIES, warehouses={**PARTIES.warehouses, "osaka": BusinessHours(osaka)})
    case = CaseScenario(now=BEFORE_NEW_YEAR, rules=CaseRules(RULES.policies, parties))
    lines = (from_warehouse("osaka"), from_warehouse("nara", "2"))
    case.apply(accepted(Reason.DEFECTIVE, *lines, at=BEFORE_NEW_YEAR))
    assert case.last(IssueReplacementOrdered).promised_ship_date == REOPENING
