"""One decision under way: the case as it becomes, and the facts so far.

The steps of a decision write into a `Turn` rather than hand (case, facts) pairs to each other; it lives no longer than
one call of `decide`, which stays a pure function.
"""

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from libs.common.decisions.facts import Anomaly, CancelTimer, Fact, Ignored, SetTimer
from libs.common.decisions.fast_replace import replace
from libs.common.decisions.shop_calendar import ShopCalendar
from libs.common.events.issues import IssueReviewRequested
from libs.common.events.values import Address, Remedy
from services.returns.domain.case import Case, Plan
from services.returns.domain.exposure import Around
from services.returns.domain.review_causes import Review, ReviewCause
from services.returns.policy.policy import CollectOn, Door, Policy, Rule, Terms
from services.returns.policy.policy_versions import Policies


@dataclass(frozen=True, slots=True)
class Rules:
    """What every decision goes by: the policies, and the shop's days."""

    policies: Policies
    calendar: ShopCalendar

    def in_force(self, now: datetime) -> Policy:
        """The policy that new cases come under."""
        return self.policies.in_force(self.calendar.day(now))


@dataclass(slots=True)
class CaseDecision:
    case: Case
    now: datetime
    rules: Rules
    around: Around
    said_at: datetime
    facts: list[Fact] = field(default_factory=list)
    today: date = field(init=False)
    policy: Policy = field(init=False)
    """The version that this case was decided under."""

    def __post_init__(self) -> None:
        self.today = self.rules.calendar.day(self.now)
        self.policy = self.rules.policies.under(self.case.policy_version, self.today)

    @property
    def rule(self) -> Rule:
        return self.policy.rule(self.case.reason, self.case.subject)

    @property
    def terms(self) -> Terms:
        return self.policy.terms

    @property
    def door(self) -> Door:
        return self.policy.door

    @property
    def ship_to(self) -> Address | None:
        return self.around.ship_to

    @property
    def calendar(self) -> ShopCalendar:
        return self.rules.calendar

    @property
    def told_at(self) -> datetime:
        """When this was said, by its own envelope; a partner whose clock runs ahead has said it now."""
        return min(self.said_at, self.now)

    @property
    def ids(self) -> dict[str, Any]:
        """What every event about this issue carries."""
        return {"issue_id": self.case.issue_id, "order_id": self.case.order_id, "customer_id": self.case.customer_id}

    @property
    def partner_ids(self) -> dict[str, Any]:
        """What every order to the warehouse or the courier carries."""
        return {"issue_id": self.case.issue_id, "order_id": self.case.order_id}

    def say(self, *facts: Fact) -> None:
        self.facts += facts

    def ignore(self, reason: str) -> None:
        self.facts.append(Ignored(reason))

    def anomaly(self, reason: str) -> None:
        self.facts.append(Anomaly(reason, f"issue {self.case.issue_id}"))

    def plan_for(self, remedy: Remedy) -> None:
        """Go on under another remedy of the same rule."""
        self.change(plan=Plan.of(remedy, self.rule.remedies[remedy]))

    def expect_back(self, after: CollectOn) -> None:
        """What nobody was to fetch is to be fetched after all."""
        self.change(plan=replace(self.case.plan, collect_on=after))

    def quiet(self) -> None:
        """The case did change: what a step within this decision found repeated or overtaken is not worth telling."""
        self.facts = [fact for fact in self.facts if not isinstance(fact, Ignored)]

    def change(self, **changes: Any) -> None:
        self.case = replace(self.case, **changes)

    def outbound(self, **changes: Any) -> None:
        self.case = replace(self.case, outbound=replace(self.case.outbound, **changes))

    def inbound(self, **changes: Any) -> None:
        self.case = replace(self.case, inbound=replace(self.case.inbound, **changes))

    def after(self, *, hours: int = 0, days: int = 0) -> datetime:
        return self.now + timedelta(days=days, hours=hours)

    def open_day_after(self, day: date) -> date:
        """The first open day that is later than that day."""
        return self.calendar.next_open(day + timedelta(days=1))

    def human_answer_at(self) -> datetime:
        """By when a human has decided: what the customer is told."""
        day = self.calendar.add_open_days(self.today, self.terms.review_open_days)
        return self.calendar.moment(day, self.terms.review_hour)

    def review(self, cause: ReviewCause) -> None:
        """A human looks at this; the same thing is asked once until it is decided."""
        if self.case.in_review(cause):
            return
        review = Review(cause, self.now, self.human_answer_at())
        self.change(reviews=(*self.case.reviews, review))
        self.say(IssueReviewRequested(**self.ids, cause=cause, due_at=review.due_at))

    def awake(self, review: Review) -> Review:
        """The same review on a case that is open again: reminded of once more."""
        return replace(review, due_at=review.due_at or self.human_answer_at(), reminders=0)

    def withdraw(self, *causes: ReviewCause) -> None:
        """It settled itself, or was decided."""
        if self.case.reviews and self.case.in_review(*causes):
            self.change(reviews=tuple(review for review in self.case.reviews if review.cause not in causes))

    def set_timers(self, before: Case | None, fired: str | None) -> None:
        """Make the timers in the database those of the case. One that fired is gone there and must be set again."""
        old, new = before.timers() if before else {}, self.case.timers()
        old.pop(fired or "", None)
        if old == new:
            return
        self.facts += [SetTimer(name, due_at) for name, due_at in new.items() if old.get(name) != due_at]
        self.facts += [CancelTimer(name) for name in old if name not in new]
