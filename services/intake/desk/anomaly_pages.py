"""Pages of anomalies that no issue shows: the report, its author, what can be done, and what staff did.

Staff settle an anomaly with a note. A counted box is assigned to an issue or closed: an event asks returns to do it,
and its answer is shown here. A box that a case takes by itself is closed without anybody.
"""

from dataclasses import dataclass
from uuid import UUID, uuid4

from fastapi import APIRouter, Request
from fastapi.responses import Response

from libs.common.events.anomalies import CountStaffDecided
from libs.common.runtime.service import ServiceTransaction
from libs.common.web.forms import multiline, read_form
from services.intake.desk.accounts import StaffRole
from services.intake.desk.auth import Agent, DeskRoute, Viewer, redirect_to
from services.intake.desk.context import CurrentDesk, Desk
from services.intake.desk.decisions import MAX_COMMENT_LENGTH
from services.intake.desk.sessions import StaffSession
from services.intake.store import anomalies
from services.intake.store.anomalies import AnomalyDetails
from services.intake.store.customer_messages import find_message
from services.intake.store.issues import read_issue

SETTLE, ASSIGN = "settle", "assign"

router = APIRouter(include_in_schema=False, route_class=DeskRoute)


@dataclass(frozen=True, slots=True)
class AnomalyDecision:
    """A decision as the form holds it. `issue` is the text of the field, checked by `_fault`."""

    action: str
    comment: str
    issue: str
    as_other_item: bool

    @classmethod
    def from_form(cls, form: dict[str, str]) -> "AnomalyDecision":
        comment = multiline(form.get("comment", ""), MAX_COMMENT_LENGTH)
        return cls(form.get("action", ""), comment, form.get("issue_id", "").strip(), "as_other_item" in form)

    @property
    def issue_id(self) -> UUID | None:
        try:
            return UUID(self.issue)
        except ValueError:
            return None


@router.get("/desk/anomalies/{anomaly_id}")
async def show(desk: CurrentDesk, session: Viewer, anomaly_id: UUID, done: str | None = None) -> Response:
    return await _page(desk, session, anomaly_id, done=done)


@router.post("/desk/anomalies/{anomaly_id}")
async def decide(desk: CurrentDesk, request: Request, session: Agent, anomaly_id: UUID) -> Response:
    """Settle an anomaly with a note, or assign its box to an issue; a double click changes nothing more."""
    decision = AnomalyDecision.from_form(await read_form(request))
    async with desk.service.pool.acquire() as conn:
        found = await anomalies.find_anomaly(conn, anomaly_id)
        issue_id = decision.issue_id
        is_known = bool(issue_id and await read_issue(conn, issue_id)) if decision.action == ASSIGN else True
    if found is None:
        return desk.renderer.not_found(session)
    if fault := _fault(found, decision, is_known):
        return await _page(desk, session, anomaly_id, 422, fault=fault, decision=decision)
    if found.settled_at is None:
        await desk.service.transact(lambda tx: _apply(tx, found, session, decision))
    elif found.settled_by != session.staff:
        return desk.renderer.message(session, "settled", 409, back=f"/desk/anomalies/{anomaly_id}")
    return redirect_to(f"/desk/anomalies/{anomaly_id}?done={decision.action}")


def _fault(found: AnomalyDetails, decision: AnomalyDecision, is_known: bool) -> str | None:
    """Return the code of what the form lacks."""
    if decision.action not in (SETTLE, ASSIGN) or (decision.action == ASSIGN and found.count_id is None):
        return "not_available"
    if not is_known:
        return "unknown_issue"
    return None if decision.comment else "comment_missing"


async def _apply(
    tx: ServiceTransaction, found: AnomalyDetails, session: StaffSession, decision: AnomalyDecision
) -> None:
    """Write the note, and ask returns to carry out what concerns a box."""
    if decision.action == SETTLE:
        changed = await anomalies.settle(tx.conn, found.anomaly_id, session.staff, decision.comment, tx.now)
    else:
        changed = await anomalies.note_decision(tx.conn, found.anomaly_id, decision.comment)
    if not changed or found.count_id is None:
        return
    decided = CountStaffDecided(
        cause=found.cause,
        count_id=found.count_id,
        decision_id=uuid4(),
        issue_id=decision.issue_id if decision.action == ASSIGN else None,
        as_other_item=decision.as_other_item,
        staff=session.staff,
        comment=decision.comment,
        decided_at=tx.now,
    )
    await tx.write([decided])


async def _page(
    desk: Desk,
    session: StaffSession,
    anomaly_id: UUID,
    status: int = 200,
    *,
    done: str | None = None,
    fault: str | None = None,
    decision: AnomalyDecision | None = None,
) -> Response:
    async with desk.service.pool.acquire() as conn:
        found = await anomalies.find_anomaly(conn, anomaly_id)
        issues = await anomalies.candidates(conn, found) if found else []
        message = await find_message(conn, found.message_id) if found and found.message_id else None
    if found is None:
        return desk.renderer.not_found(session)
    return desk.renderer.page(
        "anomaly.html", session, status, active_page="home", anomaly=found, issues=issues, message=message,
        done=done, fault=fault, decision=decision, now=desk.service.clock.now(),
        may_decide=session.may(StaffRole.AGENT),
    )  # fmt: skip
