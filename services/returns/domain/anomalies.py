"""Anomalies that staff have to see: reports of partners that the case could not use.

An anomaly that opens a review is left out: its review says the same, with the choices that staff have. What nobody
outside can cause (a stalled case) is left out as well; operators see it among the counters. An issue without a case
has no customer to name, so reports about it stay with the counters and the kept counts.
"""

from collections.abc import Iterable
from datetime import datetime

from libs.common.decisions.facts import Anomaly, Fact
from libs.common.events.issues import IssueAnomalyDetected
from libs.common.events.registry import AnyEvent
from services.returns.domain.state.case import Case

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


def detected_anomalies(case: Case, event: AnyEvent, facts: Iterable[Fact], now: datetime) -> list[IssueAnomalyDetected]:
    """Return the anomalies among these facts as events for the desk, each of them once."""
    found = dict.fromkeys(fact.reason for fact in facts if type(fact) is Anomaly and fact.reason not in REVIEWED)
    return [
        IssueAnomalyDetected(
            issue_id=case.issue_id,
            order_id=case.order_id,
            customer_id=case.customer_id,
            anomaly=reason,
            reported_by=event.source[:100],
            event_type=event.type,
            event_id=event.id,
            detected_at=now,
        )
        for reason in found
    ]
