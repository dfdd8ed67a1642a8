"""Zendesk channel for staff notices: one ticket per notice.

https://developer.zendesk.com/api-reference/ticketing/introduction/ : `POST /api/v2/tickets.json` with an API token,
201; a repeated `Idempotency-Key` returns the first answer with `x-idempotency-lookup: hit`; 429 with `Retry-After`;
422 for an invalid ticket. Keys expire, so `external_id` holds the notice id as well.
"""

import base64
import json

from services.delivery_notify.channels import http_channel
from services.delivery_notify.channels.channel import EncodedMessage, MessageDraft


def zendesk_channel(url: str, email: str, token: str) -> http_channel.HttpChannel:
    credentials = base64.b64encode(f"{email}/token:{token}".encode()).decode()

    def headers(message: EncodedMessage) -> dict[str, str]:
        return {"Authorization": f"Basic {credentials}", "Idempotency-Key": str(message.idempotency_key)}

    return http_channel.HttpChannel(
        "zendesk", f"{url.rstrip('/')}/api/v2/tickets.json", _encode, headers, http_channel.classify_response
    )


def _encode(draft: MessageDraft) -> EncodedMessage:
    ticket = {
        "subject": draft.rendered.subject,
        "comment": {"body": draft.rendered.text.strip(), "public": False},
        "external_id": str(draft.idempotency_key),
        "tags": ["sakidashi"],
    }
    return EncodedMessage(
        draft.idempotency_key, draft.address, json.dumps({"ticket": ticket}, ensure_ascii=False).encode()
    )
