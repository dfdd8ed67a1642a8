"""Tracking scans: the effects of a carrier's statuses on the legs.

The last scan is kept with its raw code. An older scan changes nothing, and no scan moves a leg backwards: it is
translated into the fact that a courier would send, whose handler skips what is superseded. "Delivered" on the way back
means that the parcel reached the warehouse; only a count receives units, and only an inspection inspects them.
"""

from collections.abc import Callable, Mapping
from typing import Any

from libs.common.events.carrier import (
    CollectionAttemptFailed,
    CollectionCollected,
    ParcelDelivered,
    ParcelException,
    ParcelFound,
    ParcelScanned,
)
from libs.common.events.values import Reason
from services.returns.domain.decision_context import CaseDecision
from services.returns.domain.handlers import case_closure, inbound, shipments
from services.returns.domain.state.review_causes import ReviewCause
from services.returns.policy.carrier_statuses import CarrierStatus, TrackingScan, translate_status
from services.returns.policy.movements import CollectOn, ShipOn

ScanAction = Callable[[CaseDecision, ParcelScanned], None]


def scanned(decision: CaseDecision, fact: ParcelScanned) -> None:
    status = translate_status(fact.raw)
    outbound, returning = decision.case.outbound, decision.case.inbound
    if status is None:
        decision.anomaly("unknown_carrier_status")
    elif fact.replacement_id and fact.replacement_id == outbound.replacement_id:
        _record_scan(decision, fact, status, outbound.last_scan, decision.change_outbound, OUTBOUND_ACTIONS)
    elif fact.collection_id and fact.collection_id == returning.collection_id:
        _record_scan(decision, fact, status, returning.last_scan, decision.change_inbound, INBOUND_ACTIONS)
    else:
        decision.ignore("unrelated_scan")


def _record_scan(
    decision: CaseDecision,
    fact: ParcelScanned,
    status: CarrierStatus,
    last: TrackingScan | None,
    change_leg: Callable[..., None],
    actions: Mapping[CarrierStatus, ScanAction],
) -> None:
    if last and fact.scanned_at <= last.at:
        decision.ignore("stale_scan")
        return
    change_leg(last_scan=TrackingScan(status, fact.raw, fact.scanned_at))
    if action := actions.get(status):
        action(decision, fact)
        decision.drop_ignored()


def _delivered(decision: CaseDecision, fact: ParcelScanned) -> None:
    delivery = ParcelDelivered(**_parcel_ids(fact), delivered_at=fact.scanned_at, raw=fact.raw)
    shipments.delivered(decision, delivery)


def _exception_without_date(decision: CaseDecision, fact: ParcelScanned) -> None:
    """Send a lost, damaged, refused or returning parcel to review, whatever date the carrier names."""
    _exception(decision, fact.model_copy(update={"expected_delivery_date": None}))


def _delay(decision: CaseDecision, fact: ParcelScanned) -> None:
    """Record a new delivery date; without one the present date stays, with its timer."""
    if fact.expected_delivery_date:
        _exception(decision, fact)


def _exception(decision: CaseDecision, fact: ParcelScanned) -> None:
    status = {"code": fact.raw.code, "detail": fact.raw.detail, "raw": fact.raw}
    times = {"occurred_at": fact.scanned_at, "expected_delivery_date": fact.expected_delivery_date}
    shipments.exception_reported(decision, ParcelException(**_parcel_ids(fact), **status, **times))


def _parcel_ids(fact: ParcelScanned) -> dict[str, Any]:
    return {"issue_id": fact.issue_id, "replacement_id": fact.replacement_id, "shipment_id": fact.shipment_id}


def _collected(decision: CaseDecision, fact: ParcelScanned) -> None:
    handover = CollectionCollected(**_collection_ids(fact), collected_at=fact.scanned_at, raw=fact.raw)
    inbound.collected(decision, handover)


def _attempt_failed(decision: CaseDecision, fact: ParcelScanned) -> None:
    attempt = {"cause": fact.raw.code, "attempted_at": fact.scanned_at, "raw": fact.raw}
    inbound.attempt_failed(decision, CollectionAttemptFailed(**_collection_ids(fact), **attempt))


def _collection_ids(fact: ParcelScanned) -> dict[str, Any]:
    return {"issue_id": fact.issue_id, "collection_id": fact.collection_id}


def _lost_in_return(decision: CaseDecision, fact: ParcelScanned) -> None:
    _collected(decision, fact)
    decision.open_review(ReviewCause.RECEIPT_OVERDUE)


OUTBOUND_ACTIONS: Mapping[CarrierStatus, ScanAction] = {
    CarrierStatus.DELIVERED: _delivered,
    CarrierStatus.DELAYED: _delay,
    CarrierStatus.ATTEMPT_FAILED: _delay,
    CarrierStatus.RETURNING: _exception_without_date,
    CarrierStatus.LOST: _exception_without_date,
    CarrierStatus.DAMAGED: _exception_without_date,
    CarrierStatus.REFUSED: _exception_without_date,
}
INBOUND_ACTIONS: Mapping[CarrierStatus, ScanAction] = {
    CarrierStatus.ACCEPTED: _collected,
    CarrierStatus.IN_TRANSIT: _collected,
    CarrierStatus.OUT_FOR_DELIVERY: _collected,
    CarrierStatus.DELIVERED: _collected,
    CarrierStatus.ATTEMPT_FAILED: _attempt_failed,
    CarrierStatus.LOST: _lost_in_return,
    CarrierStatus.DAMAGED: _collected,
}


def parcel_found(decision: CaseDecision, fact: ParcelFound) -> None:
    """Record that a lost parcel was found; if the customer has it, cancel the case or ask staff."""
    case = decision.case
    if case.reason is not Reason.LOST_IN_TRANSIT or case.parcel_found or case.cancelled_at:
        decision.ignore("not_lost")
        return
    decision.change(parcel_found=True)
    if not fact.with_customer:
        return
    if case_closure.is_cancellable(case):
        case_closure.cancel(decision, "parcel_found")
    else:
        decision.open_review(ReviewCause.PARCEL_FOUND)


def collect_found_parcel(decision: CaseDecision) -> None:
    """Plan the collection of a found parcel, after its replacement has shipped where there is one."""
    if decision.case.is_closed:
        case_closure.resume(decision, "parcel_found")
    ships_first = decision.case.plan.ship_on is ShipOn.ACCEPTED
    decision.require_return(CollectOn.SHIPPED if ships_first else CollectOn.ACCEPTED)
