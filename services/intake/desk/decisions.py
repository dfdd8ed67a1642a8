"""Decisions of staff at the desk: claimed by one person at a time, confirmed, and applied at most once.

A claim keeps colleagues away while a confirmation is open. The confirmed form carries the version of the issue it was
made for; after any change the decision is refused and the current state is shown. Decisions on goods or money go to
`IntakeCommands.decide`, like those over HTTP; that a customer was contacted is recorded at the desk only.
"""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from libs.common.events.values import Remedy, StaffAction
from libs.common.http.idempotency import IdempotencyKey
from libs.common.http.problems import Problem
from libs.common.postgres.pool import Connection
from libs.common.runtime.service import ServiceTransaction
from libs.common.web.forms import multiline, parse_uuid
from services.intake.desk.available_actions import RECORD_ANSWER, AvailableAction
from services.intake.desk.sessions import StaffSession
from services.intake.domain.projections.work_items import HANDLED, WorkKind
from services.intake.http.commands import IntakeCommands, StaffDecisionRequest
from services.intake.store import desk as desk_store
from services.intake.store.issues import read_line_ids, read_missing_details

CLAIM_DURATION = timedelta(minutes=5)
MAX_COMMENT_LENGTH = 1000
MAX_PART_LENGTH = 200


@dataclass(frozen=True, slots=True)
class ActionRequest:
    """An action chosen in a form, with its comment."""

    action: AvailableAction
    comment: str

    @classmethod
    def from_form(cls, form: dict[str, str]) -> "ActionRequest":
        name, _, subject = form.get("action", "").partition(":")
        return cls(AvailableAction(name, subject), multiline(form.get("comment", ""), MAX_COMMENT_LENGTH))


@dataclass(frozen=True, slots=True)
class ConfirmedAction:
    """A confirmed action. `version` is the issue's version it was confirmed for, `action_id` its idempotency key."""

    action: AvailableAction
    comment: str
    version: str
    action_id: UUID

    @classmethod
    def from_form(cls, form: dict[str, str]) -> "ConfirmedAction | None":
        """Return None for forms that the desk did not render."""
        request, action_id = ActionRequest.from_form(form), parse_uuid(form.get("action_id"))
        if action_id is None or not request.comment or not _is_known(request.action):
            return None
        return cls(request.action, request.comment, form.get("version", ""), action_id)


class StaleVersionError(Exception):
    """The issue has changed since the form was rendered."""


class ClaimedError(Exception):
    """A colleague has claimed the issue."""

    def __init__(self, claim: desk_store.IssueClaim) -> None:
        super().__init__(claim.staff)
        self.claim = claim


class DecisionRefusedError(Exception):
    """Intake refused the decision; the message is its reason."""


@dataclass
class DeskDecisions:
    commands: IntakeCommands

    async def claim(self, issue_id: UUID, session: StaffSession) -> None:
        """Raises `ClaimedError`."""
        await self.commands.service.transact(lambda tx: self.hold(tx, issue_id, session))

    async def hold(self, tx: ServiceTransaction, issue_id: UUID, session: StaffSession) -> None:
        """Claim the issue in this transaction. Raises `ClaimedError`."""
        claim = await desk_store.claim(tx.conn, issue_id, session.staff, tx.now, tx.now + CLAIM_DURATION)
        if claim.staff != session.staff:
            raise ClaimedError(claim)

    async def execute(self, issue_id: UUID, session: StaffSession, confirmed: ConfirmedAction) -> None:
        """Apply a confirmed action once. Raises `ClaimedError`, `StaleVersionError`, `DecisionRefusedError`.

        A decision over HTTP bypasses the claim; intake detects it by the number of decisions that this one expects.
        """
        async with self.commands.service.transaction() as tx:
            await self.hold(tx, issue_id, session)
            if await desk_store.action_recorded(tx.conn, confirmed.action_id):
                return
            if await desk_store.issue_version(tx.conn, issue_id) != confirmed.version:
                raise StaleVersionError
            decision_count = await desk_store.count_decisions(tx.conn, issue_id)
            if confirmed.action.name == HANDLED:
                await self._mark_handled(tx, issue_id, session, confirmed)
        if confirmed.action.name == RECORD_ANSWER:
            await self._record_answer(issue_id, session, confirmed)
        elif confirmed.action.name != HANDLED:
            await self._decide(issue_id, session, confirmed, decision_count)
        await self.release(issue_id, session)

    async def release(self, issue_id: UUID, session: StaffSession) -> None:
        async with self.commands.service.pool.acquire() as conn:
            await desk_store.release(conn, issue_id, session.staff)

    async def _mark_handled(
        self, tx: ServiceTransaction, issue_id: UUID, session: StaffSession, confirmed: ConfirmedAction
    ) -> None:
        """End the item, and record its whole subject: the same cause does not come back when it is reported again."""
        subject = confirmed.action.subject
        await desk_store.record_action(
            tx.conn, confirmed.action_id, str(issue_id), session.staff, HANDLED, subject, confirmed.comment, tx.now
        )
        kind, _, about = subject.partition(" ")
        await desk_store.end_work(tx.conn, issue_id, WorkKind(kind), about)

    async def _record_answer(self, issue_id: UUID, session: StaffSession, confirmed: ConfirmedAction) -> None:
        """Provide the comment as the details that the report lacks; of several lines, staff name the part in it."""
        service, answer = self.commands.service, confirmed.comment
        async with service.pool.acquire() as conn:
            missing = await read_missing_details(conn, issue_id)
            lines = await read_line_ids(conn, issue_id) if "part" in missing else []
        parts = dict.fromkeys(lines, answer[:MAX_PART_LENGTH]) if len(lines) == 1 else {}

        async def record(conn: Connection) -> None:
            await desk_store.record_action(
                conn, confirmed.action_id, str(issue_id), session.staff, RECORD_ANSWER, "", answer, service.clock.now()
            )

        try:
            await self.commands.provide_details(issue_id, description=answer, parts=parts, besides=record)
        except Problem as problem:
            raise DecisionRefusedError(problem.detail) from problem

    async def _decide(
        self, issue_id: UUID, session: StaffSession, confirmed: ConfirmedAction, decision_count: int
    ) -> None:
        action, subject = StaffAction(confirmed.action.name), confirmed.action.subject
        decision = StaffDecisionRequest(
            action=action,
            staff=session.staff,
            comment=confirmed.comment,
            expected_version=decision_count,
            review=subject if action in (StaffAction.APPROVE_REVIEW, StaffAction.REFUSE_REVIEW) else None,
            remedy=Remedy(subject) if action == StaffAction.CHOOSE_REMEDY else None,
        )
        key = IdempotencyKey("desk", str(confirmed.action_id), confirmed.action_id.bytes)
        try:
            await self.commands.decide(issue_id, decision, key)
        except Problem as problem:
            if problem.code == "decided_meanwhile":
                raise StaleVersionError from problem
            raise DecisionRefusedError(problem.detail) from problem


def _is_known(action: AvailableAction) -> bool:
    """Return true if the action exists; its availability was checked before the confirmation."""
    if action.name == HANDLED:
        return action.subject.partition(" ")[0] in (
            WorkKind.UNHAPPY,
            WorkKind.UNREACHED,
            WorkKind.WINDOW,
            WorkKind.MESSAGE,
            WorkKind.ANOMALY,
        )
    if action.name == RECORD_ANSWER:
        return not action.subject
    if action.name == StaffAction.CHOOSE_REMEDY:
        return action.subject in set(Remedy)
    return action.name in set(StaffAction)
