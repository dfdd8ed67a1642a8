"""Events for the desk about anomalies, written with the decision that found them.

Every service reports its anomalies here alike. Fields are taken from a list of names: a field that is not listed, such
as an address or a comment, never leaves its topic.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from libs.common.decisions.facts import Anomaly, TimerFired
from libs.common.events.anomalies import AnomalyDetected, ReportedField, anomaly_cause
from libs.common.events.envelope import Payload
from libs.common.events.registry import AnyEvent

REPORTED_FIELDS = (
    *("order_id", "issue_id", "line_id", "sku", "quantity", "serials", "lot", "condition", "return_slip"),
    *("receipt_id", "inspection_id", "replacement_id", "shipment_id", "collection_id", "carrier", "tracking_number"),
    *("refund_id", "transaction_id", "amount", "choice_id", "choice", "change", "request_id", "answer", "code"),
    *("received_at", "inspected_at", "shipped_at", "delivered_at", "scanned_at", "completed_at", "ship_date"),
    *("promised_ship_date", "expected_delivery_date", "expected_ship_date", "points", "name", "due_at"),
)
"""Names of the fields that staff see, in the order in which they see them."""

_OF_TIMERS = frozenset({"name", "due_at"})
MAX_VALUE = 400


def anomaly_report(service: str, anomaly: Anomaly, event: AnyEvent, now: datetime) -> AnomalyDetected:
    """Return an anomaly as an event; without a thing or a detail, each event is a cause of its own."""
    data = anomaly.kept or event.data
    reported_by, event_id = event.source, event.id
    if anomaly.kept:  # kept without its envelope, and a partner's topic has one author
        reported_by, event_id = f"/{data.TOPIC.name.partition('.')[0]}", anomaly.thing
    thing = anomaly.thing or anomaly.detail or f"event:{event.source} {event.id}"
    return AnomalyDetected(
        cause=anomaly_cause(service, anomaly.reason, thing),
        anomaly=anomaly.reason[:100],
        detected_by=service,
        thing=anomaly.thing[:MAX_VALUE] or None,
        detail=anomaly.detail[:MAX_VALUE] or None,
        issue_id=getattr(data, "issue_id", None),
        order_id=(getattr(data, "order_id", None) or anomaly.order_id or "")[:128] or None,
        reported_by=reported_by[:100],
        event_type=data.TYPE[:100],
        event_id=event_id[:200],
        reported=tuple(_reported(data)),
        detected_at=now,
    )


def _reported(data: Payload) -> Iterator[ReportedField]:
    found: dict[str, list[str]] = {}
    _collect(data.model_dump(mode="json", exclude_none=True), found)
    is_timer = isinstance(data, TimerFired)
    for name in REPORTED_FIELDS:
        if name in found and (name in _OF_TIMERS) == is_timer:
            yield ReportedField(field=name, value=", ".join(found[name])[:MAX_VALUE])


def _collect(value: Any, found: dict[str, list[str]], name: str = "") -> None:
    """Collect the listed leaves of a document by name; an amount of money is one leaf."""
    if isinstance(value, dict):
        if value.keys() == {"amount", "currency"}:
            _collect(f"{value['amount']} {value['currency']}", found, name)
            return
        for key, part in value.items():
            _collect(part, found, key)
    elif isinstance(value, list):
        for part in value:
            _collect(part, found, name)
    elif name in REPORTED_FIELDS:
        found.setdefault(name, []).append(str(value))
