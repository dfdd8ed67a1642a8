"""What staff may do about an issue as it stands: pure. Whether returns can still do it is for returns to say."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from libs.common.events.values import Remedy, StaffAction
from services.intake.projections.issue_status import IssueStatus
from services.intake.projections.work_items import WorkKind
from services.intake.store.desk import WorkItem

HANDLED = "handled"
"""The desk's own action: somebody has talked to the customer. It moves no goods, so it goes to no service."""

_OVER = frozenset({IssueStatus.REJECTED, IssueStatus.RESOLVED, IssueStatus.CANCELLED})


@dataclass(frozen=True, slots=True)
class Offer:
    """One action, and what it is about: the cause of a review, a remedy, or work of the desk's own."""

    action: str
    about: str = ""


def offers(status: IssueStatus, waiting: Iterable[WorkItem]) -> list[Offer]:
    """Everything that may be decided now, what waits for a human first."""
    return [*_of_work(waiting := list(waiting)), *_of_status(status, waiting)]


def _of_work(waiting: Iterable[WorkItem]) -> Iterator[Offer]:
    for one in waiting:
        match one.kind:
            case WorkKind.REVIEW:
                yield Offer(StaffAction.APPROVE_REVIEW, one.about)
                yield Offer(StaffAction.REFUSE_REVIEW, one.about)
            case WorkKind.UNHAPPY | WorkKind.UNREACHED:
                yield Offer(HANDLED, f"{one.kind} {one.about}".strip())
            case WorkKind.DETAILS:
                yield Offer(StaffAction.ACCEPT)
                yield Offer(StaffAction.REJECT)


def _of_status(status: IssueStatus, waiting: Iterable[WorkItem]) -> Iterator[Offer]:
    if status is IssueStatus.RESOLVED:
        yield Offer(StaffAction.REOPEN)
    if status is IssueStatus.REJECTED:
        yield Offer(StaffAction.ACCEPT)
    if status in _OVER:
        return
    if any(one.detail.partition(" ")[0] in ("book", "collect") for one in waiting if one.kind is WorkKind.PROGRESS):
        yield Offer(StaffAction.WAIVE_COLLECTION)
    if status in (
        IssueStatus.ACCEPTED,
        IssueStatus.IN_REVIEW,
        IssueStatus.WAITING_FOR_CUSTOMER,
        IssueStatus.REPLACEMENT_ORDERED,
    ):
        for remedy in Remedy:
            yield Offer(StaffAction.CHOOSE_REMEDY, remedy)
        yield Offer(StaffAction.CANCEL)
