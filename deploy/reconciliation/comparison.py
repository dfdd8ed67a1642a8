"""Comparison of the services: pure, from a snapshot to findings.

Each root cause is one finding. A difference of status or of a promise is named only where no other finding of its issue
explains it. What is younger than the grace period is in transit.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from uuid import UUID

from deploy.reconciliation.discrepancies import Discrepancy, DiscrepancyKind, Republication, rebuilt
from deploy.reconciliation.grants import grant_findings
from deploy.reconciliation.milestones import key_of, missing_milestones
from deploy.reconciliation.residual import residual_findings
from deploy.reconciliation.snapshot import ArchivedEvent, Issue, SystemSnapshot, Unread
from libs.common.events.issues import (
    IssueAccepted,
    IssueRefunded,
    IssueRefundRequested,
    IssueReplacementOrdered,
    IssueResolved,
)
from services.returns.domain.state.case import Case

RESTORED = "restore or rejoin the service that lost it: docs/how-to/back-up-and-restore.md"


def compare(snapshot: SystemSnapshot, now: datetime, grace: timedelta) -> list[Discrepancy]:
    """Return what differs for longer than the grace period, oldest first."""
    found = [*_cases(snapshot), *_events(snapshot), *_causes(snapshot), *grant_findings(snapshot)]
    explained = {finding.issue_id for finding in found}
    found += [finding for finding in residual_findings(snapshot) if finding.issue_id not in explained]
    return sorted((each for each in found if now - each.since >= grace), key=lambda each: (each.since, each.identity))


def _cases(snapshot: SystemSnapshot) -> Iterator[Discrepancy]:
    for issue in snapshot.issues.values():
        if issue.is_accepted and issue.issue_id not in snapshot.cases:
            detail = "accepted in intake, no case in returns"
            yield _about(issue, DiscrepancyKind.CASE_MISSING, issue.since, detail, _acceptance(snapshot, issue))
    for case in snapshot.cases.values():
        if case.issue_id not in snapshot.issues:
            detail = "case in returns, no issue in intake"
            kind = DiscrepancyKind.ISSUE_MISSING
            yield Discrepancy(kind, case.issue_id, case.order_id, case.accepted_at, detail, remedy=RESTORED)


def _acceptance(snapshot: SystemSnapshot, issue: Issue) -> Republication:
    archived = snapshot.archive.get(issue.issue_id, ())
    event = next((each.event for each in archived if type(each.event.data) is IssueAccepted), None)
    return Republication("intake", issue.issue_id, event)


def _about(
    issue: Issue,
    kind: DiscrepancyKind,
    since: datetime,
    detail: str,
    redrive: Republication | None = None,
    remedy: str = "",
    *,
    needs_second_look: bool = False,
) -> Discrepancy:
    return Discrepancy(kind, issue.issue_id, issue.order_id, since, detail, redrive, remedy, needs_second_look)


def _events(snapshot: SystemSnapshot) -> Iterator[Discrepancy]:
    """Archived events that a service did not apply, and events that never reached the archive."""
    for issue in snapshot.issues.values():
        archived, case = snapshot.archive.get(issue.issue_id, ()), snapshot.cases.get(issue.issue_id)
        for each in archived:
            for unread in each.unread:
                if not _is_named_otherwise(each, unread, case):
                    yield _unread(issue, each, unread)
        if case is None:
            continue
        if issue.is_accepted and not any(type(each.event.data) is IssueAccepted for each in archived):
            detail, redrive = "issue.accepted", Republication("intake", issue.issue_id)
            yield _about(issue, DiscrepancyKind.EVENT_UNPUBLISHED, issue.since, detail, redrive)
        for fact, at in missing_milestones(case, archived):
            detail = " ".join(map(str, key_of(fact.payload))).replace(".v1", "", 1)
            redrive = rebuilt("returns", case.issue_id, fact.payload, at, case.issue_id, *key_of(fact.payload))
            kind = DiscrepancyKind.EVENT_UNPUBLISHED
            yield _about(issue, kind, max(at, case.accepted_at), detail, redrive, needs_second_look=True)


def _is_named_otherwise(each: ArchivedEvent, unread: Unread, case: Case | None) -> bool:
    """Return whether a missing case or a missing grant is the finding."""
    data = each.event.data
    if unread.dead_letter is not None:
        return False
    if unread.service == "returns" and type(data) is IssueAccepted and case is None:
        return True
    if unread.service != "loyalty" or type(data) is not IssueResolved or case is None:
        return False
    return case.resolved_at is not None and data.resolution == case.resolution


def _unread(issue: Issue, each: ArchivedEvent, unread: Unread) -> Discrepancy:
    event, kind = each.event, DiscrepancyKind.EVENT_UNREAD
    detail = f"{event.type.rpartition('.v')[0]} {event.id} was not applied by {unread.service}"
    if unread.dead_letter is None:
        return _about(issue, kind, event.time, detail, Republication(each.author, issue.issue_id, event))
    remedy = f"dead letter of {unread.service}: sakidashi dead-letters replay {unread.dead_letter}"
    return _about(issue, kind, event.time, detail, None, remedy)


def _causes(snapshot: SystemSnapshot) -> Iterator[Discrepancy]:
    """Replacements and refunds of the archive that their case does not have."""
    for issue_id, case in snapshot.cases.items():
        replacements = {leg.replacement_id for leg in case.replacements}
        refunds = {refund.refund_id for refund in case.money.refunds}
        seen: set[UUID] = set()
        for each in snapshot.archive.get(issue_id, ()):
            match each.event.data:
                case IssueReplacementOrdered(replacement_id=id):
                    kind, is_known = DiscrepancyKind.REPLACEMENT_WITHOUT_CAUSE, id in replacements
                case IssueRefundRequested(refund_id=id) | IssueRefunded(refund_id=id):
                    kind, is_known = DiscrepancyKind.REFUND_WITHOUT_CAUSE, id in refunds
                case _:
                    continue
            if not is_known and id not in seen:
                seen.add(id)
                detail = f"{each.event.type.rpartition('.v')[0]} {id} is not in the case"
                yield Discrepancy(kind, issue_id, case.order_id, each.event.time, detail, remedy=RESTORED)
