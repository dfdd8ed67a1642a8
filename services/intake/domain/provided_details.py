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
    decision.change_stored_report(command.issue_id, photos=photos)
    if new:
        decision.emit(PhotosAttached(command.issue_id, new, decision.now))
    if pending:
        _complete(decision, pending, command, photos)


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


def _complete(decision: OrderDecision, pending: PendingReport, command: ProvideDetails, photos: frozenset[str]) -> None:
    """Apply the provided details to a pending report; accept it once nothing is missing."""
    submission = _merged(pending.report.submission, command)
    still_missing = missing_details(pending.missing, submission, photos)
    provided = tuple(detail for detail in pending.missing if detail not in still_missing)
    pending = replace(pending, report=replace(pending.report, submission=submission), missing=still_missing)
    decision.put_pending(pending)
    if not provided:
        decision.ignore("no_missing_detail_provided")
    elif still_missing:
        refusal_code = REVIEW_CAUSE if pending.stage == PendingStage.CLOSED else None
        decision.emit(IssueUpdated(pending.report, decision.now, refusal_code, still_missing, pending.decide_by))
        _confirm(decision, pending, provided)
    else:
        units = pending_details.claimable_units(decision, pending)
        if isinstance(units, Refusal):
            decision.emit(CommandRefused(units))
            return
        _confirm(decision, pending, provided)
        pending_details.accept(decision, pending, units)


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
