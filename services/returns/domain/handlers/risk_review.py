"""Risk checks of a new case: the reasons why staff decide before anything leaves."""

from datetime import datetime, timedelta
from decimal import Decimal

from libs.common.events.values import Reason
from services.returns.domain.state.case import Case
from services.returns.domain.state.exposure import CustomerContext
from services.returns.domain.state.review_causes import ReviewCause
from services.returns.policy.policy import ReturnPolicy


def opening_review_causes(
    case: Case, customer: CustomerContext, policy: ReturnPolicy, now: datetime
) -> list[ReviewCause]:
    """Return the review causes of a new case; empty where no review is needed."""
    found = [ReviewCause.VALUE] if policy.needs_review(case.value) else []
    if not found and exceeds_exposure_cap(case, customer, policy):
        found.append(ReviewCause.EXPOSURE)
    exposure, signals = customer.exposure, policy.risk_signals
    since = now - timedelta(days=signals.reports_within_days)
    if sum(report >= since for report in exposure.recent_reports) >= signals.max_reports:
        found.append(ReviewCause.MANY_REPORTS)
    if len(exposure.mismatched_issues) > signals.max_mismatches:
        found.append(ReviewCause.EARLIER_MISMATCHES)
    if case.virtual_units and case.reason is Reason.CHANGED_MIND:
        found.append(ReviewCause.VIRTUAL_RETURN)
    if customer.other_customers_at_address >= signals.max_customers_per_address:
        found.append(ReviewCause.SHARED_ADDRESS)
    return found


def exceeds_exposure_cap(case: Case, customer: CustomerContext, policy: ReturnPolicy) -> bool:
    """Return whether this case would raise the customer's exposure above the cap."""
    cap = policy.exposure_caps.get(case.currency)
    if cap is None or not case.plan.sends_value_first:
        return False
    exposure = customer.exposure
    purchases = customer.purchases.get(case.currency, Decimal(0)) - exposure.refunded_in(case.currency)
    return exposure.exposure_in(case.currency) + case.value.amount > cap.limit_for(purchases)
