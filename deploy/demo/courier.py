"""The courier: brings replacements, has mishaps on the way, and collects at the customer's door.

It learns of parcels to deliver from the warehouse's events: that stands for the handing over at the ramp.
"""

import random
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from uuid import UUID
from zoneinfo import ZoneInfo

from deploy.demo.partner import Partner, main
from deploy.demo.settings import PartnerSettings
from deploy.demo.wire import Planned, Received
from libs.common.events.carrier import (
    CollectionAttemptFailed,
    CollectionBooked,
    CollectionCancelled,
    CollectionCollected,
    CollectionRequested,
    ParcelDelivered,
    ParcelException,
)
from libs.common.events.topics import CARRIER_ORDERS, WAREHOUSE_EVENTS
from libs.common.events.values import TimeWindow
from libs.common.events.warehouse import ReplacementShipped
from libs.common.settings import load

MISHAP_SHARE = 0.05
NOBODY_HOME_SHARE = 0.08


def delivery(parcel: ReplacementShipped, rng: random.Random, zone: ZoneInfo) -> list[Planned]:
    """On the expected day, as a rule; else a mishap, told at noon of that day, and a day or two later."""
    shipped_day = parcel.shipped_at.astimezone(zone).date()
    day = parcel.expected_delivery_date or shipped_day + timedelta(days=rng.randint(1, 2))
    told: list[Planned] = []
    if rng.random() < MISHAP_SHARE:
        late = day + timedelta(days=rng.randint(1, 2))
        at = _local(day, time(12), zone)
        mishap = ParcelException(
            issue_id=parcel.issue_id,
            replacement_id=parcel.replacement_id,
            code="delayed_in_transit",
            expected_delivery_date=late,
            occurred_at=at,
        )
        told.append(Planned(at, f"exception-{parcel.replacement_id}", mishap))
        day = late
    at = _local(day, time(rng.randint(13, 19), rng.randrange(60)), zone)
    arrived = ParcelDelivered(issue_id=parcel.issue_id, replacement_id=parcel.replacement_id, delivered_at=at)
    return [*told, Planned(at, f"delivered-{parcel.replacement_id}", arrived)]


def collection(
    request: CollectionRequested, now: datetime, not_before: datetime | None, rng: random.Random, zone: ZoneInfo
) -> list[Planned]:
    """Booked within the hour, for the earliest day on which the van still can come; `not_before` is the delivery of
    the replacement, which the same van brings. Now and then nobody is at home."""
    booked_at = now + timedelta(minutes=rng.randint(5, 60))
    local = booked_at.astimezone(zone)
    day = max(request.earliest_date, local.date() + timedelta(days=1 if local.hour >= 12 else 0))
    if not_before:
        day = max(day, not_before.astimezone(zone).date())
    from_hour = rng.choice((9, 12, 14, 16))
    window = TimeWindow(day=day, from_hour=from_hour, to_hour=from_hour + 3)
    name = f"{request.collection_id}-{request.attempt}"
    issue_id, collection_id = request.issue_id, request.collection_id
    booked = CollectionBooked(issue_id=issue_id, collection_id=collection_id, window=window)
    at = _local(day, time(from_hour, rng.randrange(60)), zone)
    at = max(at, booked_at + timedelta(minutes=30), (not_before or at) + timedelta(minutes=1))
    happened: CollectionAttemptFailed | CollectionCollected
    if rng.random() < NOBODY_HOME_SHARE:
        happened = CollectionAttemptFailed(
            issue_id=issue_id, collection_id=collection_id, cause="nobody_home", attempted_at=at
        )
    else:
        happened = CollectionCollected(issue_id=issue_id, collection_id=collection_id, collected_at=at)
    return [Planned(booked_at, f"booked-{name}", booked), Planned(at, f"{happened.TYPE}-{name}", happened)]


def _local(day: date, hour: time, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, hour, zone).astimezone(UTC)


@dataclass
class Courier:
    """What the courier remembers: parcels by replacement, collections by id and attempt, deliveries by issue."""

    partner: Partner
    parcels: set[UUID] = field(default_factory=set)
    requests: set[tuple[UUID, int]] = field(default_factory=set)
    called_off: set[UUID] = field(default_factory=set)
    delivered_at: dict[UUID, datetime] = field(default_factory=dict)

    def listen(self, received: Received) -> None:
        match received.event.data:
            case ReplacementShipped() as parcel if parcel.replacement_id not in self.parcels:
                self._shipped(parcel, received)
            case CollectionRequested() as request if (request.collection_id, request.attempt) not in self.requests:
                self._requested(request, received)
            case CollectionCancelled() as cancelled:
                self.called_off.add(cancelled.collection_id)
            case _:
                return

    def _shipped(self, parcel: ReplacementShipped, received: Received) -> None:
        self.parcels.add(parcel.replacement_id)
        rng = self.partner.rng("parcel", parcel.replacement_id)
        plans = delivery(parcel, rng, self.partner.settings.zone)
        self.delivered_at[parcel.issue_id] = plans[-1].at
        for planned in plans:
            self.partner.plan(planned, received.trace)

    def _requested(self, request: CollectionRequested, received: Received) -> None:
        self.requests.add((request.collection_id, request.attempt))
        rng = self.partner.rng("collection", request.collection_id, request.attempt)
        not_before = self.delivered_at.get(request.issue_id)
        for planned in collection(request, received.event.time, not_before, rng, self.partner.settings.zone):
            called_off = partial(self.called_off.__contains__, request.collection_id)
            self.partner.plan(planned, received.trace, unless=called_off)


async def run() -> None:
    partner = Partner("courier", load(PartnerSettings), (CARRIER_ORDERS, WAREHOUSE_EVENTS))
    await partner.run(Courier(partner).listen)


if __name__ == "__main__":
    main(run)
