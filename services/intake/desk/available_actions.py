"""What staff may do about an issue as it stands: pure. Whether returns can still do it is for returns to say."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from libs.common.events.values import Remedy, StaffAction
from services.intake.projections.timeline import Status
from services.intake.projections.work_queue import Kind
from services.intake.store.desk import Waiting

HANDLED = "handled"
"""The desk's own action: somebody has talked to the customer. It moves no goods, so it goes to no service."""

_OVER = frozenset({Status.REJECTED, Status.RESOLVED, Status.CANCELLED})


@dataclass(frozen=True, slots=True)
class Offer:
    """One action, and what it is about: the cause of a review, a remedy, or work of the desk's own."""

    action: str
    about: str = ""


def offers(status: Status, waiting: Iterable[Waiting]) -> list[Offer]:
    """Everything that may be decided now, what waits for a human first."""
    return [*_of_work(waiting := list(waiting)), *_of_status(status, waiting)]


def _of_work(waiting: Iterable[Waiting]) -> Iterator[Offer]:
    for one in waiting:
        match one.kind:
            case Kind.REVIEW:
                yield Offer(StaffAction.APPROVE_REVIEW, one.about)
                yield Offer(StaffAction.REFUSE_REVIEW, one.about)
            case Kind.UNHAPPY | Kind.UNREACHED:
                yield Offer(HANDLED, f"{one.kind} {one.about}".strip())
            case Kind.DETAILS:
                yield Offer(StaffAction.ACCEPT)
                yield Offer(StaffAction.REJECT)


def _of_status(status: Status, waiting: Iterable[Waiting]) -> Iterator[Offer]:
    if status == Status.RESOLVED:
        yield Offer(StaffAction.REOPEN)
    if status == Status.REJECTED:
        yield Offer(StaffAction.ACCEPT)
    if status in _OVER:
        return
    if any(one.detail.partition(" ")[0] in ("book", "collect") for one in waiting if one.kind == Kind.PROGRESS):
        yield Offer(StaffAction.WAIVE_COLLECTION)
    if status in (Status.ACCEPTED, Status.IN_REVIEW, Status.WAITING_FOR_CUSTOMER, Status.REPLACEMENT_ORDERED):
        for remedy in Remedy:
            yield Offer(StaffAction.CHOOSE_REMEDY, remedy)
        yield Offer(StaffAction.CANCEL)
