"""Anomalies that staff have to see: reports of partners that the case could not use.

An anomaly that opens a review is left out: its review says the same, with the choices that staff have. What nobody
outside can cause (a stalled case) is left out as well; operators see it among the counters. An issue without a case
has no customer to name, so reports about it stay with the counters and the kept counts.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from libs.common.decisions.facts import Anomaly, Fact, TimerFired
from libs.common.events.anomalies import CountStaffDecided
from libs.common.events.carrier import (
    CollectionAttemptFailed,
    CollectionBooked,
    CollectionCollected,
    CollectionDeclined,
    ParcelScanned,
)
from libs.common.events.envelope import Payload
from libs.common.events.issues import IssueAnomalyDetected
from libs.common.events.notices import CustomerDecided
from libs.common.events.payment import PaymentEvent, RefundCompleted, RefundReversed
from libs.common.events.registry import AnyEvent
from libs.common.events.warehouse import ItemInspected, ItemReceived, ReplacementShipmentChanged
from services.returns.domain.commands import AssignCount
from services.returns.domain.state.case import Case
from services.returns.domain.state.count_ids import count_id
from services.returns.domain.state.early_events import early_event_of_timer
from services.returns.domain.state.exposure import CustomerContext
from services.returns.domain.state.kept_counts import count_of_timer
from services.returns.domain.state.parcel_numbers import stated_number

REVIEWED = frozenset(
    {
        "stalled",
        "no_address",
        "other_item_received",
        "past_replacement_moved",
        "moved_after_stop",
        "refund_overpaid",
        "refund_differs",
        "surplus_shipped",
    }
)
"""Anomalies for which a review is open."""


class PartnerReport(NamedTuple):
    """A report as its author made it, whether it arrived now or was kept for the case."""

    data: Payload
    source: str
    event_id: str


def detected_anomalies(
    case: Case, customer: CustomerContext, event: AnyEvent, facts: Iterable[Fact], now: datetime
) -> list[IssueAnomalyDetected]:
    """Return the anomalies among these facts as events for the desk, each of them once."""
    anomalies = [fact for fact in facts if type(fact) is Anomaly and not fact.kept]
    found = dict.fromkeys(fact.reason for fact in anomalies if fact.reason not in REVIEWED)
    if not found:
        return []
    report = _report(customer, event)
    return [
        IssueAnomalyDetected(
            issue_id=case.issue_id,
            order_id=case.order_id,
            customer_id=case.customer_id,
            anomaly=reason,
            cause_id=cause_id(reason, report.data),
            reported_by=report.source[:100],
            event_type=report.data.TYPE,
            event_id=report.event_id[:200],
            detected_at=now,
        )
        for reason in found
    ]


def _report(customer: CustomerContext, event: AnyEvent) -> PartnerReport:
    """Return the report behind an event: a timer or a command only brings the one that was kept."""
    data = event.data
    kept = data.count_id if isinstance(data, AssignCount | CountStaffDecided) else None
    if type(data) is TimerFired:
        kept = count_of_timer(data.name)
        early = customer.early_events.get(early_event_of_timer(data.name) or "")
        if early:
            return PartnerReport(early.data, early.source, early.id)
    if kept and (found := customer.kept_counts.get(kept)):
        partner = found.count.TOPIC.name.partition(".")[0]  # the table keeps no envelope, and the topic has one author
        return PartnerReport(found.count, f"/{partner}", kept)
    return PartnerReport(data, event.source, event.id)


def cause_id(anomaly: str, data: Payload) -> str | None:
    """Return the thing that a report is about, beside its issue; None if it names none."""
    if anomaly == "foreign_tracking_number":
        return f"tracking:{stated_number(data)}"
    match data:
        case ParcelScanned():  # all scans with one code have one cause: the table of statuses lacks it
            return f"status:{data.raw.source} {data.raw.code} {data.raw.detail or ''}".rstrip()
        case ItemReceived() | ItemInspected():
            return f"count:{count_id(data)}"
        case PaymentEvent():
            return _payment_id(data)
        case CollectionBooked() | CollectionDeclined() | CollectionAttemptFailed() | CollectionCollected():
            return f"collection:{data.collection_id}"
        case CustomerDecided():
            return f"question:{data.choice_id}"
        case ReplacementShipmentChanged() if data.shipment_id and anomaly != "unknown_replacement":
            return f"shipment:{data.shipment_id}"
    replacement_id = getattr(data, "replacement_id", None)
    return f"replacement:{replacement_id}" if replacement_id else None


def _payment_id(data: PaymentEvent) -> str:
    """Return the id of a payment as refunds compare it: by transaction, else by amount and time."""
    if isinstance(data, RefundCompleted | RefundReversed) and data.transaction_id:
        return f"transaction:{data.transaction_id}"
    if isinstance(data, RefundCompleted):
        return f"refund:{data.refund_id} {data.completed_at.isoformat()} {data.amount.amount}"
    return f"refund:{data.refund_id}"
