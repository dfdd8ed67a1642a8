"""Zendesk, for staff: one ticket per notice.

https://developer.zendesk.com/api-reference/ticketing/introduction/ : `POST /api/v2/tickets.json` with an API token,
201; the same `Idempotency-Key` again gives the first answer with `x-idempotency-lookup: hit`; 429 with `Retry-After`;
422 for a ticket it cannot take. A key is not remembered for ever, so `external_id` names the notice as well.
"""

import base64
import json

from services.delivery_notify.channels import http_channel
from services.delivery_notify.channels.channel import Draft, Message


def open_zendesk(url: str, email: str, token: str) -> http_channel.HttpChannel:
    login = base64.b64encode(f"{email}/token:{token}".encode()).decode()

    def headers(message: Message) -> dict[str, str]:
        return {"Authorization": f"Basic {login}", "Idempotency-Key": str(message.key)}

    return http_channel.HttpChannel(
        "zendesk", f"{url.rstrip('/')}/api/v2/tickets.json", _write, headers, http_channel.judge
    )


def _write(draft: Draft) -> Message:
    ticket = {
        "subject": draft.rendered.subject,
        "comment": {"body": draft.rendered.text.strip(), "public": False},
        "external_id": str(draft.key),
        "tags": ["sakidashi"],
    }
    return Message(draft.key, draft.address, json.dumps({"ticket": ticket}, ensure_ascii=False).encode())
