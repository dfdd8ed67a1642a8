"""Confusion table of promises: broken or kept, and announced to the customer before or not.

The real times come from the replayed orders, the announcements from `supersedes` of `notice.sent`. Announced means: one
notice, sent before the promise broke. Only promises made with the order are counted, a ship date with its last pickup
and a delivery date, once per order; invariant 9 covers later promises.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta

from deploy.demo.data.orders import OrderDataset, ReplayedOrder
from deploy.verification.evidence import Fact, History, parse_time

COLUMNS = ("announced once, in time", "announced too late", "announced more than once", "not announced")
SHOWN_MISMATCHES = 5


@dataclass
class PromiseAccuracy:
    """Counts by promise ("shipping", "arrival"), fate ("broken", "kept") and column; `mismatches` lists the
    wrong ones."""

    counts: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    mismatches: list[str] = field(default_factory=list)

    def add(self, promise: str, broken: bool, column: str, detail: str) -> None:
        fate = "broken" if broken else "kept"
        self.counts[promise, fate, column] += 1
        if column != (COLUMNS[0] if broken else COLUMNS[3]):
            self.mismatches.append(f"{promise}, {fate}, {column}: {detail}")

    def as_json(self) -> dict[str, dict[str, dict[str, int]]]:
        return {
            promise: {
                fate: {column: self.counts[promise, fate, column] for column in COLUMNS} for fate in ("broken", "kept")
            }
            for promise in ("shipping", "arrival")
        }


def measure_accuracy(dataset: OrderDataset, history: History) -> PromiseAccuracy | None:
    """None where the orders do not contain the last pickup to the minute (the bundled ones)."""
    if not any(order.ship_by for order in dataset.orders):
        return None
    notices = _superseding_notices(history.of("notice.sent"))
    accuracy = PromiseAccuracy()
    for order in dataset.orders:
        if order.ship_by and order.shipped_at:
            late = order.shipped_at > order.ship_by
            accuracy.add("shipping", late, *_column(notices, order, "line", order.ship_by))
        if order.promised_delivery_date and order.delivered_at:
            end = datetime.combine(order.promised_delivery_date + timedelta(days=1), time(), dataset.zone)
            late = order.delivered_at >= end
            accuracy.add("arrival", late, *_column(notices, order, "arrival", end))
    return accuracy


def _superseding_notices(sent: Iterable[Fact]) -> Mapping[tuple[str, str], dict[str, datetime]]:
    """By order and subject: the notices that superseded a first promise, and the time each was sent."""
    notices: defaultdict[tuple[str, str], dict[str, datetime]] = defaultdict(dict)
    for fact in sent:
        for promise in fact.data.get("supersedes", ()):
            if promise["version"] == 1:
                notices[fact.order, promise["subject"]][fact.data["notice_id"]] = parse_time(fact.data["sent_at"])
    return notices


def _column(
    superseding: Mapping[tuple[str, str], Mapping[str, datetime]],
    order: ReplayedOrder,
    subject: str,
    breaks_at: datetime,
) -> tuple[str, str]:
    """The column, and the details behind it."""
    notices = superseding.get((order.order_id, subject), {})
    times = ", ".join(f"{each.astimezone(breaks_at.tzinfo):%F %T}" for each in sorted(notices.values()))
    detail = f"order {order.order_id}, promised by {breaks_at:%F %T}, announced at {times or 'no time'}"
    if len(notices) > 1:
        return COLUMNS[2], detail
    if not notices:
        return COLUMNS[3], detail
    return COLUMNS[0 if min(notices.values()) <= breaks_at else 1], detail
