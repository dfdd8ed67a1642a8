"""Records that wait in the outbox of a service."""

from typing import Any

from libs.common.events.registry import AnyEvent, decode


async def take_events(conn: Any) -> list[AnyEvent]:
    """Return the events that wait in the outbox, in order, and empty it. `conn` is a connection or a pool."""
    rows = await conn.fetch("SELECT value FROM outbox_records ORDER BY id, n")
    await conn.execute("DELETE FROM outbox")
    return [decode(row["value"]) for row in rows]
