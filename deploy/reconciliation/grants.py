"""Grants of points beside the resolutions that cause them. Pure."""

from collections.abc import Iterator
from datetime import datetime
from uuid import UUID

from deploy.reconciliation.discrepancies import Discrepancy, DiscrepancyKind, Republication, rebuilt
from deploy.reconciliation.snapshot import ArchivedEvent, Grant, SystemSnapshot
from libs.common.events.issues import IssueCancelled, IssueReopened, IssueResolved
from libs.common.events.loyalty import PointsGranted, PointsWithheld
from services.loyalty.ledger.causes import issue_cause
from services.returns.domain.state.case import Case

DEAD_LETTERS = "loyalty applied the event: read its dead letters and logs"
NO_RESOLUTION = (
    "reverse it by an adjustment, or restore the service that lost the resolution: docs/how-to/back-up-and-restore.md"
)


def grant_findings(snapshot: SystemSnapshot) -> Iterator[Discrepancy]:
    """Yield grants that are due and missing, without a cause, not reversed, or unknown to the other services."""
    yield from _missing(snapshot)
    for grant in snapshot.grants:
        yield from _unjustified(snapshot, grant)
    payloads: list[PointsGranted | PointsWithheld] = [*(grant.payload for grant in snapshot.grants), *snapshot.withheld]
    for payload in payloads:
        yield from _unpublished(snapshot, payload)


def _missing(snapshot: SystemSnapshot) -> Iterator[Discrepancy]:
    causes = {grant.payload.cause for grant in snapshot.grants} | snapshot.withheld_causes
    for case in snapshot.cases.values():
        due = {issue_cause(case.issue_id, case.resolution), issue_cause(case.issue_id)}
        if case.resolved_at is None or due & causes:
            continue
        archived = snapshot.archive.get(case.issue_id, ())
        current = next((each for each in archived if _is_resolution(each, case.resolution)), None)
        if current is None:
            continue  # the resolution itself never arrived, which is a finding of its own
        detail = f"resolution {case.resolution} has no grant and none withheld"
        redrive = _if_unread(current, case.issue_id)
        remedy = "" if redrive else DEAD_LETTERS
        kind = DiscrepancyKind.GRANT_MISSING
        yield Discrepancy(kind, case.issue_id, case.order_id, case.resolved_at, detail, redrive, remedy)


def _is_resolution(each: ArchivedEvent, number: int) -> bool:
    return isinstance(each.event.data, IssueResolved) and each.event.data.resolution == number


def _if_unread(each: ArchivedEvent, issue_id: UUID) -> Republication | None:
    """Return the event for loyalty; None where loyalty applied it, or holds it as a dead letter."""
    is_open = any(unread.service == "loyalty" and unread.dead_letter is None for unread in each.unread)
    return Republication(each.author, issue_id, each.event) if is_open else None


def _unjustified(snapshot: SystemSnapshot, grant: Grant) -> Iterator[Discrepancy]:
    payload, issue_id = grant.payload, grant.payload.issue_id
    if not grant.net or issue_id is None:
        return
    case, order_id, at = snapshot.cases.get(issue_id), payload.order_id or "", payload.granted_at
    resolution = int(payload.cause.rpartition(":")[2])
    if case is None or resolution > case.resolution:
        detail = f"{grant.net} points for resolution {resolution}, which returns lacks"
        kind = DiscrepancyKind.GRANT_WITHOUT_CAUSE
        yield Discrepancy(kind, issue_id, order_id, at, detail, remedy=NO_RESOLUTION)
    elif case.cancelled_at or case.resolved_at is None or resolution < case.resolution:
        void = _voiding_event(snapshot, case, resolution)
        redrive = _if_unread(void, issue_id) if void else None
        since = void.event.time if void else case.cancelled_at or at
        detail = f"{grant.net} points for resolution {resolution}, which is void"
        remedy = "" if redrive else DEAD_LETTERS
        yield Discrepancy(DiscrepancyKind.GRANT_NOT_REVERSED, issue_id, order_id, since, detail, redrive, remedy)


def _voiding_event(snapshot: SystemSnapshot, case: Case, resolution: int) -> ArchivedEvent | None:
    for each in snapshot.archive.get(case.issue_id, ()):
        data = each.event.data
        if isinstance(data, IssueReopened) and data.resolution == resolution:
            return each
        if isinstance(data, IssueCancelled):
            return each
    return None


def _unpublished(snapshot: SystemSnapshot, payload: PointsGranted | PointsWithheld) -> Iterator[Discrepancy]:
    """Yield a grant (or none) of which the archive has no event: the customer's last notice waits for it."""
    issue_id, archived_causes = payload.issue_id, set[str]()
    if issue_id is None or issue_id not in snapshot.issues:
        return
    for each in snapshot.archive.get(issue_id, ()):
        if isinstance(each.event.data, PointsGranted | PointsWithheld):
            archived_causes.add(each.event.data.cause)
    if payload.cause not in archived_causes:
        at: datetime = payload.granted_at if isinstance(payload, PointsGranted) else payload.withheld_at
        detail = f"{payload.TYPE.rpartition('.v')[0]} {payload.cause}"
        redrive = rebuilt("loyalty", issue_id, payload, at, payload.cause)
        yield Discrepancy(DiscrepancyKind.EVENT_UNPUBLISHED, issue_id, payload.order_id or "", at, detail, redrive)
