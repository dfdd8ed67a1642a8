"""What staff do at the desk: each action is confirmed on a page of its own, has a reason, and is kept.

Two people never act on one thing at once. Whoever asks to confirm claims the issue for some minutes; somebody else is
then told who has it. And a decision is taken on what was seen: the form carries the version of the story, and where
something has happened since, nothing is done and the newest state is shown. A button pressed twice is one act.

A decision about goods or money is written as `issue.staff_decided`; returns carries it out and answers with
`issue.decision_taken`, which shows up in the story. That somebody has talked to an unhappy customer stays at the desk.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated
from uuid import UUID, uuid4

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from libs.common.events.issues import IssueStaffDecided
from libs.common.events.values import Remedy, StaffAction
from libs.common.service import Service, Writing
from services.intake.desk import store
from services.intake.desk.face import Face
from services.intake.desk.guard import DeskRoute, Guard, form_of, see
from services.intake.desk.offers import HANDLED, Offer
from services.intake.desk.parked import OpsUnreachableError, ParkedEvents
from services.intake.desk.sessions import Session
from services.intake.desk.staff import Role
from services.intake.desk.views import Views
from services.intake.desk.work import Kind

CLAIM_LASTS = timedelta(minutes=5)
LONGEST_WHY = 1000


@dataclass(frozen=True, slots=True)
class Asked:
    """What a form asks for. `version` and `act_id` are there once it was confirmed."""

    offer: Offer
    why: str
    version: str = ""
    act_id: UUID | None = None

    @classmethod
    def of(cls, form: dict[str, str]) -> "Asked":
        action, _, about = form.get("what", "").partition(":")
        why = form.get("why", "").replace("\r\n", "\n").strip()[:LONGEST_WHY]
        return cls(Offer(action, about), why, form.get("version", ""), _uuid(form.get("act_id")))


class ChangedError(Exception):
    """Something has happened to the issue since it was looked at."""


class TakenError(Exception):
    """Somebody else is at it."""

    def __init__(self, claim: store.Claim) -> None:
        super().__init__(claim.staff)
        self.claim = claim


@dataclass
class Decisions:
    """Takes decisions, one at a time per issue."""

    service: Service

    async def claim(self, issue_id: UUID, session: Session) -> None:
        """Raises `TakenError`."""
        now = self.service.clock.now()
        async with self.service.pool.acquire() as conn, conn.transaction():
            claim = await store.claim(conn, issue_id, session.staff, now, now + CLAIM_LASTS)
        if claim.staff != session.staff:
            raise TakenError(claim)

    async def take(self, issue_id: UUID, session: Session, asked: Asked) -> None:
        """Carry out what was confirmed. Raises `TakenError` or `ChangedError`; does nothing the second time."""
        async with self.service.transaction() as tx:
            claim = await store.claim(tx.conn, issue_id, session.staff, tx.now, tx.now + CLAIM_LASTS)
            if claim.staff != session.staff:
                raise TakenError(claim)
            if not await self._keep(tx, issue_id, session, asked):
                return
            if asked.offer.action == HANDLED:
                kind, _, about = asked.offer.about.partition(" ")
                await store.end_work(tx.conn, issue_id, Kind(kind), about)
            else:
                await tx.write([await self._decided(tx, issue_id, session, asked)])
            await store.release(tx.conn, issue_id, session.staff)

    async def _keep(self, tx: Writing, issue_id: UUID, session: Session, asked: Asked) -> bool:
        """Keep the act, unless the story has gone on; False where it is kept already."""
        seen = await store.version(tx.conn, issue_id)
        assert asked.act_id, "a confirmed form has it"
        subject, offer = str(issue_id), asked.offer
        new = await store.act(
            tx.conn, asked.act_id, subject, session.staff, offer.action, offer.about, asked.why, tx.now
        )
        if new and seen != asked.version:
            raise ChangedError
        return new

    async def _decided(self, tx: Writing, issue_id: UUID, session: Session, asked: Asked) -> IssueStaffDecided:
        whose = await store.whose(tx.conn, issue_id)
        if whose is None or asked.act_id is None:
            raise ChangedError
        action, about = StaffAction(asked.offer.action), asked.offer.about
        of_review = action in (StaffAction.APPROVE_REVIEW, StaffAction.REFUSE_REVIEW)
        return IssueStaffDecided(
            issue_id=issue_id,
            order_id=whose[0],
            customer_id=whose[1],
            decision_id=asked.act_id,
            action=action,
            review=about if of_review else None,
            remedy=Remedy(about) if action is StaffAction.CHOOSE_REMEDY else None,
            staff=session.staff,
            why=asked.why,
            decided_at=tx.now,
        )


def action_routes(face: Face, guard: Guard, views: Views, decisions: Decisions) -> APIRouter:
    router = APIRouter(include_in_schema=False, route_class=DeskRoute)
    Agent = Annotated[Session, Depends(guard.least(Role.AGENT))]  # noqa: N806 - a type

    @router.post("/desk/issues/{issue_id}/confirm")
    async def confirm(request: Request, session: Agent, issue_id: UUID) -> Response:
        """Show what would be done, and take the issue for some minutes."""
        shown, asked = await views.issue(issue_id, session), Asked.of(await form_of(request))
        if shown is None:
            return face.missing(session)
        if asked.offer not in shown["offers"] or not asked.why:
            fault = "why_missing" if asked.offer in shown["offers"] else "not_offered"
            return face.show("issue.html", session, 422, done=None, fault=fault, **shown)
        try:
            await decisions.claim(issue_id, session)
        except TakenError as error:
            return _taken(face, session, issue_id, error)
        return face.show("confirm.html", session, asked=asked, act_id=uuid4(), **shown)

    @router.post("/desk/issues/{issue_id}/decide")
    async def decide(request: Request, session: Agent, issue_id: UUID) -> Response:
        """Do what was confirmed."""
        asked, back = Asked.of(await form_of(request)), f"/desk/issues/{issue_id}"
        if asked.act_id is None or not asked.why or not _is_action(asked.offer):
            return see(back)
        try:
            await decisions.take(issue_id, session, asked)
        except TakenError as error:
            return _taken(face, session, issue_id, error)
        except ChangedError:
            return face.message(session, "changed", 409, back=back)
        return see(f"{back}?done={asked.offer.action}")

    @router.post("/desk/issues/{issue_id}/release")
    async def release(session: Agent, issue_id: UUID) -> Response:
        """Somebody else may have it."""
        async with views.service.pool.acquire() as conn:
            await store.release(conn, issue_id, session.staff)
        return see(f"/desk/issues/{issue_id}")

    return router


def _taken(face: Face, session: Session, issue_id: UUID, error: TakenError) -> Response:
    back = f"/desk/issues/{issue_id}"
    return face.message(session, "taken", 409, staff=error.claim.staff, until=error.claim.until, back=back)


def _is_action(offer: Offer) -> bool:
    """Whether a confirmed form says something that exists; which of it is offered was checked before."""
    if offer.action == HANDLED:
        return offer.about.partition(" ")[0] in set(Kind)
    if offer.action == StaffAction.CHOOSE_REMEDY:
        return offer.about in set(Remedy)
    return offer.action in set(StaffAction)


def parked_routes(face: Face, guard: Guard, parked: ParkedEvents, service: Service) -> APIRouter:
    """Parked events may hold addresses, whole as they came: they are for admins."""
    router = APIRouter(include_in_schema=False, route_class=DeskRoute)
    Admin = Annotated[Session, Depends(guard.least(Role.ADMIN))]  # noqa: N806 - a type

    @router.get("/desk/parked")
    async def list_parked(session: Admin, done: str | None = None) -> Response:
        return face.show("parked.html", session, here="parked", parked=await parked.all(), done=done)

    @router.get("/desk/parked/{owner}/{parked_id}")
    async def show_parked(session: Admin, owner: str, parked_id: int) -> Response:
        return await _one_parked(face, session, parked, owner, parked_id)

    @router.post("/desk/parked/{owner}/{parked_id}/confirm")
    async def confirm(request: Request, session: Admin, owner: str, parked_id: int) -> Response:
        form = await form_of(request)
        asked = {"action": form.get("action", ""), "why": form.get("why", "").strip()[:LONGEST_WHY]}
        if asked["action"] not in ("replay", "discard") or not asked["why"]:
            return await _one_parked(face, session, parked, owner, parked_id, 422, fault="why_missing")
        return await _one_parked(face, session, parked, owner, parked_id, asked=asked)

    @router.post("/desk/parked/{owner}/{parked_id}/{action}")
    async def settle(request: Request, session: Admin, owner: str, parked_id: int, action: str) -> Response:
        why = (await form_of(request)).get("why", "").strip()[:LONGEST_WHY]
        if action not in ("replay", "discard") or not why or owner not in parked.services:
            return face.missing(session)
        try:
            settled = await parked.settle(owner, parked_id, action, session.staff)
        except OpsUnreachableError:
            return face.message(session, "unreachable", 502, service=owner, back="/desk/parked")
        if not settled:
            return face.message(session, "not_parked", 409, back="/desk/parked")
        subject = f"parked:{owner}:{parked_id}"
        async with service.pool.acquire() as conn:
            await store.act(conn, uuid4(), subject, session.staff, action, "", why, service.clock.now())
        return see(f"/desk/parked?done={action}")

    return router


async def _one_parked(
    face: Face,
    session: Session,
    parked: ParkedEvents,
    owner: str,
    parked_id: int,
    status: int = 200,
    *,
    asked: dict[str, str] | None = None,
    fault: str | None = None,
) -> Response:
    try:
        found = await parked.show(owner, parked_id) if owner in parked.services and 0 < parked_id < 2**62 else None
    except OpsUnreachableError:
        return face.message(session, "unreachable", 502, service=owner, back="/desk/parked")
    if found is None:
        return face.missing(session)
    return face.show(
        "parked_one.html", session, status, here="parked", owner=owner, one=found, asked=asked, fault=fault
    )


def _uuid(text: str | None) -> UUID | None:
    try:
        return UUID(text or "")
    except ValueError:
        return None
