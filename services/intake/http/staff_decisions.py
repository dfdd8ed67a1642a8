"""What staff decide about an issue, for callers with the key of ops. The desk makes the same call."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from libs.common.http.idempotency import IdempotencyKey, idempotency_key
from libs.common.http.problems import PROBLEM_RESPONSE
from services.intake.http.commands import Decision, IntakeCommands


class Decided(BaseModel):
    """Recorded as this `version` of the issue; the timeline tells by `issue.staff_decision_applied` what came of it."""

    issue_id: UUID
    decision_id: UUID
    version: int


def routes(calls: IntakeCommands) -> APIRouter:
    ops = calls.service.require_caller("ops")
    router = APIRouter(prefix="/v1/issues", tags=["staff"], dependencies=[Depends(ops)], responses=PROBLEM_RESPONSE)

    @router.post("/{issue_id}/decisions", status_code=202, response_model=Decided)
    async def decide(
        issue_id: UUID, decision: Decision, key: Annotated[IdempotencyKey, Depends(idempotency_key)]
    ) -> JSONResponse:
        """Accept, reject, choose a remedy, waive the collection, reopen, cancel, approve or refuse a review."""
        return (await calls.decide(issue_id, decision, key)).response()

    return router
