"""What is out with one customer and not yet back, and what is known of how it went before.

The exposure ledger: instead of a card or a deposit, the shop carries the risk and knows how much of it there is, per
customer. It is kept beside the cases in a row of its own, which is locked with them, so that two cases of one customer
that are decided at once see each other. What the customer bought comes from the orders. Pure data and pure questions.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar
from uuid import UUID

from libs.common.decisions.fast_replace import replace
from libs.common.events.values import Address
from services.returns.domain.case import NOTHING, Case
from services.returns.domain.line_quantities import added, missing
from services.returns.domain.review_causes import ReviewCause
from services.returns.policy.policy import CollectOn, Policy

T = TypeVar("T")

KEPT_REPORTS = 50
Amounts = Mapping[str, Decimal]
"""By currency."""


@dataclass(frozen=True, slots=True)
class Visit:
    """A courier who is to come to one door of this customer on that day, for one issue."""

    visit_id: UUID
    place: str
    day: date


@dataclass(frozen=True, slots=True)
class Out:
    amount: Decimal
    currency: str


@dataclass(frozen=True)
class Customer:
    """`out` and `visits` by issue id; `reports` when the last ones were accepted; the counts never go down."""

    out: Mapping[str, Out] = field(default_factory=dict)
    visits: Mapping[str, Visit] = field(default_factory=dict)
    reports: tuple[datetime, ...] = ()
    mismatched: tuple[str, ...] = ()
    refunded: Mapping[str, Out] = field(default_factory=dict)

    def exposed(self, currency: str) -> Decimal:
        return sum((out.amount for out in self.out.values() if out.currency == currency), Decimal(0))

    def paid_back(self, currency: str) -> Decimal:
        return sum((back.amount for back in self.refunded.values() if back.currency == currency), Decimal(0))


@dataclass(frozen=True)
class Around:
    """What a decision needs to know besides the case: where the customer lives, and what is known of them.

    `place` is a keyed hash of that address, `also_place` what else its hash may be while the key is changed; `bought`
    what they were delivered, by currency; `neighbours` how many other customers have that address; `reported_anew`
    whether what the case had sent may be what a later one is about.
    """

    ship_to: Address | None = None
    customer: Customer = field(default_factory=Customer)
    place: str | None = None
    also_place: tuple[str, ...] = ()
    bought: Amounts = field(default_factory=dict)
    neighbours: int = 0
    reported_anew: bool = False


NOWHERE = Around()


def exposed(case: Case) -> Decimal:
    """The value that is with the customer because of this case, and of which nothing has come back yet."""
    if case.resolved_at or case.inbound.is_waived or case.plan.collect_on is CollectOn.NEVER:
        return NOTHING
    given = added(case.sent, case.money.asked)
    return case.worth(missing(given, case.inbound.as_reported)) if given else NOTHING


def entered(customer: Customer, case: Case, is_new: bool, place: str | None) -> Customer:
    """The ledger with what has become of this case; the same object where nothing has."""
    key = str(case.issue_id)
    changes: dict[str, Any] = {}
    for name, known, amount in (
        ("out", customer.out, exposed(case)),
        ("refunded", customer.refunded, case.worth(case.money.asked)),
    ):
        before = known.get(key)
        if amount != (before.amount if before else NOTHING):
            changes[name] = _with(known, key, Out(amount, case.currency) if amount else None)
    visit = _visit(case, place)
    if visit != customer.visits.get(key):
        changes["visits"] = _with(customer.visits, key, visit)
    if is_new:
        changes["reports"] = (*customer.reports, case.accepted_at)[-KEPT_REPORTS:]
    if case.inbound.has_mismatch and key not in customer.mismatched:
        changes["mismatched"] = (*customer.mismatched, key)
    return replace(customer, **changes) if changes else customer


def _with(known: Mapping[str, T], key: str, now: T | None) -> Mapping[str, T]:
    """These with what is so now of this issue, as the last of them; without it where there is nothing."""
    others = {issue: each for issue, each in known.items() if issue != key}
    return others if now is None else {**others, key: now}


def _visit(case: Case, place: str | None) -> Visit | None:
    """When somebody comes to this customer's door for the case; None where nobody does."""
    leg = case.inbound
    day = leg.window_day or leg.earliest
    if not leg.is_coming or case.is_closed or not (place and leg.visit_id and day):
        return None
    return Visit(leg.visit_id, place, day)


def concerns(case: Case, around: Around, policy: Policy, now: datetime) -> list[ReviewCause]:
    """Why a human should look at this case before anything leaves; empty where nobody need."""
    found = [ReviewCause.VALUE] if policy.needs_a_human(case.value) else []
    if not found and is_over_the_cap(case, around, policy):
        found.append(ReviewCause.EXPOSURE)
    customer, signals = around.customer, policy.signals
    since = now - timedelta(days=signals.reports_within_days)
    if sum(report >= since for report in customer.reports) >= signals.max_reports:
        found.append(ReviewCause.MANY_REPORTS)
    if len(customer.mismatched) > signals.max_mismatches:
        found.append(ReviewCause.EARLIER_MISMATCHES)
    if around.neighbours >= signals.max_customers_per_address:
        found.append(ReviewCause.SHARED_ADDRESS)
    return found


def is_over_the_cap(case: Case, around: Around, policy: Policy) -> bool:
    """Whether sending this too would put more with the customer than their own history carries."""
    cap = policy.exposure.get(case.currency)
    if cap is None or not case.plan.is_at_risk:
        return False
    bought = around.bought.get(case.currency, Decimal(0)) - around.customer.paid_back(case.currency)
    return around.customer.exposed(case.currency) + case.value.amount > cap.of(bought)


def shared_visit(around: Around, case: Case, earliest: date, within: int) -> Visit | None:
    """Another visit at the same door, on that day or some days later, that can take this along."""
    if around.place is None:
        return None
    fitting = [
        visit
        for issue, visit in around.customer.visits.items()
        if issue != str(case.issue_id)
        and visit.place in (around.place, *around.also_place)
        and earliest <= visit.day <= earliest + timedelta(days=within)
    ]
    return min(fitting, key=lambda visit: (visit.day, str(visit.visit_id)), default=None)
