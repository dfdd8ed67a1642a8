"""Policy simulation: outcomes, costs and dates of recorded reports under another policy.

Each report is planned twice by the function that opens real cases: under its own version and under the new one. Costs
are at the price of the goods: the value given without a return.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from libs.common.decisions.calendars import Calendars
from libs.common.events.issues import IssueAccepted
from services.returns.domain.handlers.case_opening import open_case
from services.returns.domain.state.case import Case
from services.returns.policy.movements import CollectOn, RefundOn, ShipOn
from services.returns.policy.policy import ReturnPolicy
from services.returns.policy.policy_versions import ReturnPolicies


@dataclass(frozen=True, slots=True)
class SimulatedOutcome:
    """Outcome of a report under a policy. `first_date` is the first date the customer is given."""

    remedy: str
    order: str
    collected: str
    in_review: bool
    first_date: date | None
    given: Decimal
    cost: Decimal
    currency: str


@dataclass(frozen=True, slots=True)
class OutcomeDifference:
    """Outcomes of one report under its own policy version and under the new one."""

    issue_id: str
    reason: str
    policy_version: str
    before: SimulatedOutcome
    after: SimulatedOutcome

    @property
    def changes(self) -> Mapping[str, tuple[Any, Any]]:
        """Return the values that differ, by their names."""
        before, after = asdict(self.before), asdict(self.after)
        return {name: (before[name], after[name]) for name in before if before[name] != after[name]}


@dataclass(frozen=True, slots=True)
class RecordedReport:
    """Accepted report; without a `policy_version` it is planned under the one in force on its day."""

    report: IssueAccepted
    policy_version: str | None = None


def simulate_report(report: IssueAccepted, policy: ReturnPolicy, calendars: Calendars) -> SimulatedOutcome:
    """Return the outcome of a report under a policy."""
    case = open_case(report, policy)
    value, in_review = case.value, policy.needs_review(case.value)
    is_kept = case.plan.collect_on is CollectOn.NEVER
    return SimulatedOutcome(
        remedy=case.plan.remedy.value,
        order=_order(case),
        collected=case.plan.collect_on.value,
        in_review=in_review,
        first_date=_first_date(report, case, policy, calendars, in_review=in_review),
        given=value.amount,
        cost=value.amount if is_kept else Decimal(0),
        currency=value.currency,
    )


def _order(case: Case) -> str:
    if case.plan.ship_on is ShipOn.ACCEPTED:
        return "ship first"
    if case.plan.refund_on is RefundOn.ACCEPTED:
        return "refund first"
    return "after receipt"


def _first_date(
    report: IssueAccepted, case: Case, policy: ReturnPolicy, calendars: Calendars, *, in_review: bool
) -> date | None:
    day, limits = calendars.shop.day(report.accepted_at), policy.limits
    if in_review:
        return calendars.shop.add_open_days(day, limits.review_open_days)
    if case.plan.ship_on is not ShipOn.ACCEPTED:
        return None
    return calendars.warehouse(case.warehouse).add_open_days(day, limits.promise_open_days)


def compare_policies(
    reports: Iterable[RecordedReport], current: ReturnPolicies, new: ReturnPolicy, calendars: Calendars
) -> Iterator[OutcomeDifference]:
    """Return the outcomes of each report under the current and the new policy."""
    for recorded in reports:
        report, version = recorded.report, recorded.policy_version
        day = calendars.shop.day(report.accepted_at)
        old = current.for_version(version, day) if version else current.in_force(day)
        before, after = simulate_report(report, old, calendars), simulate_report(report, new, calendars)
        yield OutcomeDifference(str(report.issue_id), report.reason.value, old.version, before, after)


def summarize(differences: list[OutcomeDifference]) -> dict[str, Any]:
    """Return totals by currency and every report with a changed outcome, as a JSON document."""
    changed = [each for each in differences if each.changes]
    costs: dict[str, dict[str, Decimal]] = {}
    for each in differences:
        cost = costs.setdefault(each.before.currency, {"before": Decimal(0), "after": Decimal(0)})
        cost["before"] += each.before.cost
        cost["after"] += each.after.cost
    return {
        "reports": len(differences),
        "changed": len(changed),
        "cost": {currency: {when: str(total) for when, total in cost.items()} for currency, cost in costs.items()},
        "differences": [_difference_document(each) for each in changed],
    }


def _difference_document(difference: OutcomeDifference) -> dict[str, Any]:
    return {
        "issue_id": difference.issue_id,
        "reason": difference.reason,
        "policy_version": difference.policy_version,
        **{name: [_json_value(value) for value in values] for name, values in difference.changes.items()},
    }


def _json_value(value: object) -> object:
    return value if isinstance(value, bool) or value is None else str(value)
