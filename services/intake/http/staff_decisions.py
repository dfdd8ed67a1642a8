"""Staff decisions over HTTP, for callers with the ops key. The desk sends the same command."""

from uuid import UUID

from fastapi import APIRouter, Depends
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from libs.common.http.api_keys import require_caller
from libs.common.http.problems import PROBLEM_RESPONSE
from libs.common.runtime.dependencies import Key
from services.intake.http.commands import StaffDecisionRequest
from services.intake.http.dependencies import CurrentCommands

router = APIRouter(
    prefix="/v1/issues", tags=["staff"], dependencies=[Depends(require_caller("ops"))], responses=PROBLEM_RESPONSE
)


class StaffDecisionAnswer(BaseModel):
    """Recorded as this `version` of the issue; `issue.staff_decision_applied` in the timeline is its outcome."""

    issue_id: UUID
    decision_id: UUID
    version: int


@router.post("/{issue_id}/decisions", status_code=202, response_model=StaffDecisionAnswer)
async def decide(issue_id: UUID, decision: StaffDecisionRequest, key: Key, commands: CurrentCommands) -> JSONResponse:
    """Accept, reject, choose a remedy, waive the collection, reopen, cancel, approve or refuse a review."""
    return (await commands.decide(issue_id, decision, key)).response()
