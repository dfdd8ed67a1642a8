"""The warehouse: picks replacement orders, is sometimes out of stock, and counts returned items.

It is closed in the shop's closed season. Some orders it answers only once they are repeated; about one or two near the
end of the story it stays silent, so that their customers have a choice. It learns of returned parcels from the
courier's events, in place of the physical arrival. The same `replacement_id` is never shipped twice.
An order rejected once is served at its second request. Held lots are set apart; other lots are shipped instead (see
`storefront`).
"""

import random
from collections import Counter
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from deploy.demo.partners.codec import ReceivedEvent, ScheduledEvent
from deploy.demo.partners.order_lifecycle import carrier_of
from deploy.demo.partners.partner import Partner, PartnerTask, main, run_alone
from deploy.demo.partners.settings import PartnerSettings
from libs.common.config.settings import load
from libs.common.decisions.shop_calendar import Closure
from libs.common.events.carrier import CollectionCollected, CollectionRequested
from libs.common.events.products import LotHeld, LotReleased
from libs.common.events.topics import CARRIER_EVENTS, CARRIER_ORDERS, PRODUCT_ALERTS, WAREHOUSE_ORDERS
from libs.common.events.values import Condition, CountedLine, InspectedLine, LineQuantity, Variant
from libs.common.events.warehouse import (
    ItemInspected,
    ItemReceived,
    ReplacementCancelled,
    ReplacementConfirmed,
    ReplacementDelayed,
    ReplacementOrdered,
    ReplacementRejected,
    ReplacementShipped,
)

NO_PAPERS_SHARE = 0.15
SILENT_SHARE = 0.2
SILENT_FROM, SILENT_UNTIL = timedelta(days=8), timedelta(days=6)
"""Before the time from which customers and staff do nothing: early enough for two missed dates, late enough that the
choice is still open at the end."""
MOST_SILENT = 2
"""Issues about whose replacements it stays silent, as some are withdrawn."""
CONDITION_WEIGHTS = {
    Condition.SELLABLE: 50,
    Condition.REPAIRABLE: 22,
    Condition.SCRAP: 24,
    Condition.NOT_AS_REPORTED: 4,
}


CLOSED_SEASON = Closure(date(2026, 3, 18), date(2026, 3, 20))
"""The closure of `deploy/demo/calendar.toml`."""


CLOSED_WEEKDAYS: Mapping[str | None, Set[int]] = {"saitama": frozenset(), "osaka": frozenset({6})}
"""Of each warehouse; goods of several are sent from one that is closed on Saturdays and Sundays."""


def is_working_day(day: date, warehouse: str | None = None) -> bool:
    """Warehouses work on public holidays, and not in the closed season."""
    closed = CLOSED_WEEKDAYS.get(warehouse, frozenset({5, 6}))
    return day.weekday() not in closed and not CLOSED_SEASON.first <= day <= CLOSED_SEASON.last


def next_working_day(day: date, count: int = 1, warehouse: str | None = None) -> date:
    """The `count`-th following day on which this warehouse works."""
    for _ in range(count):
        day += timedelta(days=1)
        while not is_working_day(day, warehouse):
            day += timedelta(days=1)
    return day


def warehouse_of(order: ReplacementOrdered) -> str | None:
    """The warehouse that all lines are of."""
    names = {line.warehouse for line in order.lines}
    return names.pop() if len(names) == 1 else None


def fulfilment_events(
    order: ReplacementOrdered, now: datetime, attempt: int, rng: random.Random, zone: ZoneInfo
) -> list[ScheduledEvent]:
    """All events about this order: of a hundred, five out of stock with a date, three with another variant, six delayed
    at once, six delayed later, two late without notice, the rest as promised. Of several units one may be out of stock,
    or follow a day later in its own parcel.
    """
    at, following = (
        now + timedelta(minutes=rng.randint(10, 90)),
        partial(next_working_day, warehouse=warehouse_of(order)),
    )
    day = _feasible(order, at, zone)
    chance = rng.random() if attempt == 1 else 1.0
    if chance < 0.08:
        restock = following(day, rng.randint(3, 12)) if chance < 0.05 else None
        return [
            ScheduledEvent(
                at, f"rejected-{attempt}", _rejected(order, restock, None if restock else _other_variant(order))
            )
        ]
    if chance < 0.14:
        day = following(day, rng.randint(1, 4))
    events = [ScheduledEvent(at, f"confirmed-{attempt}", _confirmed(order, day))]
    if 0.14 <= chance < 0.20:
        late = following(day, rng.randint(2, 5))
        news_at = max(_local(day - timedelta(days=1), time(16), zone), at + timedelta(minutes=20))
        events.append(ScheduledEvent(news_at, f"delayed-{attempt}", _delayed(order, late)))
        day = late
    elif 0.20 <= chance < 0.22:
        day = following(day)
    leaves = max(_local(day, time(rng.randint(9, 11), rng.randrange(60)), zone), at + timedelta(minutes=30))
    pieces = sum(line.quantity for line in order.lines)
    if pieces > 1 and attempt == 1 and rng.random() < 0.6:
        return sorted([*events, *_split_shipment(order, leaves, at, rng, zone)], key=lambda planned: planned.at)
    return [*events, ScheduledEvent(leaves, f"shipped-{attempt}", _shipped(order, leaves, rng, zone))]


def _split_shipment(
    order: ReplacementOrdered, leaves: datetime, at: datetime, rng: random.Random, zone: ZoneInfo
) -> list[ScheduledEvent]:
    """One unit is out of stock, or ships the next day in its own parcel."""
    following = partial(next_working_day, warehouse=warehouse_of(order))
    last = order.lines[-1]
    last_unit = (LineQuantity(line_id=last.line_id, quantity=1),)
    remaining = {line.line_id: line.quantity for line in order.lines}
    remaining[last.line_id] -= 1
    others = tuple(LineQuantity(line_id=line, quantity=number) for line, number in remaining.items() if number)
    first = _shipped(order, leaves, rng, zone).model_copy(update={"lines": others, "shipment_id": "parcel-1"})
    if rng.random() < 0.4:
        short = _rejected(order, following(leaves.astimezone(zone).date(), 3), None)
        short = short.model_copy(update={"lines": last_unit})
        return [
            ScheduledEvent(at + timedelta(minutes=5), "short-1", short),
            ScheduledEvent(leaves, "shipped-1", first),
        ]
    next_day = _local(following(leaves.astimezone(zone).date()), time(10), zone)
    second = _shipped(order, next_day, rng, zone).model_copy(update={"lines": last_unit, "shipment_id": "parcel-2"})
    return [ScheduledEvent(leaves, "shipped-1", first), ScheduledEvent(next_day, "shipped-1-rest", second)]


def _rejected(order: ReplacementOrdered, restock: date | None, variant: Variant | None) -> ReplacementRejected:
    return ReplacementRejected(
        issue_id=order.issue_id,
        replacement_id=order.replacement_id,
        restock_date=restock,
        variants=(variant,) if variant else (),
    )


def _other_variant(order: ReplacementOrdered) -> Variant | None:
    """The same product in another colour, where one line was ordered."""
    if len(order.lines) > 1:
        return None
    return Variant(sku=f"{order.lines[0].sku}-B", name=f"{order.lines[0].name}(紺 / navy)")


def return_events(
    request: CollectionRequested,
    collected_at: datetime,
    rng: random.Random,
    zone: ZoneInfo,
    return_slip: str | None = None,
) -> list[ScheduledEvent]:
    """Counted a day or two after collection, and inspected within a day; some parcels contain fewer, more or other
    items, some have lost their label.
    """
    day = collected_at.astimezone(zone).date() + timedelta(days=rng.randint(1, 2))
    received_at = _local(day, time(rng.randint(9, 16), rng.randrange(60)), zone)
    counted = {line.line_id: line.quantity for line in request.lines}
    if rng.random() < 0.04 and (several := [line for line, number in counted.items() if number > 1]):
        counted[several[0]] -= 1
    elif rng.random() < 0.02:
        counted[request.lines[0].line_id] += 1
    lines = tuple(CountedLine(line_id=line, quantity=number) for line, number in counted.items())
    if rng.random() < 0.02:
        lines = (lines[0].model_copy(update={"sku": "SOMETHING-ELSE"}), *lines[1:])
    inspected_at = received_at + timedelta(hours=rng.uniform(1, 24))
    condition = rng.choices(list(CONDITION_WEIGHTS), list(CONDITION_WEIGHTS.values()))[0]
    inspected = tuple(
        InspectedLine(line_id=each.line_id, quantity=each.quantity, condition=condition) for each in lines
    )
    name, receipt_id = str(request.collection_id), f"gate-{request.collection_id.hex[:12]}"
    papers: dict[str, Any] = {"issue_id": request.issue_id}
    if rng.random() < NO_PAPERS_SHARE:
        # The label is gone: the box is known by the slip in it, else by the order's own papers.
        by_slip = return_slip and rng.random() < 0.5
        papers = {"return_slip": return_slip} if by_slip else {"order_id": request.order_id}
    counted_box = ItemReceived(**papers, lines=lines, received_at=received_at, receipt_id=receipt_id)
    looked_at = ItemInspected(
        issue_id=request.issue_id, lines=inspected, inspected_at=inspected_at, receipt_id=receipt_id
    )
    return [
        ScheduledEvent(received_at, f"received-{name}", counted_box),
        ScheduledEvent(inspected_at, f"inspected-{name}", looked_at),
    ]


def _feasible(order: ReplacementOrdered, at: datetime, zone: ZoneInfo) -> date:
    """The promised day, unless it is past one o'clock of it."""
    local, warehouse = at.astimezone(zone), warehouse_of(order)
    if local.hour < 13 and is_working_day(local.date(), warehouse):
        return max(order.promised_ship_date, local.date())
    return max(order.promised_ship_date, next_working_day(local.date(), warehouse=warehouse))


def _confirmed(order: ReplacementOrdered, day: date) -> ReplacementConfirmed:
    return ReplacementConfirmed(issue_id=order.issue_id, replacement_id=order.replacement_id, ship_date=day)


def _delayed(order: ReplacementOrdered, day: date) -> ReplacementDelayed:
    return ReplacementDelayed(
        issue_id=order.issue_id, replacement_id=order.replacement_id, ship_date=day, cause="supplier_late"
    )


def _shipped(order: ReplacementOrdered, at: datetime, rng: random.Random, zone: ZoneInfo) -> ReplacementShipped:
    arrives = at.astimezone(zone).date() + timedelta(days=rng.randint(1, 2))
    return ReplacementShipped(
        issue_id=order.issue_id,
        replacement_id=order.replacement_id,
        shipped_at=at,
        expected_delivery_date=arrives if rng.random() < 0.8 else None,
        carrier=carrier_of(warehouse_of(order)),
        tracking_number=f"RPL{str(order.replacement_id)[:8].upper()}",
    )


def _local(day: date, hour: time, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, hour, zone).astimezone(UTC)


@dataclass
class Warehouse:
    """State of the warehouse by replacement, issue and collection."""

    partner: Partner
    orders_seen: set[UUID] = field(default_factory=set)
    first_events: dict[UUID, str] = field(default_factory=dict)
    silent_about: set[UUID] = field(default_factory=set)
    attempts: Counter[UUID] = field(default_factory=Counter)
    restock_dates: dict[UUID, date] = field(default_factory=dict)
    cancelled: set[UUID] = field(default_factory=set)
    collections: dict[UUID, CollectionRequested] = field(default_factory=dict)
    received: set[UUID] = field(default_factory=set)
    held_lots: set[tuple[str, str | None]] = field(default_factory=set)
    slips: dict[UUID, str] = field(default_factory=dict)

    def handle(self, received: ReceivedEvent) -> None:
        match received.event.data:
            case ReplacementOrdered() as order:
                self._ordered(order, received)
            case ReplacementCancelled() as order:
                self.cancelled.add(order.replacement_id)
            case CollectionRequested() as request:
                self.collections[request.collection_id] = request
            case LotHeld() as lot:
                self.held_lots.add((lot.sku, lot.lot))
            case LotReleased() as lot:
                self.held_lots.discard((lot.sku, lot.lot))
            case CollectionCollected() as collected:
                self._arrived(collected, received.trace)
            case _:
                return

    def _ordered(self, order: ReplacementOrdered, received: ReceivedEvent) -> None:
        if order.replacement_id in self.orders_seen:
            return
        if self._is_lost(order.issue_id, received.event.time):
            return
        if self._is_overlooked(order.replacement_id, received.event.id):
            return
        self.orders_seen.add(order.replacement_id)
        self.attempts[order.issue_id] += 1
        if order.return_slip:
            self.slips[order.issue_id] = order.return_slip
        restock = self.restock_dates.get(order.issue_id)
        if restock and restock > order.promised_ship_date:
            order = order.model_copy(update={"promised_ship_date": restock})
        rng = self.partner.rng(order.issue_id, order.replacement_id)
        attempt = self.attempts[order.issue_id]
        plans = fulfilment_events(order, received.event.time, attempt, rng, self.partner.settings.zone)
        self._plan(order.replacement_id, plans, received.trace)

    def _is_lost(self, issue_id: UUID, ordered_at: datetime) -> bool:
        """The first issues of some days get no answer at all, however often their orders are repeated."""
        is_quiet = self.partner.is_quiet
        is_time = is_quiet(ordered_at + SILENT_FROM) and not is_quiet(ordered_at + SILENT_UNTIL)
        if is_time and issue_id not in self.attempts and len(self.silent_about) < MOST_SILENT:
            self.silent_about.add(issue_id)
        return issue_id in self.silent_about

    def _is_overlooked(self, replacement_id: UUID, event_id: str) -> bool:
        """Some orders get no answer until they are repeated as another event."""
        first = self.first_events.setdefault(replacement_id, event_id)
        return first == event_id and self.partner.rng("silent", replacement_id).random() < SILENT_SHARE

    def _plan(self, replacement_id: UUID, plans: Iterable[ScheduledEvent], trace: Mapping[str, str]) -> None:
        for planned in plans:
            if isinstance(planned.payload, ReplacementRejected) and planned.payload.restock_date:
                self.restock_dates[planned.payload.issue_id] = planned.payload.restock_date
            self.partner.schedule_event(planned, trace, cancelled=lambda: replacement_id in self.cancelled)

    def _arrived(self, collected: CollectionCollected, trace: Mapping[str, str]) -> None:
        request = self.collections.get(collected.collection_id)
        if request is None or collected.collection_id in self.received:
            return
        self.received.add(collected.collection_id)
        rng = self.partner.rng("returned", collected.collection_id)
        slip, zone = self.slips.get(request.issue_id), self.partner.settings.zone
        for planned in return_events(request, collected.collected_at, rng, zone, slip):
            self.partner.schedule_event(planned, trace)


def warehouse(settings: PartnerSettings) -> PartnerTask:
    partner = Partner("warehouse", settings, (WAREHOUSE_ORDERS, CARRIER_ORDERS, CARRIER_EVENTS, PRODUCT_ALERTS))
    return PartnerTask(partner, Warehouse(partner).handle)


async def run() -> None:
    await run_alone(warehouse(load(PartnerSettings)))


if __name__ == "__main__":
    main(run)
