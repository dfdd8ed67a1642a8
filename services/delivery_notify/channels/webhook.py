"""Webhook channel, for SMS or any other gateway of the shop.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md : `webhook-id` is the
idempotency key and the same on every attempt, `webhook-signature` covers id, timestamp and body. `Idempotency-Key`
repeats the key, for gateways that read that header. 410 means that the endpoint was removed; 422 with the code
`unreachable` means that the number does not exist.
"""

import json
from collections.abc import Sequence
from datetime import UTC, datetime

import httpx
from standardwebhooks import Webhook

from services.delivery_notify.channels import http_channel
from services.delivery_notify.channels.channel import EncodedMessage, MessageDraft, SendOutcome, SendStatus


def webhook_channel(name: str, url: str, secrets: Sequence[str]) -> http_channel.HttpChannel:
    """Create the channel `name`; each of the `secrets` (`whsec_...`) adds a signature."""
    signers = [Webhook(secret) for secret in secrets]

    def headers(message: EncodedMessage) -> dict[str, str]:
        now, key = datetime.now(UTC), str(message.idempotency_key)
        return {
            "webhook-id": key,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": " ".join(signer.sign(key, now, message.content.decode()) for signer in signers),
            "Idempotency-Key": key,
        }

    def encode(draft: MessageDraft) -> EncodedMessage:
        data = {"to": draft.address, "language": draft.language, "text": draft.rendered.brief}
        body = {"type": f"{name}.send", "timestamp": draft.written_at.isoformat(), "data": data}
        return EncodedMessage(draft.idempotency_key, draft.address, json.dumps(body, ensure_ascii=False).encode())

    return http_channel.HttpChannel(name, url, encode, headers, _classify)


def _classify(response: httpx.Response) -> SendOutcome:
    if response.status_code == 409:
        return SendOutcome(SendStatus.SENT, "already_accepted")
    if response.status_code == 422:
        return SendOutcome(SendStatus.PERMANENT_FAILURE, "http 422", invalid_address="unreachable" in response.text)
    return http_channel.classify_response(response)
