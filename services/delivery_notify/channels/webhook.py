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
from services.delivery_notify.channels.channel import Draft, Message, Outcome, Verdict


def open_webhook(name: str, url: str, secrets: Sequence[str]) -> http_channel.HttpChannel:
    """`name` is the channel it stands for; each of the `secrets` signs, and begins with `whsec_`."""
    signers = [Webhook(secret) for secret in secrets]

    def headers(message: Message) -> dict[str, str]:
        now, key = datetime.now(UTC), str(message.key)
        return {
            "webhook-id": key,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": " ".join(one.sign(key, now, message.content.decode()) for one in signers),
            "Idempotency-Key": key,
        }

    def write(draft: Draft) -> Message:
        data = {"to": draft.address, "language": draft.language, "text": draft.rendered.brief}
        body = {"type": f"{name}.send", "timestamp": draft.date.isoformat(), "data": data}
        return Message(draft.key, draft.address, json.dumps(body, ensure_ascii=False).encode())

    return http_channel.HttpChannel(name, url, write, headers, _judge)


def _judge(response: httpx.Response) -> Outcome:
    if response.status_code == 409:
        return Outcome(Verdict.SENT, "accepted before")
    if response.status_code == 422:
        return Outcome(Verdict.REFUSED, "http 422", dead_address="unreachable" in response.text)
    return http_channel.judge(response)
