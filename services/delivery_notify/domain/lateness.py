"""Forecast of lateness: by how many open days a party missed its first dates, and what follows for those of today.

The history is the shop's own: the empirical quantiles of the delay between a first date and the actual shipment, per
warehouse, or delivery, per carrier. Rejected: a fitted model, whose answer nobody at the shop could check on paper.
Below a minimum of dates there is no forecast. Early counts as punctual; a date that is still missed counts with its
delay so far, or a standstill would look punctual, and one that was cancelled after its day with its delay until then.

Ops are warned before the cutoff of the day, while something can still be done; the customer is notified of a date that
does break by `promise_renewal.py`, and of no forecast.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from math import ceil

from libs.common.decisions.calendars import Calendars
from libs.common.decisions.shop_calendar import ShopCalendar
from services.delivery_notify.domain.promise_accuracy import Dimension
from services.delivery_notify.policy.notification_rules import ForecastRules

LONGEST_DELAY = 60
"""Open days; a longer delay counts as this one."""

NAMED_ORDERS = 10
"""Orders that a warning names at most."""


@dataclass(frozen=True, slots=True, order=True)
class Party:
    """A warehouse or a carrier by its name, or all of those whose name is not known."""

    dimension: Dimension
    name: str

    def calendar(self, calendars: Calendars) -> ShopCalendar:
        return calendars.warehouse(self.name) if self.dimension == Dimension.WAREHOUSE else calendars.carrier(self.name)


@dataclass(frozen=True, slots=True)
class FirstDate:
    """A first date of the past. `ended_on` is the day on which its thing was done, or was given up after a miss; None
    as long as it is missed."""

    party: Party
    day: date
    ended_on: date | None


@dataclass(frozen=True, slots=True)
class DuePromise:
    """A promise that is due today and not kept yet; after `useful_until` the customer needs the goods no more."""

    party: Party
    order_id: str
    day: date
    useful_until: date | None = None


@dataclass(frozen=True, slots=True)
class Forecast:
    """Delays of a party, in its open days. `delay` is not exceeded by the share of dates that the rules name."""

    dates: int
    late: int
    median: int
    delay: int


@dataclass(frozen=True, slots=True)
class LatenessWarning:
    """Promises due today that by the history of their party come later than useful. `expected_late` of the `due` ones
    are late by the party's share; the named orders are those with the earliest limit."""

    party: Party
    forecast: Forecast
    day: date
    expected_day: date
    due: int
    expected_late: int
    order_ids: tuple[str, ...]


def open_days_late(day: date, ended_on: date, calendar: ShopCalendar) -> int:
    """Return the open days after `day` until `ended_on`, at most `LONGEST_DELAY`; 0 if it ended by then."""
    late, current = 0, day
    while current < ended_on and late < LONGEST_DELAY and current - day < timedelta(days=400):
        current += timedelta(days=1)
        late += calendar.is_open(current)
    return max(1, late) if ended_on > day else 0


def quantile(delays: Sequence[int], level: float) -> int:
    """Return the smallest delay that at least this share of all delays does not exceed (0 < level <= 1)."""
    ordered = sorted(delays)
    return ordered[max(0, ceil(level * len(ordered) - 1e-9) - 1)]


def forecast(delays: Sequence[int], rules: ForecastRules) -> Forecast | None:
    """Return the forecast of a party; None with fewer dates than the rules require."""
    if len(delays) < rules.minimum_dates:
        return None
    late = sum(delay > 0 for delay in delays)
    return Forecast(len(delays), late, quantile(delays, 0.5), quantile(delays, rules.level))


def forecasts(
    dates: Iterable[FirstDate], today: date, calendars: Calendars, rules: ForecastRules
) -> dict[Party, Forecast]:
    """Return the forecast of each party with enough dates."""
    delays: dict[Party, list[int]] = {}
    for each in dates:
        delay = open_days_late(each.day, each.ended_on or today, each.party.calendar(calendars))
        delays.setdefault(each.party, []).append(delay)
    return {party: found for party, values in delays.items() if (found := forecast(values, rules))}


def expected_day(day: date, found: Forecast, calendar: ShopCalendar) -> date:
    """Return the day by which the promise is kept, by the history: never before the promised one."""
    return calendar.add_open_days(calendar.next_open(day + timedelta(days=1)), found.delay - 1) if found.delay else day


def warnings(due: Iterable[DuePromise], known: Mapping[Party, Forecast], calendars: Calendars) -> list[LatenessWarning]:
    """Return one warning per party with promises that are expected later than useful."""
    late: dict[Party, list[DuePromise]] = {}
    counts: dict[Party, int] = {}
    for each in due:
        counts[each.party] = counts.get(each.party, 0) + 1
        found = known.get(each.party)
        if found and is_too_late(each, found, calendars):
            late.setdefault(each.party, []).append(each)
    return [
        _warning(party, known[party], promises, counts[party], calendars) for party, promises in sorted(late.items())
    ]


def is_too_late(promise: DuePromise, found: Forecast, calendars: Calendars) -> bool:
    """Return whether the promise is expected after the day until which it is useful, at first the promised one."""
    day = expected_day(promise.day, found, promise.party.calendar(calendars))
    return day > (promise.useful_until or promise.day)


def _warning(
    party: Party, found: Forecast, promises: Sequence[DuePromise], due: int, calendars: Calendars
) -> LatenessWarning:
    ordered = sorted(promises, key=lambda each: (each.useful_until or date.max, each.order_id))
    names = tuple(dict.fromkeys(each.order_id for each in ordered))[:NAMED_ORDERS]
    day = promises[0].day
    return LatenessWarning(
        party,
        found,
        day,
        expected_day(day, found, party.calendar(calendars)),
        due,
        round(due * found.late / found.dates),
        names,
    )
