"""Details that are provided for an issue: photos for any issue, facts only where the report lacks them. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from libs.common.decisions.facts import Record
from libs.common.events.issues import IssueDetailsProvided
from libs.common.events.storefront import IssueSubmitted
from services.intake.domain import pending_details
from services.intake.domain.commands import ProvideDetails
from services.intake.domain.context import CommandRefused, OrderDecision, Refusal
from services.intake.domain.issue_acceptance import IssueUpdated
from services.intake.domain.orders import PendingReport, PendingStage, StoredPhoto, StoredReport
from services.intake.domain.pending_details import REVIEW_CAUSE
from services.intake.domain.units import Unit
from services.intake.policy.required_details import RequiredDetail, missing_details


@dataclass(frozen=True, slots=True)
class PhotosAttached(Record):
    """New rows of photos of an issue."""

    issue_id: UUID
    photos: tuple[StoredPhoto, ...]
    attached_at: datetime


def provide_details(decision: OrderDecision, command: ProvideDetails) -> None:
    stored = decision.state.stored_reports.get(command.issue_id)
    if stored is None:
        decision.refuse("unknown_issue", "issue_id", "is not known; send the id that the report was given")
        return
    pending = decision.state.pending_report(command.issue_id)
    new = _new_photos(command.photos, stored)
    refusal = _refusal(command, stored, pending, len(new))
    if refusal:
        decision.emit(CommandRefused(refusal))
        return
    photos = stored.photos | {photo.sha256 for photo in new}
    completion = _completion(decision, pending, command, photos) if pending else None
    if isinstance(completion, Refusal):
        decision.emit(CommandRefused(completion))
        return
    decision.change_stored_report(command.issue_id, photos=photos)
    if new:
        decision.emit(PhotosAttached(command.issue_id, new, decision.now))
    if completion:
        _apply(decision, completion)


def _new_photos(photos: Iterable[StoredPhoto], stored: StoredReport) -> tuple[StoredPhoto, ...]:
    return tuple({photo.sha256: photo for photo in photos if photo.sha256 not in stored.photos}.values())


def _refusal(
    command: ProvideDetails, stored: StoredReport, pending: PendingReport | None, new_photos: int
) -> Refusal | None:
    if len(stored.photos) + new_photos > command.max_photos:
        return Refusal("too_many_photos", "photos", f"an issue holds {command.max_photos} at most; send fewer")
    if pending is None and (command.parts or command.description):
        return Refusal("nothing_missing", "issue_id", "this report lacks no details; nothing was changed")
    reported = {line.line_id for line in stored.report.submission.lines}
    unknown = next((line_id for line_id in command.parts if line_id not in reported), None)
    if unknown is not None:
        return Refusal("unknown_line", "lines", f"{unknown!r} was not reported; name a line of the report")
    return None


@dataclass(frozen=True, slots=True)
class _Completion:
    """A pending report with the provided details; `units` are those to accept it with, once nothing is missing."""

    pending: PendingReport
    provided: tuple[RequiredDetail, ...]
    units: tuple[Unit, ...] = ()


def _completion(
    decision: OrderDecision, pending: PendingReport, command: ProvideDetails, photos: frozenset[str]
) -> _Completion | Refusal:
    """Return the pending report with these details, or the refusal if it could be accepted but its units are taken."""
    submission = _merged(pending.report.submission, command)
    missing = missing_details(pending.missing, submission, photos)
    provided = tuple(detail for detail in pending.missing if detail not in missing)
    pending = replace(pending, report=replace(pending.report, submission=submission), missing=missing)
    if missing or not provided:
        return _Completion(pending, provided)
    units = pending_details.claimable_units(decision, pending)
    return units if isinstance(units, Refusal) else _Completion(pending, provided, units)


def _apply(decision: OrderDecision, completion: _Completion) -> None:
    """Store the provided details of a pending report; accept it once nothing is missing."""
    pending = completion.pending
    decision.put_pending(pending)
    if not completion.provided:
        decision.ignore("no_missing_detail_provided")
    elif pending.missing:
        refusal_code = REVIEW_CAUSE if pending.stage == PendingStage.CLOSED else None
        decision.emit(IssueUpdated(pending.report, decision.now, refusal_code, pending.missing, pending.decide_by))
        _confirm(decision, pending, completion.provided)
    else:
        _confirm(decision, pending, completion.provided)
        pending_details.accept(decision, pending, completion.units)


def _merged(submission: IssueSubmitted, command: ProvideDetails) -> IssueSubmitted:
    lines = tuple(
        line.model_copy(update={"part": command.parts[line.line_id]}) if line.line_id in command.parts else line
        for line in submission.lines
    )
    return submission.model_copy(update={"lines": lines, "description": command.description or submission.description})


def _confirm(decision: OrderDecision, pending: PendingReport, provided: tuple[RequiredDetail, ...]) -> None:
    """Publish the answer to a request; details that came unasked need no confirmation."""
    if pending.requested_at is None:
        return
    decision.emit(
        IssueDetailsProvided(
            issue_id=pending.report.issue_id,
            order_id=pending.report.submission.order_id,
            customer_id=pending.report.submission.customer_id,
            provided=tuple(detail.value for detail in provided),
            missing=tuple(detail.value for detail in pending.missing),
            provided_at=decision.now,
        )
    )
