"""What staff do at the desk: each action is confirmed on a page of its own, has a reason, and is kept.

Two people never act on one thing at once. Whoever asks to confirm claims the issue for some minutes; somebody else is
then told who has it. And a decision is taken on what was seen: the form carries the version of the story, and where
something has happened since, nothing is done and the newest state is shown. A button pressed twice is one act.

A decision about goods or money goes the way of every decision of staff (`Calls.decide`, which the route for decisions
calls too): intake writes `issue.staff_decided`, and what came of it shows up in the story. That somebody has talked to
an unhappy customer stays at the desk.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated
from uuid import UUID, uuid4

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from libs.common.events.values import Remedy, StaffAction
from libs.common.http.idempotency import IdempotencyKey
from libs.common.http.problems import Problem
from libs.common.runtime.service import Service, ServiceTransaction
from services.intake.cli.staff import Role
from services.intake.desk.auth import DeskRoute, Guard, form_of, see
from services.intake.desk.available_actions import HANDLED, Offer
from services.intake.desk.dead_letters import DeadLetterClient, OpsUnreachableError
from services.intake.desk.page_models import Views
from services.intake.desk.rendering import Face
from services.intake.desk.sessions import Session
from services.intake.http.commands import Decision, IntakeCommands
from services.intake.projections.work_queue import Kind
from services.intake.store import desk as store

CLAIM_LASTS = timedelta(minutes=5)
LONGEST_WHY = 1000


@dataclass(frozen=True, slots=True)
class Asked:
    """What a form asks for, and why."""

    offer: Offer
    comment: str

    @classmethod
    def of(cls, form: dict[str, str]) -> "Asked":
        action, _, about = form.get("what", "").partition(":")
        return cls(Offer(action, about), form.get("comment", "").replace("\r\n", "\n").strip()[:LONGEST_WHY])


@dataclass(frozen=True, slots=True)
class Confirmed(Asked):
    """What was confirmed: on which version of the story, and under an id that makes it one act."""

    version: str
    act_id: UUID

    @classmethod
    def read(cls, form: dict[str, str]) -> "Confirmed | None":
        """None where the form is not one that the desk made."""
        asked, act_id = Asked.of(form), _uuid(form.get("act_id"))
        if act_id is None or not asked.comment or not _is_action(asked.offer):
            return None
        return cls(asked.offer, asked.comment, form.get("version", ""), act_id)


class ChangedError(Exception):
    """Something has happened to the issue since it was looked at."""


class TakenError(Exception):
    """Somebody else is at it."""

    def __init__(self, claim: store.Claim) -> None:
        super().__init__(claim.staff)
        self.claim = claim


class RefusedError(Exception):
    """Intake does not take the decision; the message says why."""


@dataclass
class Decisions:
    """Takes decisions, one at a time per issue."""

    calls: IntakeCommands

    async def claim(self, issue_id: UUID, session: Session) -> None:
        """Raises `TakenError`."""
        service = self.calls.service
        async with service.transaction() as tx:
            claim = await store.claim(tx.conn, issue_id, session.staff, tx.now, tx.now + CLAIM_LASTS)
        if claim.staff != session.staff:
            raise TakenError(claim)

    async def take(self, issue_id: UUID, session: Session, asked: Confirmed) -> None:
        """Carry out what was confirmed; nothing the second time. Raises `TakenError`, `ChangedError`, `RefusedError`.

        The claim keeps colleagues away while intake decides. Who decides past the desk, over HTTP, is met by intake
        itself: the decision names how many it knew of.
        """
        async with self.calls.service.transaction() as tx:
            claim = await store.claim(tx.conn, issue_id, session.staff, tx.now, tx.now + CLAIM_LASTS)
            if claim.staff != session.staff:
                raise TakenError(claim)
            if await store.acted(tx.conn, asked.act_id):
                return
            if await store.version(tx.conn, issue_id) != asked.version:
                raise ChangedError
            seen = await store.decisions_taken(tx.conn, issue_id)
            if asked.offer.action == HANDLED:
                await self._handle(tx, issue_id, session, asked)
        if asked.offer.action != HANDLED:
            await self._decide(issue_id, session, asked, seen)
        async with self.calls.service.transaction() as tx:
            await store.release(tx.conn, issue_id, session.staff)

    async def _handle(self, tx: ServiceTransaction, issue_id: UUID, session: Session, asked: Confirmed) -> None:
        kind, _, about = asked.offer.about.partition(" ")
        await store.act(tx.conn, asked.act_id, str(issue_id), session.staff, HANDLED, kind, asked.comment, tx.now)
        await store.end_work(tx.conn, issue_id, Kind(kind), about)

    async def _decide(self, issue_id: UUID, session: Session, asked: Confirmed, seen: int) -> None:
        action, about = StaffAction(asked.offer.action), asked.offer.about
        decision = Decision(
            action=action,
            staff=session.staff,
            comment=asked.comment,
            expected_version=seen,
            review=about if action in (StaffAction.APPROVE_REVIEW, StaffAction.REFUSE_REVIEW) else None,
            remedy=Remedy(about) if action == StaffAction.CHOOSE_REMEDY else None,
        )
        key = IdempotencyKey("desk", str(asked.act_id), asked.act_id.bytes)
        try:
            await self.calls.decide(issue_id, decision, key)
        except Problem as problem:
            if problem.code == "decided_meanwhile":
                raise ChangedError from problem
            raise RefusedError(problem.detail) from problem


def action_routes(face: Face, guard: Guard, views: Views, decisions: Decisions) -> APIRouter:
    router = APIRouter(include_in_schema=False, route_class=DeskRoute)
    Agent = Annotated[Session, Depends(guard.least(Role.AGENT))]  # noqa: N806 - a type

    @router.post("/desk/issues/{issue_id}/confirm")
    async def confirm(request: Request, session: Agent, issue_id: UUID) -> Response:
        """Show what would be done, and take the issue for some minutes."""
        shown, asked = await views.issue(issue_id, session), Asked.of(await form_of(request))
        if shown is None:
            return face.missing(session)
        if asked.offer not in shown["offers"] or not asked.comment:
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
        asked, back = Confirmed.read(await form_of(request)), f"/desk/issues/{issue_id}"
        if asked is None:
            return see(back)
        try:
            await decisions.take(issue_id, session, asked)
        except TakenError as error:
            return _taken(face, session, issue_id, error)
        except ChangedError:
            return face.message(session, "changed", 409, back=back)
        except RefusedError as error:
            return face.message(session, "refused", 409, back=back, comment=str(error))
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
        return offer.about.partition(" ")[0] in (Kind.UNHAPPY, Kind.UNREACHED)
    if offer.action == StaffAction.CHOOSE_REMEDY:
        return offer.about in set(Remedy)
    return offer.action in set(StaffAction)


def dead_letter_routes(face: Face, guard: Guard, dead_letters: DeadLetterClient, service: Service) -> APIRouter:
    """Parked events may hold addresses, whole as they came: they are for admins."""
    router = APIRouter(include_in_schema=False, route_class=DeskRoute)
    Admin = Annotated[Session, Depends(guard.least(Role.ADMIN))]  # noqa: N806 - a type

    @router.get("/desk/dead-letters")
    async def list_dead_letters(session: Admin, done: str | None = None) -> Response:
        return face.show(
            "dead_letters.html", session, here="dead_letters", dead_letters=await dead_letters.all(), done=done
        )

    @router.get("/desk/dead-letters/{owner}/{dead_letter_id}")
    async def show_dead_letter(session: Admin, owner: str, dead_letter_id: int) -> Response:
        return await _dead_letter_page(face, session, dead_letters, owner, dead_letter_id)

    @router.post("/desk/dead-letters/{owner}/{dead_letter_id}/confirm")
    async def confirm(request: Request, session: Admin, owner: str, dead_letter_id: int) -> Response:
        form = await form_of(request)
        asked = {"action": form.get("action", ""), "comment": form.get("comment", "").strip()[:LONGEST_WHY]}
        if asked["action"] not in ("replay", "discard") or not asked["comment"]:
            return await _dead_letter_page(face, session, dead_letters, owner, dead_letter_id, 422, fault="why_missing")
        return await _dead_letter_page(face, session, dead_letters, owner, dead_letter_id, asked=asked)

    @router.post("/desk/dead-letters/{owner}/{dead_letter_id}/{action}")
    async def settle(request: Request, session: Admin, owner: str, dead_letter_id: int, action: str) -> Response:
        comment = (await form_of(request)).get("comment", "").strip()[:LONGEST_WHY]
        if action not in ("replay", "discard") or not comment or owner not in dead_letters.services:
            return face.missing(session)
        try:
            settled = await dead_letters.settle(owner, dead_letter_id, action, session.staff)
        except OpsUnreachableError:
            return face.message(session, "unreachable", 502, service=owner, back="/desk/dead-letters")
        if not settled:
            return face.message(session, "unknown_dead_letter", 409, back="/desk/dead-letters")
        subject = f"dead_letter:{owner}:{dead_letter_id}"
        async with service.pool.acquire() as conn:
            await store.act(conn, uuid4(), subject, session.staff, action, "", comment, service.clock.now())
        return see(f"/desk/dead-letters?done={action}")

    return router


async def _dead_letter_page(
    face: Face,
    session: Session,
    dead_letters: DeadLetterClient,
    owner: str,
    dead_letter_id: int,
    status: int = 200,
    *,
    asked: dict[str, str] | None = None,
    fault: str | None = None,
) -> Response:
    try:
        found = (
            await dead_letters.show(owner, dead_letter_id)
            if owner in dead_letters.services and 0 < dead_letter_id < 2**62
            else None
        )
    except OpsUnreachableError:
        return face.message(session, "unreachable", 502, service=owner, back="/desk/dead-letters")
    if found is None:
        return face.missing(session)
    shown = {**found, "stored_at": datetime.fromisoformat(found["stored_at"])}
    return face.show(
        "dead_letter.html", session, status, here="dead_letters", owner=owner, one=shown, asked=asked, fault=fault
    )


def _uuid(text: str | None) -> UUID | None:
    try:
        return UUID(text or "")
    except ValueError:
        return None
