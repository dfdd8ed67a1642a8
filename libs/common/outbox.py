"""The outbox: events written in the same transaction as the change they tell of. The relay publishes them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from libs.common.db import Connection

MAX_VALUE_BYTES = 900_000
"""Below Kafka's default of 1 MiB per record, so that no row is ever written that could not be sent."""


class TooLargeError(ValueError):
    """An event is larger than Kafka takes; shorten its longest field."""


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """One record to be: topic with its prefix, key, value, and headers as text."""

    topic: str
    key: str | None
    value: bytes | None
    headers: dict[str, str] | None = None


# The ids are drawn in row order, and after the states of these events were locked: id order is right per key.
_INSERT = """
    INSERT INTO outbox (topic, key, value, headers)
    SELECT topic, key, value, headers
    FROM unnest($1::text[], $2::text[], $3::bytea[], $4::jsonb[]) WITH ORDINALITY AS r (topic, key, value, headers, n)
    ORDER BY n"""


async def write(conn: Connection, rows: Sequence[OutboxRow]) -> None:
    """Write rows in this order, one statement. Raises `TooLargeError` before anything is written."""
    if not rows:
        return
    for row in rows:
        if row.value is not None and len(row.value) > MAX_VALUE_BYTES:
            raise TooLargeError(f"{row.topic} {row.key}: {len(row.value)} bytes, {MAX_VALUE_BYTES} are the most")
    await conn.execute(
        _INSERT,
        [row.topic for row in rows],
        [row.key for row in rows],
        [row.value for row in rows],
        [json.dumps(row.headers) if row.headers else None for row in rows],
    )
