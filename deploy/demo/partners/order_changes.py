"""Changes that customers make to unshipped orders; pure functions of the order and the decision.

Another day moves all later events; another item is a new order, and the old line is cancelled; cancelled lines are left
out of every parcel.
"""

import random
from collections.abc import Collection, Mapping, Set
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from deploy.demo.data.orders import ReplayedLine, ReplayedOrder
from deploy.demo.partners.order_lifecycle import LifecycleEvent
from libs.common.events.notices import CustomerDecided
from libs.common.events.storefront import (
    CustomerMerged,
    OrderChanged,
    OrderDelivered,
    OrderShipped,
    PreorderProgressed,
    StorefrontOrderEvent,
)

DECLINED_SHARE = 0.2
PICKING_TIME = timedelta(days=2)
TRANSIT_TIME = timedelta(days=2)


def exchange_order(
    order: ReplayedOrder, decision: CustomerDecided, at: datetime, catalogue: Mapping[str, ReplayedLine]
) -> ReplayedOrder | None:
    """The order for the requested item; None where the shop does not sell it."""
    product = catalogue.get(decision.requested_sku or "")
    if product is None:
        return None
    leaves = at + PICKING_TIME
    line = replace(
        product,
        line_id="L1",
        quantity=1,
        lot=None,
        preorder=False,
        ship_by=None,
        promised_delivery_date=None,
        promised_ship_date=(leaves + timedelta(hours=12)).date(),
    )
    return replace(
        order,
        order_id=f"{order.order_id}-{decision.choice_id.hex[:4]}",
        placed_at=at,
        lines=(line,),
        shipped_at=leaves,
        delivered_at=leaves + TRANSIT_TIME,
        cancelled_at=None,
    )


def without_lines(
    payload: StorefrontOrderEvent | CustomerMerged, line_ids: Set[str]
) -> StorefrontOrderEvent | CustomerMerged | None:
    """The event without these cancelled lines; None where nothing remains."""
    match payload:
        case OrderShipped() | OrderDelivered():
            left = tuple(line for line in payload.lines if line.line_id not in line_ids)
            return payload.model_copy(update={"lines": left}) if left else None
        case OrderChanged() if payload.lines:
            kept = tuple(line for line in payload.lines if line.line_id not in line_ids)
            return payload.model_copy(update={"lines": kept}) if kept else None
        case PreorderProgressed(line_id=line_id):
            return None if line_id in line_ids else payload
        case _:
            return payload


def reschedule(event: LifecycleEvent, ship_at: datetime) -> LifecycleEvent:
    """The same event on the requested day, with its dates changed."""
    at = ship_at + TRANSIT_TIME if event.name == "delivered" else ship_at + timedelta(minutes=1)
    name = {"shipped": "shipped_at", "delivered": "delivered_at", "promise_changed": "changed_at"}.get(event.name)
    changes: dict[str, Any] = {name: at} if name else {}
    if event.name == "shipped":
        changes["expected_delivery_date"] = (ship_at + TRANSIT_TIME).date()
    return LifecycleEvent(at, event.name, event.payload.model_copy(update=changes))


def pick_time(decision: CustomerDecided, zone: ZoneInfo) -> datetime | None:
    """The time at which the warehouse picks on the requested day."""
    day = decision.requested_date
    return datetime.combine(day, time(10), zone).astimezone(UTC) if day else None


def catalogue_of(orders: Collection[ReplayedOrder]) -> dict[str, ReplayedLine]:
    """The products of this shop, as far as they occur in its orders."""
    return {line.sku: line for order in orders for line in order.lines}


def replace_held_lots(parcel: OrderShipped, held: Set[str | None]) -> OrderShipped:
    """The shipment while these lots are held."""
    lines = [
        line.model_copy(update={"lot": f"{line.lot}-checked"}) if line.lot and line.lot in held else line
        for line in parcel.lines
    ]
    return parcel.model_copy(update={"lines": tuple(lines)})


def is_declined(decision: CustomerDecided, is_first: bool, rng: random.Random) -> bool:
    """Return true for a request that comes too late for the packers: the first one of a run, and some later ones."""
    is_request = decision.answer_by is not None and not decision.by_default
    return is_request and (is_first or rng.random() < DECLINED_SHARE)
