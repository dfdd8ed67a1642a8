"""The courier: delivers replacements, some with exceptions on the way, and collects at the customer's door.

It learns of parcels from the warehouse's events, in place of the physical hand-over. It searches for parcels reported
lost (`issues`), and finds some of them.
"""

import random
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from deploy.demo.partners.codec import ReceivedEvent, ScheduledEvent
from deploy.demo.partners.partner import Partner, PartnerTask, main, run_alone
from deploy.demo.partners.settings import PartnerSettings
from libs.common.config.settings import load
from libs.common.events.carrier import (
    CollectionAttemptFailed,
    CollectionBooked,
    CollectionCancelled,
    CollectionCollected,
    CollectionDeclined,
    CollectionRequested,
    ParcelDelivered,
    ParcelException,
    ParcelFound,
    ParcelScanned,
)
from libs.common.events.issues import IssueAccepted
from libs.common.events.topics import CARRIER_ORDERS, ISSUES, WAREHOUSE_EVENTS
from libs.common.events.values import RawStatus, Reason, TimeWindow
from libs.common.events.warehouse import ReplacementShipped

EXCEPTION_SHARE = 0.05
ABSENT_SHARE = 0.08
WINDOW_DECLINED_SHARE = 0.2
WINDOW_UNANSWERED_SHARE = 0.15
OFTEN_ABSENT_SHARE = 0.04
MISSED_ATTEMPTS = 4
RAW_SCAN_SHARE = 0.5
FOUND_SHARE = 0.6


def delivery_events(parcel: ReplacementShipped, rng: random.Random, zone: ZoneInfo) -> list[ScheduledEvent]:
    """Usually delivered on the expected day; else an exception at noon of that day and delivery a day or two later.
    Half of the deliveries are published as the carrier's raw scans, followed by a stale scan.
    """
    shipped_day = parcel.shipped_at.astimezone(zone).date()
    day = parcel.expected_delivery_date or shipped_day + timedelta(days=rng.randint(1, 2))
    events: list[ScheduledEvent] = []
    if rng.random() < EXCEPTION_SHARE:
        late = day + timedelta(days=rng.randint(1, 2))
        at = _local(day, time(12), zone)
        mishap = ParcelException(
            issue_id=parcel.issue_id,
            replacement_id=parcel.replacement_id,
            code="delayed_in_transit",
            expected_delivery_date=late,
            occurred_at=at,
            shipment_id=parcel.shipment_id,
        )
        events.append(ScheduledEvent(at, f"exception-{parcel.replacement_id}", mishap))
        day = late
    at = _local(day, time(rng.randint(13, 19), rng.randrange(60)), zone)
    name = f"delivered-{parcel.replacement_id}-{parcel.shipment_id or ''}"
    ids = {"issue_id": parcel.issue_id, "replacement_id": parcel.replacement_id, "shipment_id": parcel.shipment_id}
    if rng.random() < RAW_SCAN_SHARE:
        return [*events, *_raw_scans(ids, at, name)]
    return [*events, ScheduledEvent(at, name, ParcelDelivered(**ids, delivered_at=at))]


def _raw_scans(ids: dict[str, Any], at: datetime, name: str) -> list[ScheduledEvent]:
    """Out for delivery, delivered, and an hour later an old scan that was held back at a depot."""
    scans = (("配達中", timedelta(hours=-3), timedelta(hours=-3)), ("配達完了", timedelta(0), timedelta(0)))
    late = ("作業店通過", timedelta(hours=-8), timedelta(hours=1))
    return [
        ScheduledEvent(
            at + published_after,
            f"{name}-{code}",
            ParcelScanned(**ids, raw=RawStatus(source="yamato", code=code), scanned_at=at + after),
        )
        for code, after, published_after in (*scans, late)
    ]


def collection_events(
    request: CollectionRequested, now: datetime, not_before: datetime | None, rng: random.Random, zone: ZoneInfo
) -> list[ScheduledEvent]:
    """Booked within the hour for the earliest possible day, then collected or missed.

    `not_before` is the delivery of the replacement by the same van: with a swap the item is collected with it. Some
    customers are absent, a few until they were reminded. Some chosen windows are declined, some get no answer.
    """
    booked_at = now + timedelta(minutes=rng.randint(5, 60))
    if request.window and (chance := rng.random()) < WINDOW_DECLINED_SHARE + WINDOW_UNANSWERED_SHARE:
        return [] if chance < WINDOW_UNANSWERED_SHARE else [_declined(request, booked_at)]
    local = booked_at.astimezone(zone)
    day = max(request.earliest_date, local.date() + timedelta(days=1 if local.hour >= 12 else 0))
    if not_before:
        day = max(day, not_before.astimezone(zone).date())
    from_hour = request.window.from_hour if request.window else rng.choice((9, 12, 14, 16))
    to_hour = request.window.to_hour if request.window else from_hour + 3
    window = TimeWindow(day=day, from_hour=from_hour, to_hour=to_hour)
    name = f"{request.collection_id}-{request.attempt}"
    issue_id, collection_id = request.issue_id, request.collection_id
    booked = CollectionBooked(issue_id=issue_id, collection_id=collection_id, window=window)
    at = _local(day, time(from_hour, rng.randrange(60)), zone)
    at = max(at, booked_at + timedelta(minutes=30), (not_before or at) + timedelta(minutes=1))
    if request.swap_with and not_before:
        at = max(not_before + timedelta(minutes=1), booked_at + timedelta(minutes=1))
    happened: CollectionAttemptFailed | CollectionCollected
    often_out = random.Random(str(request.collection_id)).random() < OFTEN_ABSENT_SHARE
    if rng.random() < ABSENT_SHARE or (often_out and request.attempt <= MISSED_ATTEMPTS):
        happened = CollectionAttemptFailed(
            issue_id=issue_id, collection_id=collection_id, cause="nobody_home", attempted_at=at
        )
    else:
        happened = CollectionCollected(issue_id=issue_id, collection_id=collection_id, collected_at=at)
    return [
        ScheduledEvent(booked_at, f"booked-{name}", booked),
        ScheduledEvent(at, f"{happened.TYPE}-{name}", happened),
    ]


def _declined(request: CollectionRequested, at: datetime) -> ScheduledEvent:
    declined = CollectionDeclined(
        issue_id=request.issue_id,
        collection_id=request.collection_id,
        cause="no_capacity",
        declined_at=at,
        attempt=request.attempt,
    )
    return ScheduledEvent(at, f"declined-{request.collection_id}-{request.attempt}", declined)


def search_result(lost: IssueAccepted, rng: random.Random) -> ScheduledEvent | None:
    """Most lost parcels are found within two weeks: at a neighbour's, or in a depot."""
    if lost.reason is not Reason.LOST_IN_TRANSIT or rng.random() >= FOUND_SHARE:
        return None
    at = lost.accepted_at + timedelta(days=rng.uniform(2, 14))
    event = ParcelFound(issue_id=lost.issue_id, with_customer=rng.random() < 0.6, found_at=at)
    return ScheduledEvent(at, "found", event)


def is_delivery(plan: ScheduledEvent) -> bool:
    payload = plan.payload
    return isinstance(payload, ParcelDelivered) or (
        isinstance(payload, ParcelScanned) and payload.raw.code == "配達完了"
    )


def _local(day: date, hour: time, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, hour, zone).astimezone(UTC)


@dataclass
class Courier:
    """State of the courier: parcels by replacement, collections by id and attempt, deliveries by issue."""

    partner: Partner
    parcels: set[tuple[UUID, str | None]] = field(default_factory=set)
    requests: set[tuple[UUID, int]] = field(default_factory=set)
    cancelled: set[UUID] = field(default_factory=set)
    delivered_at: dict[UUID, datetime] = field(default_factory=dict)
    searched: set[UUID] = field(default_factory=set)

    def handle(self, received: ReceivedEvent) -> None:
        match received.event.data:
            case ReplacementShipped() as parcel if (parcel.replacement_id, parcel.shipment_id) not in self.parcels:
                self._shipped(parcel, received)
            case CollectionRequested() as request if (request.collection_id, request.attempt) not in self.requests:
                self._requested(request, received)
            case IssueAccepted() as accepted if accepted.issue_id not in self.searched:
                self.searched.add(accepted.issue_id)
                if plan := search_result(accepted, self.partner.rng("lost", accepted.issue_id)):
                    self.partner.schedule_event(plan, received.trace)
            case CollectionCancelled() as cancelled:
                self.cancelled.add(cancelled.collection_id)
            case _:
                return

    def _shipped(self, parcel: ReplacementShipped, received: ReceivedEvent) -> None:
        self.parcels.add((parcel.replacement_id, parcel.shipment_id))
        rng = self.partner.rng("parcel", parcel.replacement_id, parcel.shipment_id or "")
        plans = delivery_events(parcel, rng, self.partner.settings.zone)
        arrives = [plan.at for plan in plans if is_delivery(plan)]
        self.delivered_at[parcel.issue_id] = max(arrives, default=plans[-1].at)
        for planned in plans:
            self.partner.schedule_event(planned, received.trace)

    def _requested(self, request: CollectionRequested, received: ReceivedEvent) -> None:
        self.requests.add((request.collection_id, request.attempt))
        # One visit has one outcome for all its collections.
        rng = self.partner.rng("collection", request.visit_id or request.collection_id, request.attempt)
        not_before = self.delivered_at.get(request.issue_id)
        for planned in collection_events(request, received.event.time, not_before, rng, self.partner.settings.zone):
            called_off = partial(self.cancelled.__contains__, request.collection_id)
            self.partner.schedule_event(planned, received.trace, cancelled=called_off)


def courier(settings: PartnerSettings) -> PartnerTask:
    partner = Partner("courier", settings, (CARRIER_ORDERS, WAREHOUSE_EVENTS, ISSUES))
    return PartnerTask(partner, Courier(partner).handle)


async def run() -> None:
    await run_alone(courier(load(PartnerSettings)))


if __name__ == "__main__":
    main(run)
