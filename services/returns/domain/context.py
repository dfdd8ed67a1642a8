"""Decision context of a case: what handlers read, change and emit during one call of `decide`."""

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

from libs.common.decisions.calendars import Calendars
from libs.common.decisions.context import DecisionContext, timer_changes
from libs.common.decisions.facts import Anomaly
from libs.common.decisions.fast_replace import replace
from libs.common.decisions.shop_calendar import ShopCalendar
from libs.common.events.issues import IssueReviewRequested
from libs.common.events.values import Address, Remedy
from services.returns.domain.state.case import Case, RemedyPlan
from services.returns.domain.state.exposure import CustomerContext
from services.returns.domain.state.review_causes import CaseReview, ReviewCause
from services.returns.policy.movements import CollectOn
from services.returns.policy.policy import CollectionPolicy, PolicyLimits, ReturnPolicy
from services.returns.policy.policy_versions import ReturnPolicies
from services.returns.policy.reason_rules import ReasonRule


class CaseState(NamedTuple):
    """State of one issue: its case (none before it is accepted) and the context of its customer.

    A named tuple, because every decision makes one and a frozen dataclass takes three times as long to make.
    """

    case: Case | None
    customer: CustomerContext


@dataclass(frozen=True, slots=True)
class CaseRules:
    """Inputs that all decisions share: the policy versions and the calendars of the parties."""

    policies: ReturnPolicies
    calendars: Calendars

    @property
    def calendar(self) -> ShopCalendar:
        return self.calendars.shop

    def in_force(self, now: datetime) -> ReturnPolicy:
        """Return the policy version for new cases."""
        return self.policies.in_force(self.calendar.day(now))


@dataclass(slots=True)
class CaseDecision(DecisionContext[Case, CaseRules]):
    """Decision about one case. `event_time` is the time in the event's envelope."""

    customer: CustomerContext = field(kw_only=True)
    event_time: datetime = field(kw_only=True)
    today: date = field(init=False)
    policy: ReturnPolicy = field(init=False)
    """The version that this case was accepted under."""

    def __post_init__(self) -> None:
        self.today = self.rules.calendar.day(self.now)
        self.policy = self.rules.policies.for_version(self.state.policy_version, self.today)

    @property
    def case(self) -> Case:
        return self.state

    @property
    def reason_rule(self) -> ReasonRule:
        return self.policy.rule(self.state.reason, self.state.report_attributes)

    @property
    def limits(self) -> PolicyLimits:
        return self.policy.limits

    @property
    def collection_policy(self) -> CollectionPolicy:
        return self.policy.collection

    @property
    def ship_to(self) -> Address | None:
        return self.customer.ship_to

    @property
    def calendar(self) -> ShopCalendar:
        """The shop's calendar: for answers, decisions and local times."""
        return self.rules.calendars.shop

    @property
    def warehouse(self) -> ShopCalendar:
        """The calendar of ship dates: that of the warehouse of the reported lines."""
        return self.rules.calendars.warehouse(self.state.warehouse)

    @property
    def carrier(self) -> ShopCalendar:
        """The calendar of deliveries and collections."""
        return self.rules.calendars.carrier()

    @property
    def effective_time(self) -> datetime:
        """Return the event's own time; a partner clock that runs ahead counts as now."""
        return min(self.event_time, self.now)

    @property
    def ids(self) -> dict[str, Any]:
        """Return the identifiers that every event about this issue, and every order to a partner, carries."""
        return self.state.ids

    def anomaly(self, reason: str, detail: str = "") -> None:
        """Record an anomaly of this case, which a review or `issue.anomaly_detected` shows to staff."""
        self.emit(Anomaly(reason, detail or f"issue {self.state.issue_id}", is_shown=True))

    def switch_remedy(self, remedy: Remedy) -> None:
        """Plan for another remedy of the same reason rule."""
        self.change(plan=RemedyPlan.from_movements(remedy, self.reason_rule.remedies[remedy], self.state.lines))

    def require_return(self, after: CollectOn) -> None:
        """Plan a collection for a case that had none."""
        self.change(plan=replace(self.state.plan, collect_on=after))

    def change_outbound(self, **changes: Any) -> None:
        self.state = replace(self.state, outbound=replace(self.state.outbound, **changes))

    def change_inbound(self, **changes: Any) -> None:
        self.state = replace(self.state, inbound=replace(self.state.inbound, **changes))

    def after(self, *, hours: int = 0, days: int = 0) -> datetime:
        return self.now + timedelta(days=days, hours=hours)

    def after_open(self, hours: int) -> datetime:
        """Return the time at which this many open hours of the shop have passed."""
        return self.rules.calendars.shop_hours.after(self.now, timedelta(hours=hours))

    def review_deadline(self) -> datetime:
        """Return the time, announced to the customer, by which staff decide."""
        day = self.calendar.add_open_days(self.today, self.limits.review_open_days)
        return self.calendar.moment(day, self.limits.review_hour)

    def open_review(self, cause: ReviewCause) -> None:
        """Ask staff for a decision, once per cause until it is decided."""
        if self.state.in_review(cause):
            return
        review = CaseReview(cause, self.now, self.review_deadline())
        self.change(reviews=(*self.state.reviews, review))
        self.emit(IssueReviewRequested(**self.ids, cause=cause, due_at=review.due_at))

    def rearm(self, review: CaseReview) -> CaseReview:
        """Return the review with its reminders started over, for a case that is open again."""
        return replace(review, due_at=review.due_at or self.review_deadline(), reminders=0)

    def close_reviews(self, *causes: ReviewCause) -> None:
        """Close reviews with these causes, decided or no longer needed."""
        if self.state.reviews and self.state.in_review(*causes):
            self.change(reviews=tuple(review for review in self.state.reviews if review.cause not in causes))

    def sync_timers(self, before: Case | None, fired: str | None) -> None:
        """Emit the timer changes from the case `before` to the current one."""
        self.emit(*timer_changes(before.timers() if before else {}, self.state.timers(), fired))
