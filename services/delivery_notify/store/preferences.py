"""How customers want to be reached, and which addresses may not be written to any more.

Of a suppressed address only its digest is kept: enough to know it again, of no use to anybody else.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from libs.common.postgres.pool import Connection


@dataclass(frozen=True, slots=True)
class Preferences:
    """`channels` in the customer's own order. Personal data."""

    channels: tuple[str, ...] = ()
    language: str | None = None
    line_user_id: str | None = None
    phone: str | None = None


async def save_preferences(conn: Connection, customer_id: str, wanted: Preferences, now: datetime) -> None:
    await conn.execute(
        """INSERT INTO preferences (customer_id, channels, language, line_user_id, phone, changed_at)
           VALUES ($1, $2, $3, $4, $5, $6)
           ON CONFLICT (customer_id) DO UPDATE SET channels = $2, language = $3, line_user_id = $4, phone = $5,
                                                   changed_at = $6""",
        customer_id,
        list(wanted.channels),
        wanted.language,
        wanted.line_user_id,
        wanted.phone,
        now,
    )


async def preferences_of(conn: Connection, customer_id: str) -> Preferences | None:
    row = await conn.fetchrow(
        "SELECT channels, language, line_user_id, phone FROM preferences WHERE customer_id = $1", customer_id
    )
    if row is None:
        return None
    return Preferences(tuple(row["channels"]), row["language"], row["line_user_id"], row["phone"])


async def forget_preferences(conn: Connection, customer_id: str) -> bool:
    """Whether there was anything to forget."""
    return await conn.execute("DELETE FROM preferences WHERE customer_id = $1", customer_id) == "DELETE 1"


_SUPPRESS = """
    INSERT INTO suppressed_addresses (channel, digest, cause, suppressed_at)
    SELECT s.channel, sha256(convert_to(lower(s.address), 'UTF8')), s.cause, $4
    FROM unnest($1::text[], $2::text[], $3::text[]) AS s (channel, address, cause)
    ON CONFLICT DO NOTHING"""


async def suppress(conn: Connection, addresses: Sequence[tuple[str, str, str]], now: datetime) -> None:
    """Channel, address and cause of each."""
    if addresses:
        await conn.execute(_SUPPRESS, *map(list, zip(*addresses, strict=True)), now)


async def allow_again(conn: Connection, channel: str, address: str) -> bool:
    """Whether that address was suppressed until now."""
    done = await conn.execute(
        "DELETE FROM suppressed_addresses WHERE channel = $1 AND digest = sha256(convert_to(lower($2), 'UTF8'))",
        channel,
        address,
    )
    return done == "DELETE 1"
