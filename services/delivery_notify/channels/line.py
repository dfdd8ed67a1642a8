"""LINE: a push message of the Messaging API to a user who is a friend of the shop's official account.

https://developers.line.biz/en/docs/messaging-api/retrying-api-request/ : with the same `X-Line-Retry-Key` a message
is accepted once for 24 hours; 409 says that it was, 5xx and timeouts are tried again, other 4xx are not. Our attempts
end after about ten hours. https://developers.line.biz/en/reference/messaging-api/ : 400 where the user is not there;
429 for too many calls, and for a month's messages being used up, which no waiting mends: the next way is taken.
"""

import json

import httpx

from services.delivery_notify.channels import http_channel
from services.delivery_notify.channels.channel import EncodedMessage, MessageDraft, SendOutcome, SendStatus

MAX_TEXT_LENGTH = 5_000
"""UTF-16 code units in one text message."""


def line_channel(access_token: str, api_url: str) -> http_channel.HttpChannel:
    def headers(message: EncodedMessage) -> dict[str, str]:
        return {"Authorization": f"Bearer {access_token}", "X-Line-Retry-Key": str(message.idempotency_key)}

    return http_channel.HttpChannel("line", f"{api_url.rstrip('/')}/v2/bot/message/push", _encode, headers, _classify)


def _encode(draft: MessageDraft) -> EncodedMessage:
    text = f"{draft.rendered.subject}\n\n{draft.rendered.text.strip()}"
    if len(text.encode("utf-16-le")) // 2 > MAX_TEXT_LENGTH:
        text = draft.rendered.brief
    body = {"to": draft.address, "messages": [{"type": "text", "text": text}]}
    return EncodedMessage(draft.idempotency_key, draft.address, json.dumps(body, ensure_ascii=False).encode())


def _classify(response: httpx.Response) -> SendOutcome:
    if response.status_code == 409:
        return SendOutcome(SendStatus.SENT, "accepted before")
    if response.status_code == 429 and "monthly limit" in response.text:
        return SendOutcome(SendStatus.PERMANENT_FAILURE, "http 429 monthly limit")
    if response.status_code == 400:
        gone = "'to'" in response.text or "Failed to send messages" in response.text
        return SendOutcome(SendStatus.PERMANENT_FAILURE, "http 400", invalid_address=gone)
    return http_channel.classify_response(response)
