"""Actions that staff may take on an issue in its current state; pure. Returns checks again whether they apply."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from libs.common.events.values import Remedy, StaffAction
from services.intake.projections.timeline import Status
from services.intake.projections.work_queue import Kind
from services.intake.store.desk import Waiting

MARK_HANDLED = "handled"
"""Action of the desk itself: staff have contacted the customer. It concerns no other service."""

_CLOSED = frozenset({Status.REJECTED, Status.RESOLVED, Status.CANCELLED})
_REMEDY_OPEN = frozenset({Status.ACCEPTED, Status.IN_REVIEW, Status.WAITING_FOR_CUSTOMER, Status.REPLACEMENT_ORDERED})


@dataclass(frozen=True, slots=True)
class AvailableAction:
    """An action and its subject: the cause of a review, a remedy, or a work item of the desk."""

    name: str
    subject: str = ""


def available_actions(status: str, work: Iterable[Waiting]) -> list[AvailableAction]:
    """Return all actions, those on pending work first."""
    work = list(work)
    return [*_on_work(work), *_on_status(status, work)]


def _on_work(work: Iterable[Waiting]) -> Iterator[AvailableAction]:
    for item in work:
        match item.kind:
            case Kind.REVIEW:
                yield AvailableAction(StaffAction.APPROVE_REVIEW, item.about)
                yield AvailableAction(StaffAction.REFUSE_REVIEW, item.about)
            case Kind.UNHAPPY | Kind.UNREACHED:
                yield AvailableAction(MARK_HANDLED, f"{item.kind} {item.about}".strip())
            case Kind.DETAILS:
                yield AvailableAction(StaffAction.ACCEPT)
                yield AvailableAction(StaffAction.REJECT)


def _on_status(status: str, work: Iterable[Waiting]) -> Iterator[AvailableAction]:
    if status == Status.RESOLVED:
        yield AvailableAction(StaffAction.REOPEN)
    if status == Status.REJECTED:
        yield AvailableAction(StaffAction.ACCEPT)
    if status in _CLOSED:
        return
    steps = {item.detail.partition(" ")[0] for item in work if item.kind == Kind.PROGRESS}
    if steps & {"book", "collect"}:
        yield AvailableAction(StaffAction.WAIVE_COLLECTION)
    if status in _REMEDY_OPEN:
        for remedy in Remedy:
            yield AvailableAction(StaffAction.CHOOSE_REMEDY, remedy)
        yield AvailableAction(StaffAction.CANCEL)
