"""Calendars of the parties that keep promises: the shop, its warehouses and its carriers. Pure.

A date is asked of the party that has to act on it: the warehouse ships, the carrier delivers and collects, the shop
answers and decides. What a party does not state differently is as with the shop.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from libs.common.decisions.business_hours import BusinessHours
from libs.common.decisions.shop_calendar import ShopCalendar

CALENDAR_TIMER = "calendar"
"""Name of the timer that fires once for each open state after a change of the calendar."""

DEFAULT = "default"
"""Name of the entry for warehouses, or carriers, that have none of their own."""


@dataclass(frozen=True, slots=True)
class Calendars:
    """Business hours of each party; names are compared without regard to case.

    `fingerprint` changes with the calendar file, so that a change is noticed at the next start.
    """

    shop_hours: BusinessHours
    warehouses: Mapping[str, BusinessHours] = field(default_factory=dict)
    carriers: Mapping[str, BusinessHours] = field(default_factory=dict)
    fingerprint: str = ""

    @classmethod
    def of(cls, calendar: ShopCalendar) -> "Calendars":
        """Return calendars of parties that are all open on these days."""
        return cls(BusinessHours(calendar))

    @property
    def shop(self) -> ShopCalendar:
        return self.shop_hours.calendar

    def warehouse(self, name: str | None = None) -> ShopCalendar:
        return self.warehouse_hours(name).calendar

    def warehouse_hours(self, name: str | None = None) -> BusinessHours:
        return self._party(self.warehouses, name)

    def carrier(self, name: str | None = None) -> ShopCalendar:
        return self._party(self.carriers, name).calendar

    def prepare(self) -> None:
        """Compute the closed days of this year and the next for every party."""
        for hours in (self.shop_hours, *self.warehouses.values(), *self.carriers.values()):
            hours.calendar.prepare()

    def _party(self, parties: Mapping[str, BusinessHours], name: str | None) -> BusinessHours:
        own = parties.get(name.casefold()) if name else None
        return own or parties.get(DEFAULT) or self.shop_hours
