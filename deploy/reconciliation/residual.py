"""Differences of status and of promised dates that no lost event explains. Pure."""

from collections.abc import Iterator

from deploy.reconciliation.discrepancies import Discrepancy, DiscrepancyKind
from deploy.reconciliation.snapshot import Issue, NoticeThread, SystemSnapshot
from services.returns.domain.state.case import Case
from services.returns.domain.state.case_status import CaseStatus, case_status
from services.returns.domain.state.outbound_leg import AWAITING_SHIPMENT

CHECK = "read the dead letters and counters of the service; decide the issue at the desk"
CONTACT = "correct the contact and notify the customer: GET /v1/orders/{order_id}/notices shows the cause"


def residual_findings(snapshot: SystemSnapshot) -> Iterator[Discrepancy]:
    for issue_id, case in snapshot.cases.items():
        issue, thread = snapshot.issues.get(issue_id), snapshot.threads.get(issue_id)
        if issue:
            yield from _status(case, issue)
            yield from _thread(case, thread, issue)
            yield from _date(snapshot, case, issue)
    for each in snapshot.unannounced:
        detail = f"{each.subject} {each.subject_id} on {each.ship_date}: the notice ended with {each.cause}"
        kind = DiscrepancyKind.PROMISE_UNANNOUNCED
        yield Discrepancy(kind, each.issue_id, each.order_id, each.since, detail, remedy=CONTACT)


def _status(case: Case, issue: Issue) -> Iterator[Discrepancy]:
    expected = case_status(case)
    closed = {CaseStatus.RESOLVED, CaseStatus.CANCELLED}
    differs = issue.status != expected.value if expected in closed else not issue.is_open
    if differs:
        yield _finding(issue, case, f"{issue.status} in intake, {expected.value} in returns")


def _thread(case: Case, thread: NoticeThread | None, issue: Issue) -> Iterator[Discrepancy]:
    if thread is None:
        yield _finding(issue, case, "no notices in delivery_notify about an accepted issue")
    elif case.resolved_at and thread.resolution < case.resolution:
        detail = f"resolution {case.resolution} in returns, {thread.resolution} in delivery_notify"
        yield _finding(issue, case, detail)
    elif case.cancelled_at and thread.closed_by is None:
        yield _finding(issue, case, "cancelled in returns, open in delivery_notify")


def _date(snapshot: SystemSnapshot, case: Case, issue: Issue) -> Iterator[Discrepancy]:
    """Yield a promised date of returns that the promise ledger does not have."""
    leg = case.outbound
    if leg.replacement_id is None or leg.status not in AWAITING_SHIPMENT:
        return
    known = snapshot.replacement_dates.get(leg.replacement_id)
    if known != leg.promises[-1].ship_date:
        detail = f"replacement {leg.replacement_id}: {leg.promises[-1].ship_date} in returns, {known} announced"
        since, kind = case.accepted_at, DiscrepancyKind.PROMISE_UNANNOUNCED
        yield Discrepancy(kind, issue.issue_id, issue.order_id, since, detail, remedy=CHECK, needs_second_look=True)


def _finding(issue: Issue, case: Case, detail: str) -> Discrepancy:
    since = case.resolved_at or case.cancelled_at or issue.since
    kind = DiscrepancyKind.STATUS_DIFFERS
    return Discrepancy(kind, issue.issue_id, issue.order_id, since, detail, remedy=CHECK, needs_second_look=True)
