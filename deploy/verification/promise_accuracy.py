"""The confusion table of promises: which broke, which were kept, and of which the customer was told before.

What really happened is read from the replayed orders, what was told from `notice.sent` (`supersedes`). Told means: one
notice that left before the promise broke. Only promises that were made with the order are counted here, a ship date
with its last pickup and a day at the door, once per order; what was given later is in the audit (invariant 9).
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta

from deploy.demo.data.orders import Order, OrderBook
from deploy.verification.evidence import Fact, History, moment

COLUMNS = ("told once, in time", "told too late", "told more than once", "not told")
SHOWN = 5


@dataclass
class Confusion:
    """Counts by promise ("shipping", "arrival"), fate ("broken", "kept") and column; `wrong` names those amiss."""

    counts: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def add(self, promise: str, broken: bool, column: str, detail: str) -> None:
        fate = "broken" if broken else "kept"
        self.counts[promise, fate, column] += 1
        if column != (COLUMNS[0] if broken else COLUMNS[3]):
            self.wrong.append(f"{promise}, {fate}, {column}: {detail}")

    def as_json(self) -> dict[str, dict[str, dict[str, int]]]:
        return {
            promise: {
                fate: {column: self.counts[promise, fate, column] for column in COLUMNS} for fate in ("broken", "kept")
            }
            for promise in ("shipping", "arrival")
        }


def confusion(book: OrderBook, history: History) -> Confusion | None:
    """None where the orders do not say when a promise breaks to the minute (the bundled ones)."""
    if not any(order.ship_by for order in book.orders):
        return None
    told = _told(history.of("notice.sent"))
    found = Confusion()
    for order in book.orders:
        if order.ship_by and order.shipped_at:
            late = order.shipped_at > order.ship_by
            found.add("shipping", late, *_column(told, order, "line", order.ship_by))
        if order.promised_delivery_date and order.delivered_at:
            end = datetime.combine(order.promised_delivery_date + timedelta(days=1), time(), book.zone)
            late = order.delivered_at >= end
            found.add("arrival", late, *_column(told, order, "arrival", end))
    return found


def _told(sent: Iterable[Fact]) -> Mapping[tuple[str, str], dict[str, datetime]]:
    """By order and subject: the notices that said that a first promise will not be kept, and when each left."""
    told: defaultdict[tuple[str, str], dict[str, datetime]] = defaultdict(dict)
    for fact in sent:
        for promise in fact.data.get("supersedes", ()):
            if promise["version"] == 1:
                told[fact.order, promise["subject"]][fact.data["notice_id"]] = moment(fact.data["sent_at"])
    return told


def _column(
    told: Mapping[tuple[str, str], Mapping[str, datetime]], order: Order, subject: str, breaks_at: datetime
) -> tuple[str, str]:
    """The column, and how it came to that."""
    notices = told.get((order.order_id, subject), {})
    times = ", ".join(f"{each.astimezone(breaks_at.tzinfo):%F %T}" for each in sorted(notices.values()))
    detail = f"order {order.order_id}, promised by {breaks_at:%F %T}, told {times or 'nothing'}"
    if len(notices) > 1:
        return COLUMNS[2], detail
    if not notices:
        return COLUMNS[3], detail
    return COLUMNS[0 if min(notices.values()) <= breaks_at else 1], detail
