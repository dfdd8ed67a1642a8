"""Replies to customers over HTTP, for callers with the ops key, such as a help desk. The desk sends the same."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from libs.common.decisions.ids import derived_id
from libs.common.events.messages import ReplyText
from libs.common.events.values import Identifier
from libs.common.http.api_keys import require_caller
from libs.common.http.idempotency import answer_once
from libs.common.http.problems import PROBLEM_RESPONSE, Answer, Problem
from libs.common.runtime.dependencies import CurrentService, Key
from libs.common.runtime.service import ServiceTransaction
from services.intake.http.reply_commands import record_reply

router = APIRouter(
    prefix="/v1/issues", tags=["staff"], dependencies=[Depends(require_caller("ops"))], responses=PROBLEM_RESPONSE
)


class ReplyRequest(BaseModel):
    """Words of a member of staff to the customer of the issue; `staff` is not shown to the customer."""

    model_config = ConfigDict(extra="forbid")

    staff: Identifier
    text: Annotated[ReplyText, Field(description="Plain text; each line is a paragraph of the message.")]
    answers: Annotated[
        tuple[UUID, ...],
        Field(max_length=100, description="Ids of the messages (`issue.customer_wrote`) whose work at the desk ends."),
    ] = ()


class ReplyReceipt(BaseModel):
    """The reply is recorded; `notice.sent` of kind `staff_reply` in the timeline says when it went out."""

    issue_id: UUID
    message_id: UUID


@router.post("/{issue_id}/replies", status_code=202, response_model=ReplyReceipt)
async def reply(issue_id: UUID, reply: ReplyRequest, key: Key, service: CurrentService) -> JSONResponse:
    """Write to the customer of an issue, by the channel that the customer prefers."""

    async def record(tx: ServiceTransaction) -> Answer:
        async def once() -> Answer:
            message_id = derived_id("reply", f"/{key.caller}", key.key)
            if not await record_reply(tx, issue_id, message_id, reply.staff, reply.text, reply.answers):
                raise Problem(404, "unknown_issue", f"issue_id: there is no issue {issue_id}; send the id of an issue.")
            return Answer(202, ReplyReceipt(issue_id=issue_id, message_id=message_id).model_dump(mode="json"))

        return await answer_once(tx.conn, key, once)

    return (await service.transact(record)).response()
