"""LINE channel: a push message of the Messaging API to a friend of the shop's official account.

https://developers.line.biz/en/docs/messaging-api/retrying-api-request/ : LINE accepts one message per
`X-Line-Retry-Key` in 24 hours and answers 409 to a repeat; 5xx and timeouts are retried, other 4xx are not. Retries
end after about ten hours. https://developers.line.biz/en/reference/messaging-api/ : 400 for an unknown user; 429 for
rate limits and for an exhausted monthly quota, which is permanent here, so that the notice falls back.
"""

import json

import httpx

from services.delivery_notify.channels import http_channel
from services.delivery_notify.channels.channel import EncodedMessage, MessageDraft, SendOutcome, SendStatus

MAX_TEXT_LENGTH = 5_000
"""Length limit of a text message in UTF-16 code units."""


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
        return SendOutcome(SendStatus.SENT, "already_accepted")
    if response.status_code == 429 and "monthly limit" in response.text:
        return SendOutcome(SendStatus.PERMANENT_FAILURE, "http 429 monthly limit")
    if response.status_code == 400:
        unknown_user = "'to'" in response.text or "Failed to send messages" in response.text
        return SendOutcome(SendStatus.PERMANENT_FAILURE, "http 400", invalid_address=unknown_user)
    return http_channel.classify_response(response)
