"""What the shop's people decide about an issue: recorded with who and why, once, and carried out. Pure.

Intake itself carries out what is about a report that does not stand yet (held, or rejected); everything else is
`issue.staff_decided` for returns, which answers with `issue.staff_decision_applied`. Two people who decide on what they
saw at the same time: the first one has it, by the number of decisions (`expected_version`) that both had seen.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, ClassVar, TypeAlias
from uuid import UUID

from pydantic import Field, StringConstraints

from libs.common.decisions.facts import Fact, Facts, Record
from libs.common.events.envelope import Payload
from libs.common.events.issues import IssueStaffDecided, IssueStaffDecisionApplied
from libs.common.events.values import Identifier, Remedy, StaffAction
from services.intake.domain import issue_acceptance, pending_details
from services.intake.domain.eligibility import Refusal, examine
from services.intake.domain.issue_acceptance import IssueChanged, ReportRefused
from services.intake.domain.orders import Filed, HeldReport, OrderContext, Stage
from services.intake.domain.pending_details import REVIEW_CAUSE
from services.intake.policy.eligibility_rules import Rules

Why = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1000)]

Outcome: TypeAlias = tuple[OrderContext, Facts]


class StaffDecides(Payload):
    """One of the shop's people decides. `expected_version` is how many decisions they had seen on this issue."""

    TYPE: ClassVar = "staff.decides.v1"

    issue_id: UUID
    order_id: str
    decision_id: UUID
    action: StaffAction
    staff: Identifier
    comment: Why
    expected_version: Annotated[int, Field(ge=0)]
    review: str | None = None
    remedy: Remedy | None = None


@dataclass(frozen=True, slots=True)
class DecisionMade(Record):
    """A row in `decisions`; its key says once more that each version is one decision."""

    decision: StaffDecides
    version: int
    decided_at: datetime


_A = StaffAction
_YES = frozenset({_A.ACCEPT, _A.CHOOSE_REMEDY, _A.APPROVE_REVIEW, _A.REOPEN})
_NO = frozenset({_A.REJECT, _A.CANCEL, _A.REFUSE_REVIEW})
_ANEW = frozenset({_A.REOPEN, _A.CHOOSE_REMEDY})
"""What may send something once more: not where the customer has an open question about what was sent already."""
_REVIEWS = frozenset({_A.APPROVE_REVIEW, _A.REFUSE_REVIEW})


def decide(
    book: OrderContext | None, decision: StaffDecides, now: datetime, rules: Rules
) -> tuple[OrderContext | None, Facts]:
    filed = book.filed.get(decision.issue_id) if book else None
    if book is None or filed is None:
        return book, _no("unknown_issue", "issue_id", "is not known; send the id of an issue")
    refusal = _incomplete(decision) or _outdated(decision, filed)
    if refusal:
        return book, [ReportRefused(refusal)]
    lacking = book.held_report(decision.issue_id)
    if lacking:
        return _record(_on_held(book, lacking, decision, now, rules), decision, filed, now)
    if filed.refusal_code:
        return _record(_on_rejected(book, filed, decision, now, rules), decision, filed, now)
    later = book.reported_anew(decision.issue_id) if decision.action in _ANEW else None
    if later:
        message = f"what was sent for it was reported itself; decide about issue {later}"
        return book, [ReportRefused(Refusal("already_reported", "action", message, later))]
    if decision.action is _A.ACCEPT:
        return book, _no("accepted_already", "action", "the report was accepted; choose what to do with it now")
    return _record((book, []), decision, filed, now)


def _no(code: str, field: str, message: str) -> list[Fact]:
    return [ReportRefused(Refusal(code, field, message))]


def _incomplete(decision: StaffDecides) -> Refusal | None:
    if decision.action in _REVIEWS and not decision.review:
        return Refusal("review_missing", "review", "name the cause of the review that you approve or refuse")
    if decision.action is _A.CHOOSE_REMEDY and decision.remedy is None:
        return Refusal("remedy_missing", "remedy", "name the remedy: replacement, part_shipment or refund")
    return None


def _outdated(decision: StaffDecides, filed: Filed) -> Refusal | None:
    if decision.expected_version == filed.version:
        return None
    message = f"{filed.version} decisions were taken, you had seen {decision.expected_version}; look again and decide"
    return Refusal("decided_meanwhile", "expected_version", message)


def _on_held(book: OrderContext, lacking: HeldReport, decision: StaffDecides, now: datetime, rules: Rules) -> Outcome:
    """A report that lacks something: let it stand as it is, or turn it down."""
    if decision.action in _REVIEWS and (lacking.stage is not Stage.REVIEW or decision.review != REVIEW_CAUSE):
        return book, _no("no_such_review", "review", "no review with this cause is open; look at the issue again")
    if decision.action in _YES:
        return pending_details.stand(book, lacking, now, rules, requested_remedy=decision.remedy)
    if decision.action in _NO and lacking.stage is not Stage.CLOSED:
        return pending_details.turn_down(book, lacking, _refused_by_shop(decision), now)
    return book, _no("not_accepted", "action", "the report is not accepted; accept or reject it")


def _refused_by_shop(decision: StaffDecides) -> Refusal:
    code = "withdrawn" if decision.action is _A.CANCEL else "refused_by_shop"
    return Refusal(code, "report", "the shop looked at the report and does not take it; ask us, and we explain it")


def _on_rejected(book: OrderContext, filed: Filed, decision: StaffDecides, now: datetime, rules: Rules) -> Outcome:
    """A report that did not stand: let it stand after all, whatever its window says, if its pieces are there."""
    if decision.action not in _YES - _REVIEWS:
        return book, _no("issue_rejected", "action", "the report was rejected; it can only be accepted after all")
    said = filed.report.said.model_copy(
        update={"requested_remedy": decision.remedy or filed.report.said.requested_remedy, "photos": ()}
    )
    report = replace(filed.report, said=said)
    units = examine(book, report, rules.hours.calendar.day(report.reported_at), rules, any_day=True)
    if isinstance(units, Refusal):
        return book, [ReportRefused(units)]
    book = replace(book, held={**book.held, **dict.fromkeys(units, report.issue_id)}).refiled(report, None)
    changed = IssueChanged(report, now, decide_by=issue_acceptance.decide_by(report, rules), takes=units)
    return book, [
        changed,
        issue_acceptance.reported(report),
        issue_acceptance.accepted(book, report, units, now, rules),
    ]


def _record(outcome: Outcome, decision: StaffDecides, filed: Filed, now: datetime) -> Outcome:
    """The decision with what came of it; where it does not stand, nothing is recorded."""
    book, facts = outcome
    if any(isinstance(fact, ReportRefused) for fact in facts):
        return book, facts
    version = filed.version + 1
    after = replace(book.filed[decision.issue_id], version=version)
    book = replace(book, filed={**book.filed, decision.issue_id: after})
    made: list[Fact] = [DecisionMade(decision, version, now), _told(decision, filed, now)]
    return book, [*made, *facts, *([_taken(decision, filed, now)] if facts else [])]


def _told(decision: StaffDecides, filed: Filed, now: datetime) -> IssueStaffDecided:
    return IssueStaffDecided(
        issue_id=decision.issue_id,
        order_id=decision.order_id,
        customer_id=filed.report.said.customer_id,
        decision_id=decision.decision_id,
        action=decision.action,
        review=decision.review,
        remedy=decision.remedy,
        staff=decision.staff,
        comment=decision.comment,
        decided_at=now,
    )


def _taken(decision: StaffDecides, filed: Filed, now: datetime) -> IssueStaffDecisionApplied:
    return IssueStaffDecisionApplied(
        issue_id=decision.issue_id,
        order_id=decision.order_id,
        customer_id=filed.report.said.customer_id,
        decision_id=decision.decision_id,
        action=decision.action,
        staff=decision.staff,
        comment=decision.comment,
        applied=True,
        processed_at=now,
    )
