"""Commands of routes and pages: submit a report, provide details, decide as staff.

Each is decided by the orders aggregate under the lock of its order; a refusal is a `Problem` with the field and what
would be right.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from libs.common.decisions.facts import Facts
from libs.common.decisions.ids import derived_id
from libs.common.events.issues import IssueAccepted
from libs.common.events.storefront import IssueSubmitted
from libs.common.events.values import Identifier, Remedy, StaffAction
from libs.common.http.idempotency import IdempotencyKey
from libs.common.http.problems import Answer, Problem
from libs.common.postgres.pool import Connection
from libs.common.privacy.customer_merges import is_customer
from libs.common.runtime.command_batcher import Besides
from libs.common.runtime.service import Service
from services.intake.domain import pending_details
from services.intake.domain.commands import (
    DecisionComment,
    ProvideDetails,
    RecordStaffDecision,
    SubmitLateReport,
    SubmitReport,
    SubmitUnclearReport,
    WithdrawReport,
)
from services.intake.domain.context import CommandRefused
from services.intake.domain.issue_acceptance import IssueRecorded
from services.intake.domain.orders import StoredPhoto
from services.intake.domain.projections.issue_status import CLOSED_STATUSES, IssueStatus
from services.intake.domain.projections.withdrawable import can_withdraw
from services.intake.domain.staff_decisions import StaffDecisionRecorded
from services.intake.store import issues as store
from services.intake.store.orders import Orders

_STATUS_OF_REFUSAL = {
    "unknown_order": 404,
    "unknown_issue": 404,
    "foreign_customer": 403,
    "already_reported": 409,
    "issue_exists": 409,
    "decided_meanwhile": 409,
    "accepted_already": 409,
    "not_accepted": 409,
    "issue_rejected": 409,
    "no_such_review": 409,
    "nothing_missing": 409,
}
"""Any other refusal is 422."""


class ReportReceipt(BaseModel):
    """Receipt of a report, with the URL of its status.

    `missing` are the details that the customer still owes, by `details_by`; without it the report is accepted. The next
    update is due by `next_update_by`, an open day of the shop.
    """

    issue_id: UUID
    status_url: str
    status: IssueStatus
    next_update_by: date | None = None
    missing: tuple[str, ...] | None = None
    details_by: date | None = None


class StaffDecisionRequest(BaseModel):
    """Decision of a member of staff. `expected_version` is the `version` of the issue that they had read."""

    model_config = ConfigDict(extra="forbid")

    action: StaffAction
    staff: Identifier
    comment: DecisionComment
    expected_version: Annotated[int, Field(ge=0, le=2**31 - 1)]
    review: Annotated[str, StringConstraints(min_length=1, max_length=100)] | None = Field(
        default=None, description="The cause of the review, for approve_review and refuse_review."
    )
    remedy: Remedy | None = Field(default=None, description="For choose_remedy; also with accept and reopen.")


@dataclass(frozen=True)
class IntakeCommands:
    service: Service
    orders: Orders

    async def submit(
        self,
        submission: IssueSubmitted,
        key: IdempotencyKey,
        *,
        overrules_window: bool = False,
        besides: Callable[[Connection, UUID], Awaitable[None]] | None = None,
    ) -> Answer:
        """Submit a report. Its id is the storefront's own, else one derived from the caller's key.

        `besides` writes rows about the issue in the transaction that accepts it.
        """
        command = SubmitLateReport if overrules_window else SubmitReport
        issue_id = submission.issue_id or derived_id("issue", f"/{key.caller}", key.key)
        event = self.service.event(command(issue_id=issue_id, report=submission))
        return await self.service.execute(
            self.orders,
            event,
            idempotency=key,
            answer=lambda facts: self._receipt(issue_id, facts),
            besides=besides and (lambda conn: besides(conn, issue_id)),
        )

    async def submit_unclear(self, submission: IssueSubmitted, key: IdempotencyKey) -> None:
        """Submit a report without a clear reason, under its own id. Raises `Problem` while its order is unknown."""
        event = self.service.event(SubmitUnclearReport(issue_id=submission.issue_id, report=submission))
        answer = await self.service.execute(self.orders, event, idempotency=key, answer=_no_content)
        if answer.status >= 400:
            raise Problem(answer.status, answer.body["code"], answer.body["detail"])

    def _receipt(self, issue_id: UUID, facts: Facts) -> Answer:
        raise_refusal(facts)
        rules, now = self.orders.rules, self.service.clock.now()
        recorded = next((fact for fact in facts if isinstance(fact, IssueRecorded)), None)
        missing = recorded.missing if recorded else ()
        accepted = next((fact for fact in facts if isinstance(fact, IssueAccepted)), None)
        receipt = ReportReceipt(
            issue_id=issue_id,
            status_url=f"/v1/issues/{issue_id}",
            status=IssueStatus.WAITING_FOR_CUSTOMER if missing else IssueStatus.ACCEPTED,
            next_update_by=accepted and accepted.next_update_by,
            missing=missing or None,
            details_by=rules.hours.calendar.day(pending_details.answer_by(now, rules)) if missing else None,
        )
        return Answer(202, receipt.model_dump(mode="json", exclude_none=True))

    async def provide_details(
        self,
        issue_id: UUID,
        *,
        photos: tuple[StoredPhoto, ...] = (),
        parts: dict[str, str] | None = None,
        description: str | None = None,
        max_photos: int = 50,
        besides: Besides | None = None,
    ) -> None:
        """Add photos, names of missing parts or a description to an issue. Raises `Problem`.

        `besides` writes rows in the transaction that adds them.
        """
        order_id = await self.order_of(issue_id)
        command = ProvideDetails(
            issue_id=issue_id,
            order_id=order_id,
            photos=photos,
            parts=parts or {},
            description=description,
            max_photos=max_photos,
        )
        answer = await self.service.execute(
            self.orders, self.service.event(command), answer=_no_content, besides=besides
        )
        if answer.status >= 400:
            known = {"type", "title", "status", "code", "detail"}
            members = {name: value for name, value in answer.body.items() if name not in known}
            raise Problem(answer.status, answer.body["code"], answer.body["detail"], **members)

    async def decide(self, issue_id: UUID, decision: StaffDecisionRequest, key: IdempotencyKey) -> Answer:
        """Record a staff decision, to be carried out here or by returns; or answer with the refusal."""
        command = RecordStaffDecision(
            issue_id=issue_id,
            order_id=await self.order_of(issue_id),
            decision_id=derived_id("decision", key.caller, key.key),
            **decision.model_dump(),
        )
        event = self.service.event(command)
        return await self.service.execute(self.orders, event, idempotency=key, answer=_decided)

    async def withdraw(self, issue_id: UUID, customer_id: str, key: IdempotencyKey | None = None) -> Answer:
        """Take a report back, or answer what happens instead. Raises `Problem`."""
        async with self.service.pool.acquire() as conn:
            issue = await store.read_status(conn, issue_id)
            if issue is None or not await is_customer(conn, customer_id, issue.customer_id):
                raise unknown_issue(issue_id)
            types = await store.read_event_types(conn, issue_id)
        if not can_withdraw(issue.status, types):
            raise _too_late(issue.status)
        command = WithdrawReport(issue_id=issue_id, order_id=issue.order_id, customer_id=customer_id)
        event = self.service.event(command)
        return await self.service.execute(self.orders, event, idempotency=key, answer=_withdrawn(issue_id))

    async def order_of(self, issue_id: UUID) -> str:
        """Return the order of an issue. Raises `Problem` 404."""
        async with self.service.pool.acquire() as conn:
            order_id = await store.read_order_id(conn, issue_id)
        if order_id is None:
            raise unknown_issue(issue_id)
        return order_id


class WithdrawalAnswer(BaseModel):
    """Recorded; `issue.cancelled` follows, or `issue.staff_decision_applied` says why it could not be carried out."""

    issue_id: UUID


def _withdrawn(issue_id: UUID) -> Callable[[Facts], Answer]:
    def answer(facts: Facts) -> Answer:
        raise_refusal(facts)
        return Answer(202, {"issue_id": str(issue_id)})

    return answer


def _too_late(status: str) -> Problem:
    if status in CLOSED_STATUSES:
        return Problem(409, "issue_closed", f"issue_id: the issue is {status} already; there is nothing to take back.")
    detail = (
        f"issue_id: something has left already (status {status}); the issue goes on as planned, and the customer may "
        "refuse the parcel or return the goods as a change of mind."
    )
    return Problem(409, "already_left", detail, issue_status=status)


def raise_refusal(facts: Facts) -> None:
    """Raise a refusal among the facts as `Problem`."""
    refused = next((fact.refusal for fact in facts if isinstance(fact, CommandRefused)), None)
    if refused is None:
        return
    members: dict[str, Any] = {"field": refused.field}
    if refused.issue_id:
        members |= {"issue_id": str(refused.issue_id), "issue_url": f"/v1/issues/{refused.issue_id}"}
    status = _STATUS_OF_REFUSAL.get(refused.code, 422)
    raise Problem(status, refused.code, f"{refused.field}: {refused.message}.", **members)


def _no_content(facts: Facts) -> Answer:
    raise_refusal(facts)
    return Answer(200, {})


def _decided(facts: Facts) -> Answer:
    raise_refusal(facts)
    made = next(fact for fact in facts if isinstance(fact, StaffDecisionRecorded))
    ids = {"issue_id": made.decision.issue_id, "decision_id": made.decision.decision_id}
    return Answer(202, {name: str(value) for name, value in ids.items()} | {"version": made.version})


def unknown_issue(issue_id: UUID) -> Problem:
    return Problem(404, "unknown_issue", f"issue_id: {issue_id} is not known; send the id that the report was given.")
