"""Withdrawal of a report over HTTP, by the storefront on behalf of its customer."""

from uuid import UUID

from fastapi import APIRouter, Depends
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from libs.common.events.values import Identifier
from libs.common.http.api_keys import require_caller
from libs.common.http.problems import PROBLEM_RESPONSE
from libs.common.runtime.dependencies import Key
from services.intake.http.commands import WithdrawalAnswer
from services.intake.http.dependencies import CurrentCommands

router = APIRouter(
    prefix="/v1/issues",
    tags=["issues"],
    dependencies=[Depends(require_caller("storefront"))],
    responses=PROBLEM_RESPONSE,
)


class WithdrawalRequest(BaseModel):
    """The customer who reported the issue."""

    customer_id: Identifier


@router.post("/{issue_id}/withdraw", status_code=202, response_model=WithdrawalAnswer)
async def withdraw(issue_id: UUID, body: WithdrawalRequest, key: Key, commands: CurrentCommands) -> JSONResponse:
    """Take a report back. Once something has left, the answer says what happens instead."""
    return (await commands.withdraw(issue_id, body.customer_id, key)).response()
