"""SMS (or anything else) through a webhook of the shop's own choice: whatever gateway it has is put behind it.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md : `webhook-id` is the
idempotency key and the same on every attempt, `webhook-signature` is over id, timestamp and body. The key stands in
`Idempotency-Key` as well, for gateways that look there. 410 means that nobody listens any more; a 422 that names the
code `unreachable` says that there is no such number.
"""

import json
from collections.abc import Sequence
from datetime import UTC, datetime

import httpx
from standardwebhooks import Webhook

from services.delivery_notify.channels import http_channel
from services.delivery_notify.channels.channel import EncodedMessage, MessageDraft, SendOutcome, SendStatus


def webhook_channel(name: str, url: str, secrets: Sequence[str]) -> http_channel.HttpChannel:
    """`name` is the channel it stands for; each of the `secrets` signs, and begins with `whsec_`."""
    signers = [Webhook(secret) for secret in secrets]

    def headers(message: EncodedMessage) -> dict[str, str]:
        now, key = datetime.now(UTC), str(message.idempotency_key)
        return {
            "webhook-id": key,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": " ".join(one.sign(key, now, message.content.decode()) for one in signers),
            "Idempotency-Key": key,
        }

    def encode(draft: MessageDraft) -> EncodedMessage:
        data = {"to": draft.address, "language": draft.language, "text": draft.rendered.brief}
        body = {"type": f"{name}.send", "timestamp": draft.written_at.isoformat(), "data": data}
        return EncodedMessage(draft.idempotency_key, draft.address, json.dumps(body, ensure_ascii=False).encode())

    return http_channel.HttpChannel(name, url, encode, headers, _classify)


def _classify(response: httpx.Response) -> SendOutcome:
    if response.status_code == 409:
        return SendOutcome(SendStatus.SENT, "accepted before")
    if response.status_code == 422:
        return SendOutcome(SendStatus.PERMANENT_FAILURE, "http 422", invalid_address="unreachable" in response.text)
    return http_channel.classify_response(response)
