"""Route for incoming mail: the bytes of one message, as a mail server or provider has them.

The caller is a mail server, a provider's webhook relay, or `sakidashi deliver-mail` behind a pipe of Postfix. It has an
API key named `mail`. Standard Webhooks was rejected: it signs text, and a mail is bytes in any character set.
"""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel

from libs.common.http.api_keys import require_caller
from libs.common.http.problems import PROBLEM_RESPONSE, Problem
from services.intake.mail.reading import MAX_BYTES, UnreadableMailError
from services.intake.mail.receiving import MailOutcome, MailReceipt, MailReceiver

PATH = "/v1/mail"

_BODY = {"requestBody": {"required": True, "content": {"message/rfc822": {"schema": {"type": "string"}}}}}


class MailAnswer(BaseModel):
    """Outcome of a mail, with the message and the issue where it has them."""

    outcome: MailOutcome
    message_id: UUID | None = None
    issue_id: UUID | None = None


router = APIRouter(tags=["mail"], responses=PROBLEM_RESPONSE)


def _receiver(request: Request) -> MailReceiver:
    receiver: MailReceiver = request.app.state.mail
    return receiver


@router.post(
    PATH, status_code=202, response_model=MailAnswer, openapi_extra=_BODY,
    dependencies=[Depends(require_caller("mail", "ops"))],
)  # fmt: skip
async def receive_mail(request: Request, receiver: Annotated[MailReceiver, Depends(_receiver)]) -> MailReceipt:
    """Take one mail. A repeated one changes nothing; 429 and 503 ask for it again later."""
    try:
        async with receiver.slot():
            return await receiver.receive(await _raw(request))
    except UnreadableMailError as error:
        raise Problem(422, "unreadable_mail", f"{error}.") from error


async def _raw(request: Request) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > MAX_BYTES:
            raise Problem(
                413, "mail_too_large", f"body: over {MAX_BYTES} bytes; a customer has to send smaller photos."
            )
        parts.append(part)
    return b"".join(parts)
