"""Answers of webhooks, and what intake published."""

import json
from typing import Any

from libs.common.events.registry import decode
from tests.running import Live


async def published(live: Live) -> list[dict[str, Any]]:
    """Return the events in the outbox, each decoded as a consumer decodes it."""
    rows = await live.service.pool.fetch("SELECT topic, key, value FROM outbox_records ORDER BY id, n")
    found = []
    for row in rows:
        event = decode(bytes(row["value"]) if not isinstance(row["value"], str) else row["value"])
        assert row["key"] == event.data.key
        found.append({"topic": row["topic"], "type": event.type, **json.loads(event.data.model_dump_json())})
    return found


def code(answer: Any) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["code"]
