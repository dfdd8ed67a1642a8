"""Histories that break an invariant, each by one change to a valid history."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from deploy.verification.evidence import DatabaseEvidence
from tests.verification.histories import (
    HOME,
    ISSUE,
    ISSUE_LINE,
    LINE,
    ORDER_LINE,
    PERSON,
    PIECE,
    START,
    HistoryBuilder,
    corrected,
)

Tamper = Callable[[HistoryBuilder], HistoryBuilder]
OTHER = "00000000-0000-0000-0000-000000000002"
OTHER_TRACE = "00-99999999999999999999999999999999-2222222222222222-01"


def with_event(story: HistoryBuilder, topic: str, kind: str, hours: float, **data: Any) -> HistoryBuilder:
    changed = replace(story, facts=list(story.facts))
    changed.add(topic, kind, hours, **data)
    return changed


def in_database(service: str, table: str, row: dict[str, Any]) -> Tamper:
    def tamper(story: HistoryBuilder) -> HistoryBuilder:
        known = story.databases[service]
        changed = DatabaseEvidence({**known.tables, table: [*known.rows(table), row]}, known.personal)
        return replace(story, databases={**story.databases, service: changed})

    return tamper


def _second_box(story: HistoryBuilder) -> HistoryBuilder:
    box = {"lines": [LINE], "receipt_id": "gate-2", "received_at": START.isoformat()}
    return with_event(story, "warehouse.events", "item.received", 151, issue_id=ISSUE, **box)


def _box_without_papers(story: HistoryBuilder) -> HistoryBuilder:
    box = {"lines": [{"quantity": 1}], "receipt_id": "gate-3", "received_at": START.isoformat()}
    return with_event(story, "warehouse.events", "item.received", 151, **box)


def _kept_and_unseen(story: HistoryBuilder) -> HistoryBuilder:
    row = {"count_id": "gate-3", "matched_at": None, "units": 1, "received_at": START.isoformat()}
    return in_database("returns", "kept_counts", row)(_box_without_papers(story))


def _counted_for_another(**line: str) -> Tamper:
    """The box is for another customer, by its line."""

    def tamper(story: HistoryBuilder) -> HistoryBuilder:
        return story.with_data("item.received", lines=[{**LINE, **line}])

    return tamper


def _counted_for_another_replacement(story: HistoryBuilder) -> HistoryBuilder:
    story = with_event(story, "warehouse.orders", "replacement.ordered", 72.03, issue_id=OTHER, replacement_id="r9")
    return story.with_data("item.received", lines=[{**LINE, "replacement_id": "r9"}])


def _part(story: HistoryBuilder, **row: Any) -> HistoryBuilder:
    part = {"count_id": "gate-3/1", "from_issue": ISSUE, "units": 1, "received_at": START.isoformat(), **row}
    return in_database("returns", "kept_counts", part)(_box_without_papers(story))


def _kept_beside_its_case(story: HistoryBuilder) -> HistoryBuilder:
    story = _part(story, issue_id=OTHER, named_issues=[OTHER, ISSUE])
    return with_event(story, "anomalies", "anomaly.detected", 151.1, thing="count:gate-3/1", event_id="e-box")


def _paid_unasked(story: HistoryBuilder) -> HistoryBuilder:
    paid = {"refund_id": "nobodys", "amount": {"amount": "1000", "currency": "JPY"}, "completed_at": START.isoformat()}
    return with_event(story, "payment.events", "refund.completed", 151, issue_id=ISSUE, **paid)


def _merged_and_kept(story: HistoryBuilder) -> HistoryBuilder:
    merged = {"customer_id": "C2", "merged_customer_id": "C1", "merged_at": START.isoformat()}
    return with_event(story, "storefront.customers", "customer.merged", 160, **merged)


def _called_off(story: HistoryBuilder) -> HistoryBuilder:
    untouched = story.without("order.delivered").with_data("order.shipped", shipment_id="P1")
    off = {"order_id": "S1", "shipment_id": "P1", "called_off": True, "changed_at": START.isoformat()}
    return with_event(untouched, "storefront.orders", "shipment.changed", 30, **off)


def _reported_without_an_end(story: HistoryBuilder) -> HistoryBuilder:
    other = {"order_id": "S1", "reference": "R-2"}
    changed = with_event(story, "storefront.issues", "issue.submitted", 80, **other)
    return with_event(changed, "issues", "issue.reported", 81, issue_id=OTHER, **other)


def _entry(**change: Any) -> dict[str, Any]:
    entry = {"customer_id": "C1", "kind": "vest", "cause": "x", "lot_id": "g1", "points": 350}
    return {**entry, "from_account": "pending", "to_account": "available", **change}


def _balance(available: int, issued: int) -> dict[str, Any]:
    held = dict.fromkeys(("pending", "reserved", "spent", "expired", "debt"), 0)
    return {"customer_id": "C9", "lot_id": "g9", "issued": issued, "available": available, **held}


def _points_without_delivery(story: HistoryBuilder) -> HistoryBuilder:
    granted = {"customer_id": "C1", "entry_id": "g5", "points": 5, "cause": "order:S9:5", "order_id": "S9"}
    return with_event(story, "loyalty", "points.granted", 156, **granted)


def late_order(story: HistoryBuilder) -> HistoryBuilder:
    """The order ships three days late without a notice."""
    return story.rescheduled("order.shipped", 24 + 72)


def _announced_too_late(story: HistoryBuilder) -> HistoryBuilder:
    late = late_order(story)
    late = with_event(
        late, "storefront.orders", "order.promise_changed", 20, order_id="S1", promised_ship_date="2026-03-06"
    )
    late.notice("order_delayed", 60, promised_date="2026-03-06")
    return late


def _announced_twice(story: HistoryBuilder) -> HistoryBuilder:
    changed = replace(story, facts=list(story.facts))
    for hours in (20, 21):
        changed.notice("order_delayed", hours, promised_date="2026-03-06")
    return changed


def _announced_after_shipment(story: HistoryBuilder) -> HistoryBuilder:
    changed = replace(story, facts=list(story.facts))
    changed.notice("replacement_delayed", 97, issue_id=ISSUE, promised_date="2026-03-09")
    return changed


def _delay_without_notice(story: HistoryBuilder) -> HistoryBuilder:
    delay = {"replacement_id": "r1", "previous_ship_date": "2026-03-06", "ship_date": "2026-03-09", "version": 2}
    story = story.rescheduled("replacement.shipped", 190)
    return with_event(story, "issues", "issue.replacement_delayed", 74, issue_id=ISSUE, order_id="S1", **delay)


def _second_report(story: HistoryBuilder) -> HistoryBuilder:
    more = {"issue_id": OTHER, "order_id": "S1", "reason": "defective", "lines": [ISSUE_LINE]}
    return with_event(story, "issues", "issue.accepted", 90, **more)


def _reopened(story: HistoryBuilder) -> HistoryBuilder:
    return with_event(story, "issues", "issue.reopened", 200, issue_id=ISSUE, order_id="S1", resolution=1)


def _same_id_other_content(story: HistoryBuilder) -> HistoryBuilder:
    first = next(fact for fact in story.facts if fact.type == "parcel.delivered")
    other = replace(first, offset=999, value=first.value.replace(b'"r1"', b'"r2"'))
    return replace(story, facts=[*story.facts, other])


def _other_trace(story: HistoryBuilder) -> HistoryBuilder:
    facts = [
        replace(f, headers={"traceparent": OTHER_TRACE}) if f.type == "replacement.ordered" else f for f in story.facts
    ]
    return replace(story, facts=facts)


def _without_trace(story: HistoryBuilder) -> HistoryBuilder:
    return replace(
        story, facts=[replace(f, headers={}) if f.data.get("kind") == "issue_accepted" else f for f in story.facts]
    )


def _bookkeeping(service: str, personal: dict[str, int]) -> Tamper:
    def tamper(story: HistoryBuilder) -> HistoryBuilder:
        return replace(story, databases={**story.databases, service: DatabaseEvidence(personal=personal)})

    return tamper


def _more_than_had_arrived(story: HistoryBuilder) -> HistoryBuilder:
    """Two were bought and one was delivered; both are replaced, and the delivery of the replacements is no excuse."""
    two = {"quantity": 2}
    ordered = story.with_data("order.placed", lines=[{**ORDER_LINE, **two}])
    accepted = ordered.with_data("issue.accepted", lines=[{**ISSUE_LINE, **two}])
    return accepted.with_data("issue.replacement_delivered", lines=[{**LINE, **two}])


OLD_LINES = {"order_id": "S1", "line_id": "L1", "quantity": 1}
TIMER = {"aggregate": "cases", "key": ISSUE, "name": "next", "due_at": START}
TAMPERED: list[tuple[str, str, Tamper]] = [
    ("ship_first", "collection before the shipment", lambda s: s.rescheduled("collection.requested", 95)),
    (
        "ship_first",
        "collection requested too early",
        lambda s: s.with_data("collection.requested", earliest_date="2026-03-06"),
    ),
    ("ship_first", "never shipped", lambda s: s.without("replacement.shipped")),
    ("ship_first", "announced in the wrong order", lambda s: s.reordered(["issue.replacement_shipped"])),
    ("one_entitlement_per_unit", "a second report of the unit", _second_report),
    (
        "one_entitlement_per_unit",
        "more pieces than ordered",
        lambda s: s.with_data("issue.accepted", lines=[{**ISSUE_LINE, "quantity": 2}]),
    ),
    ("one_entitlement_per_unit", "more pieces than had arrived by then", _more_than_had_arrived),
    (
        "one_entitlement_per_unit",
        "two rows for one unit",
        in_database("intake", "entitlements", {**PIECE, "issue_id": OTHER}),
    ),
    ("nothing_lost", "a 202 without an issue", lambda s: s.without("issue.reported")),
    ("nothing_lost", "a partner event without effect", lambda s: s.without("issue.replacement_delivered")),
    (
        "nothing_lost",
        "accepted without a first action",
        lambda s: s.without("replacement.ordered", "collection.requested"),
    ),
    ("nothing_lost", "no points", lambda s: s.without("points.granted")),
    (
        "nothing_lost",
        "rows left in an outbox",
        in_database("returns", "outbox", {"id": 1, "topic": "issues", "key": ISSUE}),
    ),
    ("nothing_lost", "dead letters", in_database("returns", "dead_letters", {"topic": "issues", "reason": "failed"})),
    (
        "nothing_lost",
        "submitted, neither accepted nor rejected",
        lambda s: with_event(s, "storefront.issues", "issue.submitted", 80, order_id="S1", reference="R-2"),
    ),
    ("nothing_lost", "submitted, neither accepted nor rejected", _reported_without_an_end),
    ("nothing_twice", "two replacements", lambda s: s.repeated("replacement.ordered", replacement_id="r2")),
    ("nothing_twice", "two collections", lambda s: s.repeated("collection.requested", collection_id="c2")),
    ("nothing_twice", "two grants", lambda s: s.repeated("points.granted", entry_id="g2")),
    ("nothing_twice", "one notice sent twice", lambda s: s.repeated("notice.sent")),
    ("nothing_twice", "accepted twice", lambda s: s.repeated("issue.accepted")),
    ("nothing_twice", "one id, two contents", _same_id_other_content),
    ("nothing_twice", "one mail twice", lambda s: replace(s, mails=[*s.mails, s.mails[0]])),
    ("in_order_per_issue", "accepted before reported", lambda s: s.reordered(["issue.reported"])),
    ("in_order_per_issue", "delivered before shipped", lambda s: s.reordered(["issue.replacement_shipped"])),
    ("in_order_per_issue", "an old promise last", lambda s: s.repeated("issue.replacement_promised")),
    (
        "in_order_per_issue",
        "two partitions",
        lambda s: replace(s, facts=[replace(f, partition=1) if f.type == "issue.resolved" else f for f in s.facts]),
    ),
    ("no_silence", "an open issue without a timer", lambda s: s.without("issue.resolved")),
    (
        "no_silence",
        "a held report without a timer",
        lambda s: with_event(s, "issues", "issue.details_requested", 90, issue_id=OTHER, order_id="S1"),
    ),
    ("no_silence", "an unshipped order without a timer", lambda s: s.without("order.shipped", "order.delivered")),
    ("no_silence", "a deadline long past", in_database("returns", "timers", TIMER)),
    (
        "no_silence",
        "a notice that never leaves",
        in_database("delivery_notify", "notices", {"notice_id": "n", "status": "pending", "due_at": START}),
    ),
    ("free_of_charge", "not free", lambda s: s.with_data("replacement.ordered", free_of_charge=False)),
    ("free_of_charge", "a fee", lambda s: s.with_data("replacement.ordered", shipping_fee={"amount": "500"})),
    (
        "free_of_charge",
        "cash on delivery",
        lambda s: s.with_data("collection.requested", lines=[{"cash_on_delivery": 1}]),
    ),
    ("free_of_charge", "a charge", lambda s: with_event(s, "payment.orders", "card.charged", 80, issue_id=ISSUE)),
    ("notice_before_promise_breaks", "late without a notice", late_order),
    ("notice_before_promise_breaks", "announced the day after", _announced_too_late),
    ("notice_before_promise_breaks", "the same date announced twice", _announced_twice),
    ("notice_before_promise_breaks", "old news after the parcel left", _announced_after_shipment),
    ("notice_before_promise_breaks", "a delayed replacement without a notice", _delay_without_notice),
    ("points_once", "two grants", lambda s: s.repeated("points.granted", entry_id="g2")),
    ("points_once", "points before the resolution", lambda s: s.rescheduled("points.granted", 100)),
    ("points_once", "points without a resolution", lambda s: s.without("issue.resolved")),
    ("points_once", "reopened and kept", _reopened),
    ("points_once", "points without a delivery", _points_without_delivery),
    ("balances_equal_sums", "an entry that no balance shows", in_database("loyalty", "entries", _entry(points=1))),
    ("balances_equal_sums", "a balance that no entry made", in_database("loyalty", "balances", _balance(5, -5))),
    ("balances_equal_sums", "a lot that no entry made", in_database("loyalty", "lots", _balance(5, -5))),
    ("balances_equal_sums", "points out of nothing", in_database("loyalty", "balances", _balance(5, 0))),
    ("balances_equal_sums", "booked and not published", lambda s: s.without("points.granted")),
    ("balances_equal_sums", "published more than booked", lambda s: s.with_data("points.granted", points=351)),
    ("points_once", "published but not booked", lambda s: s.with_data("points.granted", cause="other")),
    ("one_trace", "a trace of its own", _other_trace),
    ("one_trace", "no trace", _without_trace),
    ("personal_data", "a name on issues", lambda s: s.with_data("issue.resolved", note=PERSON["name"])),
    ("personal_data", "a street on notices", lambda s: s.with_data("notice.sent", address=HOME["street"])),
    ("personal_data", "a mail address in a log", lambda s: replace(s, logs={"a.log": f"sent to {PERSON['email']}"})),
    ("personal_data", "a name in a log", lambda s: replace(s, logs={"a.log": f"sent to {PERSON['name']}"})),
    (
        "personal_data",
        "a corrected name on issues",
        lambda s: corrected(s).with_data("issue.resolved", note="改姓 一花 0"),
    ),
    (
        "corrections_count",
        "old lines in a service",
        lambda s: in_database("intake", "order_lines", OLD_LINES)(corrected(s)),
    ),
    (
        "corrections_count",
        "a replacement to the old door",
        lambda s: corrected(s).with_data("replacement.ordered", ship_to=HOME),
    ),
    (
        "corrections_count",
        "a visit to the old door",
        lambda s: corrected(s).with_data("collection.requested", collect_from=HOME),
    ),
    ("corrections_count", "points of a merged account", _merged_and_kept),
    ("no_silence", "a shipment called off without a timer", _called_off),
    ("delivery_counts_once", "units counted twice", in_database("intake", "delivered", {**OLD_LINES, "quantity": 2})),
    ("counted_goods", "the second of two boxes", _second_box),
    ("counted_goods", "a box without papers", _box_without_papers),
    ("counted_goods", "a kept box that is shown to nobody", _kept_and_unseen),
    ("counted_goods", "a part for an issue without a case, shown to nobody", lambda s: _part(s, issue_id=OTHER)),
    ("counted_goods", "a box that waits beside its case", _kept_beside_its_case),
    ("counted_goods", "units of another issue", _counted_for_another(issue_id=OTHER)),
    ("counted_goods", "units of another order", _counted_for_another(order_id="S2")),
    ("counted_goods", "units of a replacement of another issue", _counted_for_another_replacement),
    ("counted_money", "a payment that nobody asked for, unseen", _paid_unasked),
    ("personal_data", "people in intake", _bookkeeping("intake", {"order_contacts": 1, "issues": 1})),
    ("personal_data", "people in two tables", _bookkeeping("returns", {"order_snapshots": 1, "cases": 3})),
]
