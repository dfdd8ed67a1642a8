"""SQL of contact preferences and suppressed addresses. Only the digest of a suppressed address is stored."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from libs.common.postgres.batch import columns
from libs.common.postgres.pool import Connection
from libs.common.privacy.customer_merges import current_customer


@dataclass(frozen=True, slots=True)
class ContactPreferences:
    """Contact preferences of a customer; `channels` in order of preference. Personal data."""

    channels: tuple[str, ...] = ()
    language: str | None = None
    line_user_id: str | None = None
    phone: str | None = None


async def save_preferences(conn: Connection, customer_id: str, preferences: ContactPreferences, now: datetime) -> None:
    await conn.execute(
        """INSERT INTO preferences (customer_id, channels, language, line_user_id, phone, changed_at)
           VALUES ($1, $2, $3, $4, $5, $6)
           ON CONFLICT (customer_id) DO UPDATE SET channels = $2, language = $3, line_user_id = $4, phone = $5,
                                                   changed_at = $6""",
        await current_customer(conn, customer_id),
        list(preferences.channels),
        preferences.language,
        preferences.line_user_id,
        preferences.phone,
        now,
    )


async def read_preferences(conn: Connection, customer_id: str) -> ContactPreferences | None:
    row = await conn.fetchrow(
        "SELECT channels, language, line_user_id, phone FROM preferences WHERE customer_id = $1",
        await current_customer(conn, customer_id),
    )
    if row is None:
        return None
    return ContactPreferences(tuple(row["channels"]), row["language"], row["line_user_id"], row["phone"])


async def delete_preferences(conn: Connection, customer_id: str) -> bool:
    """Delete the preferences of a customer; return whether there were any."""
    current = await current_customer(conn, customer_id)
    return await conn.execute("DELETE FROM preferences WHERE customer_id = $1", current) == "DELETE 1"


_SUPPRESS = """
    INSERT INTO suppressed_addresses (channel, digest, cause, suppressed_at)
    SELECT s.channel, sha256(convert_to(lower(s.address), 'UTF8')), s.cause, $4
    FROM unnest($1::text[], $2::text[], $3::text[]) AS s (channel, address, cause)
    ON CONFLICT DO NOTHING"""


async def suppress_addresses(conn: Connection, addresses: Sequence[tuple[str, str, str]], now: datetime) -> None:
    """Suppress addresses, each as channel, address and cause."""
    if addresses:
        await conn.execute(_SUPPRESS, *columns(addresses), now)


async def suppress_digest(conn: Connection, channel: str, digest: bytes, cause: str, now: datetime) -> None:
    """Suppress the address with this digest."""
    await conn.execute(
        """INSERT INTO suppressed_addresses (channel, digest, cause, suppressed_at) VALUES ($1, $2, $3, $4)
           ON CONFLICT DO NOTHING""",
        channel,
        digest,
        cause,
        now,
    )


async def unsuppress_address(conn: Connection, channel: str, address: str) -> bool:
    """Lift the suppression of an address; return whether there was one."""
    done = await conn.execute(
        "DELETE FROM suppressed_addresses WHERE channel = $1 AND digest = sha256(convert_to(lower($2), 'UTF8'))",
        channel,
        address,
    )
    return done == "DELETE 1"
