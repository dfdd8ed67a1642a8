"""Reports of customers, drawn from a seed per order, so that one order's reports do not depend on other orders."""

import io
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from PIL import Image

from deploy.demo.data.orders import ReplayedLine, ReplayedOrder
from libs.common.decisions.ids import derived_id
from libs.common.events.issues import IssueReplacementDelivered
from libs.common.events.values import PartQuantity, Reason, Remedy, ReportedLine

REASON_WEIGHTS: dict[Reason, float] = {
    Reason.DEFECTIVE: 30,
    Reason.DAMAGED_IN_TRANSIT: 22,
    Reason.MISSING_PART: 12,
    Reason.MISSING_ITEM: 8,
    Reason.WRONG_ITEM: 12,
    Reason.CHANGED_MIND: 16,
}
BAD_LOTS = {"KTL-01-B": 0.9}
"""Defective lots, and the share of their buyers who report a defect."""

KIT_SHARE = 0.5
"""The share of delivered kits of which a part is missing."""

RESEND_DELAY = timedelta(minutes=1)
PARTS = ("蓋 / lid", "ねじ / screws", "説明書 / manual", "取っ手 / handle")


class ReportChannel(StrEnum):
    HTTP = "http"
    KAFKA = "kafka"


class ReportVariant(StrEnum):
    """Variants of a report: mistakes of a client (those from `REPORTED_AGAIN` to `UNKNOWN_ORDER` must be refused),
    another line of the same order, a defective replacement.
    """

    NONE = "none"
    SENT_TWICE = "sent_twice"
    REPORTED_AGAIN = "reported_again"
    FOREIGN_CUSTOMER = "foreign_customer"
    UNKNOWN_ORDER = "unknown_order"
    OTHER_LINE = "other_line"
    DEFECTIVE_REPLACEMENT = "defective_replacement"


VARIANT_WEIGHTS = {
    ReportVariant.NONE: 82,
    ReportVariant.SENT_TWICE: 7,
    ReportVariant.REPORTED_AGAIN: 5,
    ReportVariant.FOREIGN_CUSTOMER: 3,
    ReportVariant.UNKNOWN_ORDER: 3,
}
OTHER_LINE_SHARE, DEFECTIVE_REPLACEMENT_SHARE = 0.5, 0.08


@dataclass(frozen=True, slots=True)
class CustomerReport:
    """`key` is the storefront's number: the `reference`, and the source of the idempotency key and the event id."""

    key: str
    at: datetime
    order_id: str
    customer_id: str
    reason: Reason
    lines: tuple[ReportedLine, ...]
    requested_remedy: Remedy | None
    channel: ReportChannel
    photo: bool
    variant: ReportVariant = ReportVariant.NONE

    @property
    def reported_at(self) -> datetime:
        """The time in the event: equal for repeats of the same report."""
        return self.at - RESEND_DELAY if self.variant is ReportVariant.SENT_TWICE else self.at


def reports(orders: Sequence[ReplayedOrder], seed: int, share: float) -> list[CustomerReport]:
    """Reports about these orders, earliest first; `share` is the share of delivered orders with a report."""
    all_reports: list[CustomerReport] = []
    for order in orders:
        of_order = list(_reports_of(order, seed, share))
        all_reports += [*of_order, *_kit_reports(order, of_order, seed)]
    return sorted(all_reports, key=lambda report: report.at)


def _reports_of(order: ReplayedOrder, seed: int, share: float) -> Iterable[CustomerReport]:
    rng = random.Random(f"{seed}:report:{order.order_id}")
    if order.shipped_at and not order.delivered_at and not order.cancelled_at:
        at = order.shipped_at + timedelta(days=12, hours=rng.randint(0, 12))
        yield _report(order, rng, at, Reason.LOST_IN_TRANSIT)
    elif order.delivered_at and (bad := _bad_line(order, rng)):
        at = order.delivered_at + timedelta(hours=rng.uniform(2, 48))
        yield replace(_report(replace(order, lines=(bad,)), rng, at, Reason.DEFECTIVE), photo=True)
    elif order.delivered_at and rng.random() < share:
        at = order.delivered_at + timedelta(hours=rng.uniform(2, 120))
        first = _report(order, rng, at, rng.choices(list(REASON_WEIGHTS), list(REASON_WEIGHTS.values()))[0])
        yield first
        yield from _variants(first, rng)
        yield from _other_line(order, first, seed)


def _bad_line(order: ReplayedOrder, rng: random.Random) -> ReplayedLine | None:
    """The line of a defective lot, where its buyer notices; draws nothing for other orders."""
    bad = [line for line in order.lines if line.lot in BAD_LOTS]
    return bad[0] if bad and rng.random() < BAD_LOTS[bad[0].lot or ""] else None


def _report(order: ReplayedOrder, rng: random.Random, at: datetime, reason: Reason) -> CustomerReport:
    lost = reason is Reason.LOST_IN_TRANSIT
    line = rng.choice(order.lines)
    reported = order.lines if lost else (line,)
    requested_remedy = Remedy.REFUND if reason is Reason.CHANGED_MIND or rng.random() < 0.08 else None
    return CustomerReport(
        key=f"R-{order.order_id}",
        at=at.astimezone(UTC),
        order_id=order.order_id,
        customer_id=order.customer.customer_id,
        reason=reason,
        lines=tuple(_line(each, reason, rng, whole=lost) for each in reported),
        requested_remedy=None if reason is Reason.MISSING_PART else requested_remedy,
        channel=ReportChannel.KAFKA if rng.random() < 0.2 else ReportChannel.HTTP,
        photo=reason in (Reason.DEFECTIVE, Reason.DAMAGED_IN_TRANSIT) and rng.random() < 0.5,
    )


def _line(line: ReplayedLine, reason: Reason, rng: random.Random, *, whole: bool) -> ReportedLine:
    quantity = line.quantity if whole else rng.randint(1, line.quantity)
    part = rng.choice(PARTS) if reason is Reason.MISSING_PART else None
    return ReportedLine(line_id=line.line_id, quantity=quantity, part=part)


def _kit_reports(order: ReplayedOrder, others: Sequence[CustomerReport], seed: int) -> Iterable[CustomerReport]:
    """The report of a part that is missing in a kit, unless the order has another report about that kit."""
    kit = next((line for line in order.lines if line.parts), None)
    rng = random.Random(f"{seed}:kit:{order.order_id}")
    if kit is None or order.delivered_at is None or rng.random() >= KIT_SHARE:
        return
    if kit.line_id in {line.line_id for report in others for line in report.lines}:
        return
    part = rng.choice(kit.parts)
    missing = PartQuantity(sku=part.sku, quantity=rng.randint(1, part.quantity))
    at = order.delivered_at + timedelta(hours=rng.uniform(3, 60))
    yield CustomerReport(
        key=f"R-{order.order_id}-kit",
        at=at.astimezone(UTC),
        order_id=order.order_id,
        customer_id=order.customer.customer_id,
        reason=Reason.MISSING_PART,
        lines=(ReportedLine(line_id=kit.line_id, quantity=1, parts=(missing,)),),
        requested_remedy=None,
        channel=ReportChannel.HTTP,
        photo=False,
    )


def _variants(report: CustomerReport, rng: random.Random) -> Iterable[CustomerReport]:
    """Some reports are followed by a repeat, a second report of the same units, or one with a wrong customer or
    order."""
    variant = rng.choices(list(VARIANT_WEIGHTS), list(VARIANT_WEIGHTS.values()))[0]
    later = report.at + timedelta(hours=rng.uniform(1, 30))
    if variant is ReportVariant.SENT_TWICE:
        yield replace(report, at=report.at + RESEND_DELAY, variant=variant)
    elif variant is ReportVariant.REPORTED_AGAIN:
        yield replace(report, at=later, key=f"{report.key}-again", variant=variant)
    elif variant is ReportVariant.FOREIGN_CUSTOMER:
        yield replace(report, at=later, key=f"{report.key}-foreign", customer_id="C-somebody-else", variant=variant)
    elif variant is ReportVariant.UNKNOWN_ORDER:
        yield replace(report, at=later, key=f"{report.key}-unknown", order_id=f"X{report.order_id}", variant=variant)


def _other_line(order: ReplayedOrder, first: CustomerReport, seed: int) -> Iterable[CustomerReport]:
    """Half of the customers with several lines report another of them too."""
    rng = random.Random(f"{seed}:other-line:{order.order_id}")
    others = [line for line in order.lines if line.line_id not in {each.line_id for each in first.lines}]
    if others and first.reason is not Reason.CHANGED_MIND and rng.random() < OTHER_LINE_SHARE:
        at = first.at + timedelta(hours=rng.uniform(0.5, 12))
        report = _report(replace(order, lines=(rng.choice(others),)), rng, at, Reason.DEFECTIVE)
        yield replace(
            report, key=f"{first.key}-other", photo=True, requested_remedy=None, variant=ReportVariant.OTHER_LINE
        )


def report_of_replacement(arrived: IssueReplacementDelivered, seed: int) -> CustomerReport | None:
    """A few replacements are defective and reported within days."""
    rng = random.Random(f"{seed}:defective-replacement:{arrived.issue_id}")
    if not arrived.lines or rng.random() >= DEFECTIVE_REPLACEMENT_SHARE:
        return None
    return CustomerReport(
        key=f"R-{arrived.order_id}-{arrived.issue_id.hex[:6]}-too",
        at=arrived.delivered_at + timedelta(hours=rng.uniform(14, 60)),
        order_id=arrived.order_id,
        customer_id=arrived.customer_id,
        reason=Reason.DEFECTIVE,
        lines=tuple(ReportedLine(line_id=line.line_id, quantity=line.quantity) for line in arrived.lines),
        requested_remedy=None,
        channel=ReportChannel.HTTP,
        photo=True,
        variant=ReportVariant.DEFECTIVE_REPLACEMENT,
    )


def trace_headers(report: CustomerReport) -> dict[str, str]:
    """A trace context of the storefront, so that the trace of a report begins at its submission."""
    number = derived_id("trace", report.key).hex
    return {"traceparent": f"00-{number}-{number[:16]}-01"}


def photo(key: str) -> bytes:
    """A small JPEG of one colour."""
    colour = tuple(derived_id("photo", key).bytes[:3])
    buffer = io.BytesIO()
    Image.new("RGB", (320, 240), colour).save(buffer, "JPEG")
    return buffer.getvalue()
