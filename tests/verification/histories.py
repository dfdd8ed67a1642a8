"""One valid history as records and rows, for the auditor's tests to tamper with: a defective cup, replaced and
collected.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from deploy.verification.evidence import DatabaseEvidence, Fact, History, Row

START = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)  # ten in the morning of a Monday in Tokyo
TRACE = "00-11111111111111111111111111111111-2222222222222222-01"
ISSUE = "00000000-0000-0000-0000-000000000001"
LINE = {"line_id": "L1", "quantity": 1}
ISSUE_LINE = {**LINE, "sku": "CUP", "name": "cup", "unit_price": {"amount": "1000", "currency": "JPY"}}
PIECE = {"order_id": "S1", "line_id": "L1", "unit_number": 1, "generation": 0}
ORDER_LINE = {**ISSUE_LINE, "promised_ship_date": "2026-03-03"}
PERSON = {"name": "架空 一花 0", "email": "kyaku0@example.jp", "phone": "+81-00-0000-0000"}
ORDER_ROW = {"order_id": "S1", "kept_amount": "1000"}
HOME = {"name": "架空 一花 0", "street": "架空町1-1-0", "city": "架空区", "phone": "+81-00-0000-0000"}


@dataclass
class HistoryBuilder:
    """Facts that become a `History`. `add` writes one at some hours after the start."""

    facts: list[Fact] = field(default_factory=list)
    databases: dict[str, DatabaseEvidence] = field(default_factory=dict)
    ledger: list[dict[str, Any]] = field(default_factory=list)
    mails: list[dict[str, Any]] = field(default_factory=list)
    logs: dict[str, str] = field(default_factory=dict)
    days: int = 60
    rests: list[float] = field(default_factory=list)

    def add(self, topic: str, kind: str, hours: float, /, trace: str = TRACE, **data: Any) -> Fact:
        at = START + timedelta(hours=hours)
        number = len(self.facts)
        body = {"id": f"e{number}", "source": f"/{topic}", "type": f"{kind}.v1", "time": at.isoformat(), "data": data}
        value = json.dumps(body, ensure_ascii=False).encode()
        key = str(data.get("issue_id") or data.get("order_id") or "")
        headers = {"traceparent": trace} if trace else {}
        fact = Fact(topic, 0, number, key, value, int(at.timestamp() * 1000), headers)
        self.facts.append(fact)
        return fact

    def issue(self, kind: str, hours: float, **data: Any) -> Fact:
        return self.add("issues", kind, hours, issue_id=ISSUE, order_id="S1", customer_id="C1", **data)

    def notice(self, kind: str, hours: float, **data: Any) -> Fact:
        defaults = {"order_id": "S1", "customer_id": "C1", "notice_id": f"n-{kind}-{hours}", "kind": kind}
        return self.add("notices", "notice.sent", hours, **(defaults | data))

    def without(self, *kinds: str) -> "HistoryBuilder":
        return replace(self, facts=[fact for fact in self.facts if fact.type not in kinds])

    def rescheduled(self, kind: str, hours: float) -> "HistoryBuilder":
        """The same history with every event of this type at another hour."""
        at = START + timedelta(hours=hours)
        later = self.changed(kind, lambda body: body | {"time": at.isoformat()})
        written = int(at.timestamp() * 1000)
        return replace(later, facts=[replace(f, written_ms=written) if f.type == kind else f for f in later.facts])

    def changed(self, kind: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> "HistoryBuilder":
        return replace(self, facts=[_changed(f, change) if f.type == kind else f for f in self.facts])

    def with_data(self, kind: str, **data: Any) -> "HistoryBuilder":
        return self.changed(kind, lambda body: body | {"data": body["data"] | data})

    def repeated(self, kind: str, **data: Any) -> "HistoryBuilder":
        """A second event of this type, under another id and with other data."""
        first = next(fact for fact in self.facts if fact.type == kind)
        second = _changed(first, lambda body: body | {"id": "again", "data": body["data"] | data})
        return replace(self, facts=[*self.facts, replace(second, offset=len(self.facts))])

    def reordered(self, kinds: Iterable[str]) -> "HistoryBuilder":
        """Move facts of these types behind all others, as if written last."""
        late = tuple(kinds)
        return replace(self, facts=sorted(self.facts, key=lambda fact: fact.type in late))

    def history(self) -> History:
        now = START + timedelta(days=self.days)
        zone = ZoneInfo("Asia/Tokyo")
        return History(self.facts, zone, now, self.databases, self.ledger, self.mails, self.logs, rests=self.rests)


def _changed(fact: Fact, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Fact:
    return replace(fact, value=json.dumps(change(fact.body), ensure_ascii=False).encode())


def valid_history() -> HistoryBuilder:
    """A history without violations."""
    story = HistoryBuilder()
    story.add(
        "storefront.orders",
        "order.placed",
        0,
        order_id="S1",
        customer_id="C1",
        lines=[ORDER_LINE],
        contact=PERSON,
        ship_to=HOME,
    )
    story.add("storefront.orders", "order.shipped", 24, order_id="S1", lines=[LINE])
    story.add("storefront.orders", "order.delivered", 48, order_id="S1", lines=[LINE], delivered_at=START.isoformat())
    _replaced(story)
    _collected(story)
    _resolved(story)
    story.databases = databases()
    story.ledger = [{"key": "R-S1", "order_id": "S1", "status": 202, "issue_id": ISSUE, "answered_at_ms": 0}]
    story.mails = [{"message_id": "<n1@example.jp>"}, {"message_id": "<n2@example.jp>"}]
    story.logs = {"returns.log": '{"message": "case opened"}'}
    return story


def _replaced(story: HistoryBuilder) -> None:
    to_warehouse = {"issue_id": ISSUE, "order_id": "S1", "replacement_id": "r1"}
    from_warehouse = {"issue_id": ISSUE, "replacement_id": "r1"}
    story.issue("issue.reported", 72, reason="defective", lines=[LINE], reference="R-S1")
    story.issue("issue.accepted", 72.01, reason="defective", lines=[ISSUE_LINE])
    story.add("warehouse.orders", "replacement.ordered", 72.02, **to_warehouse, lines=[ISSUE_LINE], ship_to=HOME)
    story.issue("issue.replacement_ordered", 72.02, replacement_id="r1", promised_ship_date="2026-03-06")
    story.notice("issue_accepted", 72.05, issue_id=ISSUE)
    story.add("warehouse.events", "replacement.confirmed", 73, **from_warehouse, ship_date="2026-03-06")
    story.issue("issue.replacement_promised", 73.01, replacement_id="r1", ship_date="2026-03-06", version=1)
    day = "2026-03-07"
    story.add("warehouse.events", "replacement.shipped", 96, **from_warehouse, expected_delivery_date=day)
    story.issue("issue.replacement_shipped", 96.01, replacement_id="r1", expected_delivery_date=day)
    story.notice("replacement_shipped", 96.05, issue_id=ISSUE)
    story.add("carrier.events", "parcel.delivered", 120, **from_warehouse)
    story.issue("issue.replacement_delivered", 120.01, replacement_id="r1")


def _collected(story: HistoryBuilder) -> None:
    to_carrier: dict[str, Any] = {"issue_id": ISSUE, "order_id": "S1", "collection_id": "c1"}
    from_carrier = {"issue_id": ISSUE, "collection_id": "c1"}
    day = "2026-03-07"
    story.add("carrier.orders", "collection.requested", 96.02, **to_carrier, earliest_date=day, collect_from=HOME)
    story.issue("issue.collection_requested", 96.02, collection_id="c1", earliest_date=day)
    story.add("carrier.events", "collection.booked", 97, **from_carrier)
    story.issue("issue.collection_booked", 97.01, collection_id="c1")
    story.add("carrier.events", "collection.collected", 121, **from_carrier)
    story.issue("issue.collected", 121.01, collection_id="c1")
    story.add("warehouse.events", "item.received", 150, issue_id=ISSUE, lines=[LINE])
    story.issue("issue.item_received", 150.01, lines=[LINE])
    story.add("warehouse.events", "item.inspected", 155, issue_id=ISSUE, lines=[LINE])
    story.issue("issue.item_inspected", 155.01, lines=[LINE])


def _resolved(story: HistoryBuilder) -> None:
    value = {"amount": "1000", "currency": "JPY"}
    story.issue("issue.resolved", 155.1, remedy="replacement", fault="merchant", value=value, resolution=1)
    granted: dict[str, Any] = {
        "customer_id": "C1",
        "entry_id": "g1",
        "points": 350,
        "cause": f"issue:{ISSUE}:1",
        "issue_id": ISSUE,
    }
    story.add("loyalty", "points.granted", 155.2, **granted)


def databases() -> dict[str, DatabaseEvidence]:
    entry = {"customer_id": "C1", "kind": "grant", "cause": f"issue:{ISSUE}:1", "points": 350}
    entry |= {"lot_id": "g1", "from_account": "issued", "to_account": "pending"}
    held = dict.fromkeys(("available", "reserved", "spent", "expired", "debt"), 0) | {"issued": -350, "pending": 350}
    balance, lot = {"customer_id": "C1", **held}, {"lot_id": "g1", **held}
    return {
        "intake": DatabaseEvidence({"entitlements": [{**PIECE, "issue_id": ISSUE}]}),
        "returns": DatabaseEvidence(personal={"destinations": 1, "outbox": 0}),
        "delivery_notify": DatabaseEvidence(personal={"contacts": 1}),
        "loyalty": DatabaseEvidence({"entries": [entry], "balances": [balance], "lots": [lot], "orders": [ORDER_ROW]}),
    }


NEW_HOME = {**HOME, "street": "転居町8-8-0", "city": "転居区"}


def corrected(story: HistoryBuilder) -> HistoryBuilder:
    """The same history with another name, address and quantity from the day before the report, known everywhere."""
    change: dict[str, Any] = {"customer_id": "C1", "lines": [{**ORDER_LINE, "quantity": 2}], "ship_to": NEW_HOME}
    change |= {"contact": {"name": "改姓 一花 0"}, "changed_at": (START + timedelta(hours=50)).isoformat()}
    story = story.with_data("replacement.ordered", ship_to=NEW_HOME)
    story = story.with_data("collection.requested", collect_from=NEW_HOME)
    story = replace(story, facts=list(story.facts))
    story.add("storefront.orders", "order.changed", 50, order_id="S1", **change)
    rows: list[Row] = [{"order_id": "S1", "line_id": "L1", "quantity": 2}]
    story.databases = {
        service: DatabaseEvidence({**read.tables, "order_lines": rows}, read.personal)
        for service, read in story.databases.items()
    }
    return story


def corrected_history() -> HistoryBuilder:
    return corrected(valid_history())


def merged_history() -> HistoryBuilder:
    """A third valid history: the customer's account is merged after all, so that the points are in the other one."""
    story = valid_history()
    merged = {"customer_id": "C2", "merged_customer_id": "C1", "merged_at": START.isoformat()}
    story.add("storefront.customers", "customer.merged", 160, **merged)
    tables = story.databases["loyalty"].tables
    moved: dict[str, list[Row]] = {
        name: [{**row, "customer_id": "C2"} for row in tables[name]] for name in ("entries", "balances")
    }
    story.databases["loyalty"] = DatabaseEvidence({**tables, **moved})
    return story


def refund_history() -> HistoryBuilder:
    """A second valid history: a change of mind, collected, counted, refunded."""
    story = valid_history()
    kept = [fact for fact in story.facts if fact.type.startswith("order.") or fact.type == "issue.reported"]
    empty = {"customer_id": "C1", **dict.fromkeys(("issued", "pending", "available"), 0)}
    empty |= dict.fromkeys(("reserved", "spent", "expired", "debt"), 0)
    story = replace(
        story, facts=kept, ledger=[], databases={**databases(), "loyalty": DatabaseEvidence({"balances": [empty]})}
    )
    story.issue("issue.accepted", 72.01, reason="changed_mind", lines=[ISSUE_LINE])
    to_carrier: dict[str, Any] = {"issue_id": ISSUE, "order_id": "S1", "collection_id": "c1"}
    story.add("carrier.orders", "collection.requested", 72.02, **to_carrier, earliest_date="2026-03-06")
    story.issue("issue.collection_requested", 72.02, collection_id="c1", earliest_date="2026-03-06")
    story.add("warehouse.events", "item.received", 100, issue_id=ISSUE, lines=[LINE])
    story.issue("issue.item_received", 100.01, lines=[LINE])
    paid: dict[str, Any] = {"refund_id": "f1", "amount": {"amount": "1000", "currency": "JPY"}}
    story.add("payment.orders", "refund.requested", 100.02, issue_id=ISSUE, order_id="S1", customer_id="C1", **paid)
    story.issue("issue.refund_requested", 100.02, **paid)
    story.add("payment.events", "refund.completed", 101, issue_id=ISSUE, **paid)
    story.issue("issue.refunded", 101.01, **paid)
    value = {"amount": "1000", "currency": "JPY"}
    story.issue("issue.resolved", 101.1, remedy="refund", fault="customer", value=value, resolution=1)
    return story
