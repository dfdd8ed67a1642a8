"""Scans: what a carrier's own words do to the legs.

The last scan is kept with its raw code. A scan that is older than the last one changes nothing, and no scan moves a leg
backwards: it is translated into the same facts that a courier tells, and those know what is past. A scan "delivered" on
the way back says that the box is at the warehouse's gate, not what is in it: only a count receives and only an
inspection inspects.
"""

from collections.abc import Callable, Mapping

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
from services.returns.domain.handlers import case_closure, inbound, outbound
from services.returns.domain.review_causes import ReviewCause
from services.returns.policy.carrier_statuses import CarrierStatus, Scan, status_of
from services.returns.policy.policy import CollectOn, ShipOn

Act = Callable[[CaseDecision, ParcelScanned], None]


def scanned(turn: CaseDecision, fact: ParcelScanned) -> None:
    status = status_of(fact.raw)
    if status is None:
        turn.anomaly("unknown_carrier_status")
    elif fact.replacement_id and fact.replacement_id == turn.case.outbound.replacement_id:
        _note(turn, fact, status, turn.case.outbound.scan, turn.outbound, OUTWARD)
    elif fact.collection_id and fact.collection_id == turn.case.inbound.collection_id:
        _note(turn, fact, status, turn.case.inbound.scan, turn.inbound, BACKWARD)
    else:
        turn.ignore("scan_of_another_parcel")


def _note(
    turn: CaseDecision,
    fact: ParcelScanned,
    status: CarrierStatus,
    last: Scan | None,
    keep: Callable[..., None],
    acts: Mapping[CarrierStatus, Act],
) -> None:
    if last and fact.scanned_at <= last.at:
        turn.ignore("stale_scan")
        return
    keep(scan=Scan(status, fact.raw, fact.scanned_at))
    if act := acts.get(status):
        act(turn, fact)
        turn.quiet()


def _delivered(turn: CaseDecision, fact: ParcelScanned) -> None:
    ids = {"issue_id": fact.issue_id, "replacement_id": fact.replacement_id, "shipment_id": fact.shipment_id}
    outbound.delivered(turn, ParcelDelivered(**ids, delivered_at=fact.scanned_at, raw=fact.raw))


def _trouble(turn: CaseDecision, fact: ParcelScanned) -> None:
    """Lost, broken, refused or on its way back: a human looks, whatever day was named."""
    _exception(turn, fact.model_copy(update={"expected_delivery_date": None}))


def _later(turn: CaseDecision, fact: ParcelScanned) -> None:
    """A new day is taken over; without one the day it was expected on stands, and is watched."""
    if fact.expected_delivery_date:
        _exception(turn, fact)


def _exception(turn: CaseDecision, fact: ParcelScanned) -> None:
    ids = {"issue_id": fact.issue_id, "replacement_id": fact.replacement_id, "shipment_id": fact.shipment_id}
    told = {"code": fact.raw.code, "detail": fact.raw.detail, "raw": fact.raw, "occurred_at": fact.scanned_at}
    outbound.exception(turn, ParcelException(**ids, **told, expected_delivery_date=fact.expected_delivery_date))


def _taken(turn: CaseDecision, fact: ParcelScanned) -> None:
    ids = {"issue_id": fact.issue_id, "collection_id": fact.collection_id}
    inbound.collected(turn, CollectionCollected(**ids, collected_at=fact.scanned_at, raw=fact.raw))


def _missed(turn: CaseDecision, fact: ParcelScanned) -> None:
    ids = {"issue_id": fact.issue_id, "collection_id": fact.collection_id}
    told = {"cause": fact.raw.code, "attempted_at": fact.scanned_at, "raw": fact.raw}
    inbound.attempt_failed(turn, CollectionAttemptFailed(**ids, **told))


def _lost_on_the_way_back(turn: CaseDecision, fact: ParcelScanned) -> None:
    _taken(turn, fact)
    turn.review(ReviewCause.RECEIPT_OVERDUE)


OUTWARD: Mapping[CarrierStatus, Act] = {
    CarrierStatus.DELIVERED: _delivered,
    CarrierStatus.DELAYED: _later,
    CarrierStatus.ATTEMPT_FAILED: _later,
    CarrierStatus.RETURNING: _trouble,
    CarrierStatus.LOST: _trouble,
    CarrierStatus.DAMAGED: _trouble,
    CarrierStatus.REFUSED: _trouble,
}
BACKWARD: Mapping[CarrierStatus, Act] = {
    CarrierStatus.ACCEPTED: _taken,
    CarrierStatus.IN_TRANSIT: _taken,
    CarrierStatus.OUT_FOR_DELIVERY: _taken,
    CarrierStatus.DELIVERED: _taken,
    CarrierStatus.ATTEMPT_FAILED: _missed,
    CarrierStatus.LOST: _lost_on_the_way_back,
    CarrierStatus.DAMAGED: _taken,
}


def parcel_found(turn: CaseDecision, fact: ParcelFound) -> None:
    """What was lost is found. Nothing else is fetched of what was lost, so only now may there be something to fetch."""
    case = turn.case
    if case.reason is not Reason.LOST_IN_TRANSIT or case.parcel_found or case.cancelled_at:
        turn.ignore("not_lost")
        return
    turn.change(parcel_found=True)
    if not fact.with_customer:
        return
    if case_closure.is_cancellable(case):
        case_closure.cancel(turn, "parcel_found")
    else:
        turn.review(ReviewCause.PARCEL_FOUND)


def fetch_it(turn: CaseDecision) -> None:
    """A human wants what turned up fetched, but not before its replacement has left, where there is one."""
    if turn.case.is_closed:
        case_closure.go_on(turn, "parcel_found")
    first = turn.case.plan.ship_on is ShipOn.ACCEPTED
    turn.expect_back(CollectOn.SHIPPED if first else CollectOn.ACCEPTED)
