"""Actions that staff may take on an issue in its current state; pure. Returns checks again whether they apply."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from libs.common.events.values import Remedy, StaffAction
from services.intake.domain.projections.issue_status import IssueStatus
from services.intake.domain.projections.work_items import HANDLED, WorkKind, settled_subject
from services.intake.store.desk import WorkItem

RECORD_ANSWER = "record_answer"
"""Action of the desk itself: the customer answered a request for details by reply or telephone."""

_CLOSED = frozenset({IssueStatus.REJECTED, IssueStatus.RESOLVED, IssueStatus.CANCELLED})
_REMEDY_OPEN = frozenset(
    {IssueStatus.ACCEPTED, IssueStatus.IN_REVIEW, IssueStatus.WAITING_FOR_CUSTOMER, IssueStatus.REPLACEMENT_ORDERED}
)


@dataclass(frozen=True, slots=True)
class AvailableAction:
    """An action and its subject: the cause of a review, a remedy, or a work item of the desk."""

    name: str
    subject: str = ""


def available_actions(status: str, work: Iterable[WorkItem]) -> list[AvailableAction]:
    """Return all actions, those on pending work first."""
    work = list(work)
    return [*_on_work(work), *_on_status(status, work)]


def _on_work(work: Iterable[WorkItem]) -> Iterator[AvailableAction]:
    for item in work:
        match item.kind:
            case WorkKind.REVIEW:
                yield AvailableAction(StaffAction.APPROVE_REVIEW, item.about)
                yield AvailableAction(StaffAction.REFUSE_REVIEW, item.about)
            case WorkKind.UNHAPPY | WorkKind.UNREACHED | WorkKind.WINDOW | WorkKind.MESSAGE | WorkKind.ANOMALY:
                yield AvailableAction(HANDLED, settled_subject(item.kind, item.about))
            case WorkKind.DETAILS:
                yield AvailableAction(RECORD_ANSWER)
                yield AvailableAction(StaffAction.ACCEPT)
                yield AvailableAction(StaffAction.REJECT)


def _on_status(status: str, work: Iterable[WorkItem]) -> Iterator[AvailableAction]:
    if status == IssueStatus.RESOLVED:
        yield AvailableAction(StaffAction.REOPEN)
    if status == IssueStatus.REJECTED:
        yield AvailableAction(StaffAction.ACCEPT)
    if status in _CLOSED:
        return
    steps = {item.detail.partition(" ")[0] for item in work if item.kind == WorkKind.PROGRESS}
    if steps & {"book", "collect"}:
        yield AvailableAction(StaffAction.WAIVE_COLLECTION)
    if status in _REMEDY_OPEN:
        for remedy in Remedy:
            yield AvailableAction(StaffAction.CHOOSE_REMEDY, remedy)
        yield AvailableAction(StaffAction.CANCEL)
