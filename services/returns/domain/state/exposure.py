"""Exposure ledger: the value that is with a customer and not yet back, and the customer's history.

The shop carries the risk of shipping first instead of asking for a card or a deposit, so it tracks that risk per
customer. The ledger row is locked together with the customer's cases: two cases decided at once see each other.
"""

from collections.abc import Iterable, Mapping
from dataclasses import field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar
from uuid import UUID

from libs.common.decisions.fast_dataclass import dataclass
from libs.common.decisions.fast_replace import replace
from libs.common.events.registry import AnyEvent
from libs.common.events.values import Address
from services.returns.domain.state.case import ZERO, Case
from services.returns.domain.state.line_quantities import add_counts, common_counts, missing
from services.returns.domain.state.order_ledger import NOTHING_BACK, OrderLedger, PaidBack
from services.returns.policy.movements import CollectOn

T = TypeVar("T")

MAX_RECENT_REPORTS = 50
Amounts = Mapping[str, Decimal]
"""Amounts by currency."""


@dataclass(frozen=True, slots=True)
class CourierVisit:
    """Visit of a courier to one address on one day, for one issue."""

    visit_id: UUID
    address_hash: str
    day: date


@dataclass(frozen=True, slots=True)
class OutstandingAmount:
    amount: Decimal
    currency: str


@dataclass(frozen=True, slots=True)
class RefundedAmount:
    """Refunds of one case: its order, and the units and amounts that went back."""

    amount: Decimal
    currency: str
    order_id: str = ""
    back: PaidBack = NOTHING_BACK


@dataclass(frozen=True)
class CustomerExposure:
    """Exposure and history of one customer.

    `outstanding`, `visits` and `refunded` are by issue id; `recent_reports` are acceptance times; counts never fall.
    """

    outstanding: Mapping[str, OutstandingAmount] = field(default_factory=dict)
    visits: Mapping[str, CourierVisit] = field(default_factory=dict)
    recent_reports: tuple[datetime, ...] = ()
    mismatched_issues: tuple[str, ...] = ()
    refunded: Mapping[str, RefundedAmount] = field(default_factory=dict)

    def exposure_in(self, currency: str) -> Decimal:
        return _total(self.outstanding, currency)

    def refunded_in(self, currency: str) -> Decimal:
        return _total(self.refunded, currency)


def _total(amounts: Mapping[str, OutstandingAmount] | Mapping[str, RefundedAmount], currency: str) -> Decimal:
    return sum((each.amount for each in amounts.values() if each.currency == currency), Decimal(0))


@dataclass(frozen=True)
class CustomerContext:
    """Customer data of a decision, beside the case itself.

    `address_hash` is a keyed hash of `ship_to`; `former_address_hashes` are its hashes under older keys;
    `address_version` counts the corrections of address and telephone. `purchases` are the delivered orders' totals.
    `has_follow_up_issue`: a later issue may be about this case's replacement.
    """

    ship_to: Address | None = None
    exposure: CustomerExposure = field(default_factory=CustomerExposure)
    address_hash: str | None = None
    address_version: int = 0
    former_address_hashes: tuple[str, ...] = ()
    purchases: Amounts = field(default_factory=dict)
    other_customers_at_address: int = 0
    has_follow_up_issue: bool = False
    order: OrderLedger | None = None
    kept_counts: Mapping[str, Any] = field(default_factory=dict)
    """Kept counts (`KeptCount`) that this decision may take, by id."""
    early_events: Mapping[str, AnyEvent] = field(default_factory=dict)
    """Events kept for this case that are due now, by key."""
    parcel_owners: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Customers of the cases that a tracking number of this batch belongs to, by plain number and issue id."""


UNKNOWN_CUSTOMER = CustomerContext()


def has_follow_up_issue(case: Case, others: Iterable[Case]) -> bool:
    """Return whether another case of the order may be about a replacement of this one.

    Units of one line are interchangeable, and only intake tracks which unit a report is about. Therefore every later
    case counts that reports a line of which a replacement had been delivered by then.
    """
    delivered = [parcel for leg in case.replacements for parcel in leg.parcels if parcel.delivered_at]
    later = [other for other in others if other.issue_id != case.issue_id and not other.cancelled_at]
    return any(
        parcel.delivered_at
        and parcel.delivered_at <= other.accepted_at
        and common_counts(parcel.counts, other.reported_units)
        for parcel in delivered
        for other in later
    )


def exposure_of(case: Case) -> Decimal:
    """Return the value that the customer holds because of this case and has not returned."""
    if case.resolved_at or case.inbound.is_waived or case.plan.collect_on is CollectOn.NEVER:
        return ZERO
    returnable = case.returnable_units
    given = add_counts(case.sent_units, case.money.requested_units)
    given = {line: count for line, count in given.items() if line in returnable}
    return case.value_of(missing(given, case.inbound.returned_as_reported)) if given else ZERO


def record_case(exposure: CustomerExposure, case: Case, is_new: bool, address_hash: str | None) -> CustomerExposure:
    """Return the exposure after a change of this case; the same object where nothing changed."""
    key = str(case.issue_id)
    changes: dict[str, Any] = {}
    amount, before = exposure_of(case), exposure.outstanding.get(key)
    if amount != (before.amount if before else ZERO):
        entry = OutstandingAmount(amount, case.currency) if amount else None
        changes["outstanding"] = _with_entry(exposure.outstanding, key, entry)
    back, refunded = case.paid_back, exposure.refunded.get(key)
    if back != (refunded.back if refunded else NOTHING_BACK):
        entry_back = RefundedAmount(back.amount, case.currency, case.order_id, back)
        changes["refunded"] = _with_entry(exposure.refunded, key, entry_back)
    visit = _visit(case, address_hash)
    if visit != exposure.visits.get(key):
        changes["visits"] = _with_entry(exposure.visits, key, visit)
    if is_new:
        changes["recent_reports"] = (*exposure.recent_reports, case.accepted_at)[-MAX_RECENT_REPORTS:]
    if case.inbound.has_mismatch and key not in exposure.mismatched_issues:
        changes["mismatched_issues"] = (*exposure.mismatched_issues, key)
    return replace(exposure, **changes) if changes else exposure


def merge_exposures(remaining: CustomerExposure, former: CustomerExposure) -> CustomerExposure:
    """Return the exposure of two accounts of one customer. Both name different issues."""
    return CustomerExposure(
        {**former.outstanding, **remaining.outstanding},
        {**former.visits, **remaining.visits},
        tuple(sorted((*former.recent_reports, *remaining.recent_reports)))[-MAX_RECENT_REPORTS:],
        tuple(dict.fromkeys((*former.mismatched_issues, *remaining.mismatched_issues))),
        {**former.refunded, **remaining.refunded},
    )


def _with_entry(entries: Mapping[str, T], key: str, entry: T | None) -> Mapping[str, T]:
    """Return the entries with that of `key` replaced, as the last one, or removed."""
    others = {issue: each for issue, each in entries.items() if issue != key}
    return others if entry is None else {**others, key: entry}


def _visit(case: Case, address_hash: str | None) -> CourierVisit | None:
    """Return the courier visit that this case has requested or booked."""
    leg = case.inbound
    day = leg.window_day or leg.earliest_date
    if not leg.is_pending or case.is_closed or not (address_hash and leg.visit_id and day):
        return None
    return CourierVisit(leg.visit_id, address_hash, day)


def find_shared_visit(customer: CustomerContext, case: Case, earliest: date, within_days: int) -> CourierVisit | None:
    """Return the first other visit to the same address in these days that can take this collection along."""
    if customer.address_hash is None:
        return None
    fitting = [
        visit
        for issue, visit in customer.exposure.visits.items()
        if issue != str(case.issue_id)
        and visit.address_hash in (customer.address_hash, *customer.former_address_hashes)
        and earliest <= visit.day <= earliest + timedelta(days=within_days)
    ]
    return min(fitting, key=lambda visit: (visit.day, str(visit.visit_id)), default=None)
