"""Business identity of shipments and deliveries: repeated reports of one count once, in every service.

The event id cannot say it: a history is sent again under new ids, two systems report one delivery, and the inbox keeps
ids for two months only. `order.shipped` and `order.delivered` therefore name their shipment, or it follows from their
content: the same units of the same lines at the same second, unless tracking numbers say that they are two parcels.

All services that count units keep `CountedShipment`s and add events with `count`. The result does not depend on the
order of arrival: of one shipment each line counts with the highest quantity that was stated, and a later
`shipment.changed` replaces its lines.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from operator import attrgetter

from libs.common.events.storefront import OrderDelivered, OrderShipped, ShipmentChanged
from libs.common.events.values import LineQuantity, MovedLine, ShippedLine


@dataclass(frozen=True, slots=True)
class CountedUnits:
    """Units of one line and lot in one shipment."""

    line_id: str
    quantity: int
    lot: str | None = None


@dataclass(frozen=True, slots=True)
class CountedShipment:
    """Units of one shipment as they are known.

    `changed_at` is the time of the `shipment.changed` that set `lines`, `stated` the lines before it, by which a
    statement without shipment id is recognized, `day` the shop's day of `at` for services that need it. Without `at`
    the shipment is known by a change only, and has not left.
    """

    at: datetime | None
    lines: tuple[CountedUnits, ...] = ()
    shipment_id: str | None = None
    tracking_number: str | None = None
    changed_at: datetime | None = None
    tracked_at: datetime | None = None
    day: date | None = None
    stated: tuple[CountedUnits, ...] = ()

    @property
    def stated_lines(self) -> tuple[CountedUnits, ...]:
        """Lines as shipment and delivery events state them, whatever a change made of them."""
        return self.stated if self.changed_at else self.lines

    @property
    def quantities(self) -> Mapping[str, int]:
        return sum_lines(self.lines)


Shipments = tuple[CountedShipment, ...]


def sum_lines(lines: Iterable[LineQuantity | CountedUnits]) -> dict[str, int]:
    """Return the quantity of each line; a line may be named several times."""
    found: Counter[str] = Counter()
    for line in lines:
        found[line.line_id] += line.quantity
    return dict(found)


def quantity_of(shipments: Iterable[CountedShipment], line_id: str, until: datetime | None = None) -> int:
    """Return the units of a line that moved, at or before `until`."""
    moved = (each.lines for each in shipments if each.at is not None and (until is None or each.at <= until))
    return sum(line.quantity for lines in moved for line in lines if line.line_id == line_id)


def count(known: Shipments, event: OrderShipped | OrderDelivered, day: date | None = None) -> Shipments:
    """Add the units of an event to those known; return the same object if it states nothing new."""
    at = event.shipped_at if isinstance(event, OrderShipped) else event.delivered_at
    stated = CountedShipment(at, units_of(event.lines), event.shipment_id, number_of(event), day=day)
    # A statement with id may join two: one without id, and one that is known by its change only.
    merged, joined = stated, list[CountedShipment]()
    for shipment in known:
        if _is_same(shipment, merged):
            merged = _merge(shipment, merged)
            joined.append(shipment)
    if joined == [merged]:
        return known
    if not joined:
        return (*known, stated)
    return tuple(merged if each is joined[0] else each for each in known if each not in joined[1:])


def change(known: Shipments, event: ShipmentChanged) -> Shipments:
    """Apply a change of a shipment; one that is not known yet is kept for its `order.shipped`."""
    index = next((i for i, shipment in enumerate(known) if shipment.shipment_id == event.shipment_id), None)
    before = known[index] if index is not None else CountedShipment(None, shipment_id=event.shipment_id)
    after = before
    number = plain_number(event.tracking_number or next(iter(event.tracking_numbers), None))
    if number and (after.tracked_at is None or event.changed_at >= after.tracked_at):
        after = replace(after, tracking_number=number, tracked_at=event.changed_at)
    lines = () if event.called_off else units_of(event.lines) if event.lines is not None else None
    if lines is not None and (after.changed_at is None or event.changed_at >= after.changed_at):
        after = replace(after, lines=lines, changed_at=event.changed_at, stated=after.stated_lines)
    if after == before:
        return known
    return (*known, after) if index is None else (*known[:index], after, *known[index + 1 :])


def units_of(lines: Iterable[MovedLine]) -> tuple[CountedUnits, ...]:
    """Return the units per line and lot, in the order in which lines were first named."""
    found: Counter[tuple[str, str | None]] = Counter()
    for line in lines:
        found[line.line_id, line.lot if isinstance(line, ShippedLine) else None] += line.quantity
    return tuple(CountedUnits(line_id, quantity, lot) for (line_id, lot), quantity in found.items() if quantity)


def number_of(event: OrderShipped | OrderDelivered) -> str | None:
    """Return the tracking number that identifies the parcels of an event."""
    more = event.tracking_numbers if isinstance(event, OrderShipped) else ()
    return plain_number(event.tracking_number or next(iter(more), None))


def plain_number(tracking_number: str | None) -> str | None:
    """Return a tracking number without blanks and hyphens, as systems write it differently."""
    return "".join(each for each in (tracking_number or "").upper() if each.isalnum()) or None


def _is_same(known: CountedShipment, stated: CountedShipment) -> bool:
    if known.shipment_id and stated.shipment_id:
        return known.shipment_id == stated.shipment_id
    numbers = {known.tracking_number, stated.tracking_number} - {None}
    if len(numbers) > 1 or known.at is None or stated.at is None:
        return False
    same_moment = known.at.replace(microsecond=0) == stated.at.replace(microsecond=0)
    return sum_lines(known.stated_lines) == sum_lines(stated.stated_lines) and same_moment


def _merge(known: CountedShipment, other: CountedShipment) -> CountedShipment:
    """Merge what is known of one shipment; lines that a change set stay, those of the newest change."""
    first = known if other.at is None or (known.at is not None and known.at <= other.at) else other
    stated = _highest(known.stated_lines, other.stated_lines)
    changed = max((each for each in (known, other) if each.changed_at), key=attrgetter("changed_at"), default=None)
    tracked = max((each for each in (known, other) if each.tracked_at), key=attrgetter("tracked_at"), default=None)
    return replace(
        known,
        at=first.at,
        day=first.day,
        lines=changed.lines if changed else stated,
        shipment_id=known.shipment_id or other.shipment_id,
        tracking_number=(tracked and tracked.tracking_number) or known.tracking_number or other.tracking_number,
        changed_at=changed.changed_at if changed else None,
        tracked_at=tracked.tracked_at if tracked else None,
        stated=stated if changed else (),
    )


def _highest(known: tuple[CountedUnits, ...], stated: tuple[CountedUnits, ...]) -> tuple[CountedUnits, ...]:
    """Return, per line, the units of the statement with the higher quantity."""
    before, after = sum_lines(known), sum_lines(stated)
    raised = {line_id for line_id, quantity in after.items() if quantity > before.get(line_id, 0)}
    kept = tuple(line for line in known if line.line_id not in raised)
    return (*kept, *(line for line in stated if line.line_id in raised)) if raised else known
