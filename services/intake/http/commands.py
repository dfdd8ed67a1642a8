"""What routes and pages ask of intake: report, give what is missing, decide. One way each, whoever asks.

Each is a command to the orders' aggregate, decided under the lock of its order, and answers with what is to be told;
a refusal is a `Problem` with the field and what would be right.
"""

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
from libs.common.runtime.service import Service
from services.intake.domain import pending_details
from services.intake.domain.commands import (
    DecisionComment,
    ProvideDetails,
    RecordStaffDecision,
    SubmitReport,
    SubmitUnclearReport,
)
from services.intake.domain.context import CommandRefused
from services.intake.domain.issue_acceptance import IssueRecorded
from services.intake.domain.orders import StoredPhoto
from services.intake.domain.staff_decisions import StaffDecisionRecorded
from services.intake.projections.issue_status import IssueStatus
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
"""Every other refusal is 422: what was asked is understood and does not stand."""


class ReportReceipt(BaseModel):
    """The report was taken, and this is where to see how it goes on.

    `missing` is what the customer still owes, by `details_by`; without it the report is accepted as it is. By
    `next_update_by`, an open day of the shop, the customer hears more.
    """

    issue_id: UUID
    status_url: str
    status: IssueStatus
    next_update_by: date | None = None
    missing: tuple[str, ...] | None = None
    details_by: date | None = None


class StaffDecisionRequest(BaseModel):
    """What one of the shop's people decides. `expected_version` is the `version` of the issue that they looked at."""

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

    async def submit(self, said: IssueSubmitted, key: IdempotencyKey) -> Answer:
        """A new report. The id is the storefront's own, else one that follows from the caller's key."""
        issue_id = said.issue_id or derived_id("issue", f"/{key.caller}", key.key)
        event = self.service.event(SubmitReport(issue_id=issue_id, report=said))
        return await self.service.execute(
            self.orders, event, idempotency=key, answer=lambda facts: self._receipt(issue_id, facts)
        )

    async def submit_unclear(self, said: IssueSubmitted, key: IdempotencyKey) -> None:
        """A report that does not say what is wrong, under its own id. Raises `Problem` while its order is unknown."""
        event = self.service.event(SubmitUnclearReport(issue_id=said.issue_id, report=said))
        answer = await self.service.execute(self.orders, event, idempotency=key, answer=_given)
        if answer.status >= 400:
            raise Problem(answer.status, answer.body["code"], answer.body["detail"])

    def _receipt(self, issue_id: UUID, facts: Facts) -> Answer:
        raise_refusal(facts)
        rules, now = self.orders.rules, self.service.clock.now()
        filed = next((fact for fact in facts if isinstance(fact, IssueRecorded)), None)
        missing = filed.missing if filed else ()
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
    ) -> None:
        """Photos, names of missing parts or a description for an issue. Raises `Problem`."""
        order_id = await self.order_of(issue_id)
        given = ProvideDetails(
            issue_id=issue_id,
            order_id=order_id,
            photos=photos,
            parts=parts or {},
            description=description,
            max_photos=max_photos,
        )
        answer = await self.service.execute(self.orders, self.service.event(given), answer=_given)
        if answer.status >= 400:
            known = {"type", "title", "status", "code", "detail"}
            members = {name: value for name, value in answer.body.items() if name not in known}
            raise Problem(answer.status, answer.body["code"], answer.body["detail"], **members)

    async def decide(self, issue_id: UUID, decision: StaffDecisionRequest, key: IdempotencyKey) -> Answer:
        """A decision of staff: recorded, and carried out here or by returns; or an answer that says why not."""
        command = RecordStaffDecision(
            issue_id=issue_id,
            order_id=await self.order_of(issue_id),
            decision_id=derived_id("decision", key.caller, key.key),
            **decision.model_dump(),
        )
        event = self.service.event(command)
        return await self.service.execute(self.orders, event, idempotency=key, answer=_decided)

    async def order_of(self, issue_id: UUID) -> str:
        """Raises `Problem` 404."""
        async with self.service.pool.acquire() as conn:
            order_id = await store.read_order_id(conn, issue_id)
        if order_id is None:
            raise unknown_issue(issue_id)
        return order_id


def raise_refusal(facts: Facts) -> None:
    """Raise the `Problem` that a refusal among the facts is."""
    refused = next((fact.refusal for fact in facts if isinstance(fact, CommandRefused)), None)
    if refused is None:
        return
    members: dict[str, Any] = {"field": refused.field}
    if refused.issue_id:
        members |= {"issue_id": str(refused.issue_id), "issue_url": f"/v1/issues/{refused.issue_id}"}
    status = _STATUS_OF_REFUSAL.get(refused.code, 422)
    raise Problem(status, refused.code, f"{refused.field}: {refused.message}.", **members)


def _given(facts: Facts) -> Answer:
    raise_refusal(facts)
    return Answer(200, {})


def _decided(facts: Facts) -> Answer:
    raise_refusal(facts)
    made = next(fact for fact in facts if isinstance(fact, StaffDecisionRecorded))
    told = {"issue_id": made.decision.issue_id, "decision_id": made.decision.decision_id}
    return Answer(202, {name: str(value) for name, value in told.items()} | {"version": made.version})


def unknown_issue(issue_id: UUID) -> Problem:
    return Problem(404, "unknown_issue", f"issue_id: {issue_id} is not known; send the id that the report was given.")
