"""Tracking scans: the effects of a carrier's statuses on the legs.

The last scan of each parcel is kept with its raw code. No scan moves a leg backwards: it is translated into the event
that a courier would send, whose handler skips what is superseded. The direction of a parcel is remembered: after it
turned back, "delivered" means that it is with the warehouse again. On the way back of an old item it means the same;
only a count receives units, and only an inspection inspects them.
"""

from collections.abc import Callable, Mapping
from typing import Any

from libs.common.decisions.fast_replace import replace
from libs.common.events.carrier import (
    CollectionAttemptFailed,
    CollectionCollected,
    ParcelDelivered,
    ParcelException,
    ParcelFound,
    ParcelScanned,
)
from libs.common.events.values import Reason
from services.returns.domain.context import CaseDecision
from services.returns.domain.handlers import case_closure, inbound, shipments
from services.returns.domain.state.case import Case
from services.returns.domain.state.outbound_leg import OutboundLeg
from services.returns.domain.state.review_causes import ReviewCause
from services.returns.policy.carrier_statuses import (
    TURNED_BACK,
    CarrierStatus,
    TrackingScan,
    supersedes,
    translate_status,
)
from services.returns.policy.movements import CollectOn, ShipOn

ScanAction = Callable[[CaseDecision, ParcelScanned], None]


def scanned(decision: CaseDecision, event: ParcelScanned) -> None:
    status = translate_status(event.raw)
    outbound, returning = decision.case.outbound, decision.case.inbound
    if status is None:
        known = f"issue {decision.case.issue_id}: {event.raw.source} {event.raw.code} {event.raw.detail or ''}"
        decision.anomaly("unknown_carrier_status", known.rstrip())
    elif unknown := _unknown_parcel(decision.case, event):
        decision.anomaly(unknown)
    elif event.replacement_id and event.replacement_id == outbound.replacement_id:
        _record_outbound(decision, event, TrackingScan(status, event.raw, event.scanned_at))
    elif event.collection_id and event.collection_id == returning.collection_id:
        _record_inbound(decision, event, TrackingScan(status, event.raw, event.scanned_at))
    elif past := next(
        (leg for leg in decision.case.past_replacements if leg.replacement_id == event.replacement_id), None
    ):
        _record_past(decision, past, event, TrackingScan(status, event.raw, event.scanned_at))
    else:
        decision.ignore("unrelated_scan")


def _unknown_parcel(case: Case, event: ParcelScanned) -> str | None:
    """Return the anomaly of a scan that names a parcel never ordered for this case, whatever else it names."""
    replacements = {leg.replacement_id for leg in (case.outbound, *case.past_replacements)}
    if event.replacement_id and event.replacement_id not in replacements:
        return "unknown_replacement"
    current = case.inbound.collection_id
    if event.collection_id and event.collection_id != current and not inbound.is_past(case, event.collection_id):
        return "unknown_collection"
    return None


def _record_outbound(decision: CaseDecision, event: ParcelScanned, scan: TrackingScan) -> None:
    leg = decision.case.outbound
    after = _with_scan(leg, event, scan)
    if after is leg:
        decision.ignore("stale_scan")
        return
    decision.change(outbound=after)
    OUTBOUND_ACTIONS.get(CarrierStatus(scan.status), _delay)(decision, event)
    decision.drop_ignored()


def _record_past(decision: CaseDecision, past: OutboundLeg, event: ParcelScanned, scan: TrackingScan) -> None:
    """Record a scan of a replacement that was given up: its delivery goes to staff, its return does not."""
    after = _with_scan(past, event, scan)
    if after is past:
        decision.ignore("stale_scan")
        return
    legs = tuple(after if leg is past else leg for leg in decision.case.past_replacements)
    decision.change(past_replacements=legs)
    if scan.status in (CarrierStatus.DELIVERED, CarrierStatus.DELIVERED_NEARBY):
        _delivered(decision, event)
        decision.drop_ignored()


def _with_scan(leg: OutboundLeg, event: ParcelScanned, scan: TrackingScan) -> OutboundLeg:
    """Return the leg with the scan of its parcel; the same leg where the scan adds nothing."""
    key = leg.parcel_key(event.shipment_id, event.tracking_number)
    if not supersedes(scan, leg.scans.get(key)):
        return leg
    leg = replace(leg, scans={**leg.scans, key: scan})
    if scan.status in TURNED_BACK and key not in leg.turned_back:
        leg = replace(leg, turned_back={**leg.turned_back, key: scan.at})
    return leg


def _record_inbound(decision: CaseDecision, event: ParcelScanned, scan: TrackingScan) -> None:
    if not supersedes(scan, decision.case.inbound.last_scan):
        decision.ignore("stale_scan")
        return
    decision.change_inbound(last_scan=scan)
    if action := INBOUND_ACTIONS.get(CarrierStatus(scan.status)):
        action(decision, event)
        decision.drop_ignored()


def _delivered(decision: CaseDecision, event: ParcelScanned) -> None:
    nearby = translate_status(event.raw) is CarrierStatus.DELIVERED_NEARBY
    handed_to = (event.raw.detail or event.raw.code)[:40] if nearby else None
    delivery = ParcelDelivered(**_parcel_ids(event), delivered_at=event.scanned_at, raw=event.raw, handed_to=handed_to)
    shipments.delivered(decision, delivery)


def _exception_without_date(decision: CaseDecision, event: ParcelScanned) -> None:
    """Send a lost, damaged, refused or returning parcel to review, whatever date the carrier names."""
    _exception(decision, event.model_copy(update={"expected_delivery_date": None}))


def _delay(decision: CaseDecision, event: ParcelScanned) -> None:
    """Record a later delivery date; without one the present date stays, with its timer."""
    expected = decision.case.outbound.expected_delivery
    if event.expected_delivery_date and expected and event.expected_delivery_date > expected:
        _exception(decision, event)


def _exception(decision: CaseDecision, event: ParcelScanned) -> None:
    status = {"code": event.raw.code, "detail": event.raw.detail, "raw": event.raw}
    times = {"occurred_at": event.scanned_at, "expected_delivery_date": event.expected_delivery_date}
    shipments.exception_reported(decision, ParcelException(**_parcel_ids(event), **status, **times))


def _parcel_ids(event: ParcelScanned) -> dict[str, Any]:
    names = ("issue_id", "replacement_id", "shipment_id", "tracking_number")
    return {name: getattr(event, name) for name in names}


def _collected(decision: CaseDecision, event: ParcelScanned) -> None:
    handover = CollectionCollected(**_collection_ids(event), collected_at=event.scanned_at, raw=event.raw)
    inbound.collected(decision, handover)


def _attempt_failed(decision: CaseDecision, event: ParcelScanned) -> None:
    attempt = {"cause": event.raw.code, "attempted_at": event.scanned_at, "raw": event.raw}
    inbound.attempt_failed(decision, CollectionAttemptFailed(**_collection_ids(event), **attempt))


def _collection_ids(event: ParcelScanned) -> dict[str, Any]:
    return {"issue_id": event.issue_id, "collection_id": event.collection_id}


def _lost_in_return(decision: CaseDecision, event: ParcelScanned) -> None:
    _collected(decision, event)
    decision.open_review(ReviewCause.RECEIPT_OVERDUE)


OUTBOUND_ACTIONS: Mapping[CarrierStatus, ScanAction] = {
    CarrierStatus.DELIVERED: _delivered,
    CarrierStatus.DELIVERED_NEARBY: _delivered,
    CarrierStatus.RETURNING: _exception_without_date,
    CarrierStatus.RETURNED: _exception_without_date,
    CarrierStatus.LOST: _exception_without_date,
    CarrierStatus.DAMAGED: _exception_without_date,
    CarrierStatus.REFUSED: _exception_without_date,
}
"""Actions by status; any other status only moves the delivery date, where it names a later one."""

INBOUND_ACTIONS: Mapping[CarrierStatus, ScanAction] = {
    CarrierStatus.ACCEPTED: _collected,
    CarrierStatus.IN_TRANSIT: _collected,
    CarrierStatus.OUT_FOR_DELIVERY: _collected,
    CarrierStatus.DELIVERED: _collected,
    CarrierStatus.DELIVERED_NEARBY: _collected,
    CarrierStatus.RETURNING: _collected,
    CarrierStatus.RETURNED: _collected,
    CarrierStatus.ATTEMPT_FAILED: _attempt_failed,
    CarrierStatus.LOST: _lost_in_return,
    CarrierStatus.DAMAGED: _collected,
}


def parcel_found(decision: CaseDecision, event: ParcelFound) -> None:
    """Record that a lost parcel was found; if the customer has it, cancel the case or ask staff."""
    case = decision.case
    if case.reason is not Reason.LOST_IN_TRANSIT or case.parcel_found or case.cancelled_at:
        decision.ignore("not_lost")
        return
    decision.change(parcel_found=True)
    if event.with_customer:
        arrived_after_all(decision)


def arrived_after_all(decision: CaseDecision) -> None:
    """End a case whose lost or missing units are with the customer, or ask staff if something has left for it."""
    decision.change(parcel_found=True)
    if case_closure.is_cancellable(decision.case):
        case_closure.cancel(decision, "parcel_found")
    else:
        decision.open_review(ReviewCause.PARCEL_FOUND)


def collect_found_parcel(decision: CaseDecision) -> None:
    """Plan the collection of a found parcel, after its replacement has shipped where there is one."""
    if decision.case.is_closed:
        case_closure.resume(decision, "parcel_found")
    ships_first = decision.case.plan.ship_on is ShipOn.ACCEPTED
    decision.require_return(CollectOn.SHIPPED if ships_first else CollectOn.ACCEPTED)
