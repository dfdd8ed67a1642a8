"""SQL of contact preferences and suppressed addresses. Only the digest of a suppressed address is stored."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from libs.common.postgres.batch import columns
from libs.common.postgres.column_keys import ColumnKeys, keys_of
from libs.common.postgres.pool import Connection
from libs.common.privacy.customer_merges import current_customer

TABLE = "preferences"
ENCRYPTED_FIELDS = ("line_user_id", "phone")
"""Columns that are fields of `sealed` under column keys."""


@dataclass(frozen=True, slots=True)
class ContactPreferences:
    """Contact preferences of a customer; `channels` in order of preference. Personal data."""

    channels: tuple[str, ...] = ()
    language: str | None = None
    line_user_id: str | None = None
    phone: str | None = None


_SAVE = """
    INSERT INTO preferences (customer_id, channels, language, line_user_id, phone, sealed, line_digest, phone_digest,
                             changed_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
    ON CONFLICT (customer_id) DO UPDATE SET
        channels = excluded.channels, language = excluded.language, line_user_id = excluded.line_user_id,
        phone = excluded.phone, sealed = excluded.sealed, line_digest = excluded.line_digest,
        phone_digest = excluded.phone_digest, changed_at = excluded.changed_at"""
_READ = """
    SELECT customer_id, channels, language, line_user_id, phone, sealed, changed_at FROM preferences
    WHERE customer_id = ANY($1)"""


async def save_preferences(conn: Connection, customer_id: str, preferences: ContactPreferences, now: datetime) -> None:
    await _save(conn, await current_customer(conn, customer_id), preferences, now)


async def _save(conn: Connection, customer_id: str, preferences: ContactPreferences, changed_at: datetime) -> None:
    keys, line, phone = keys_of(conn), preferences.line_user_id, preferences.phone
    plain: tuple[object, ...] = (line, phone, None, None, None)
    if keys.is_encrypting:
        sealed = keys.seal_json(TABLE, {name: getattr(preferences, name) for name in ENCRYPTED_FIELDS})
        plain = (None, None, sealed, keys.digest(line) if line else None, keys.digest(phone) if phone else None)
    await conn.execute(_SAVE, customer_id, list(preferences.channels), preferences.language, *plain, changed_at)


async def read_preferences(conn: Connection, customer_id: str) -> ContactPreferences | None:
    row = await conn.fetchrow(_READ, [await current_customer(conn, customer_id)])
    return _loaded(row, keys_of(conn)) if row else None


def _loaded(row: Any, keys: ColumnKeys) -> ContactPreferences:
    line, phone = line_and_phone(row["line_user_id"], row["phone"], row["sealed"], keys)
    return ContactPreferences(tuple(row["channels"]), row["language"], line, phone)


def line_and_phone(
    line_user_id: str | None, phone: str | None, sealed: bytes | None, keys: ColumnKeys
) -> tuple[str | None, str | None]:
    """Return LINE user and telephone number of a row of preferences."""
    if not sealed:
        return line_user_id, phone
    fields = keys.open_json(TABLE, sealed)
    return fields.get("line_user_id"), fields.get("phone")


async def move_preferences(conn: Connection, former: str, remaining: str) -> None:
    """Merge the preferences of a former account: the later statement counts, and the earlier where that is open."""
    query = _READ + " ORDER BY customer_id FOR UPDATE"
    rows = {row["customer_id"]: row for row in await conn.fetch(query, [former, remaining])}
    if former not in rows:
        return
    stated = [(row["changed_at"], key == remaining, _loaded(row, keys_of(conn))) for key, row in rows.items()]
    ordered = sorted(stated, key=lambda each: each[:2], reverse=True)
    newest, oldest = ordered[0][2], ordered[-1][2]
    merged = ContactPreferences(
        newest.channels,
        newest.language or oldest.language,
        newest.line_user_id or oldest.line_user_id,
        newest.phone or oldest.phone,
    )
    await _save(conn, remaining, merged, ordered[0][0])
    await conn.execute("DELETE FROM preferences WHERE customer_id = $1", former)


async def delete_preferences(conn: Connection, customer_id: str) -> bool:
    """Delete the preferences of a customer; return whether there were any."""
    current = await current_customer(conn, customer_id)
    return await conn.execute("DELETE FROM preferences WHERE customer_id = $1", current) == "DELETE 1"


_SUPPRESS = """
    INSERT INTO suppressed_addresses (channel, digest, cause, suppressed_at)
    SELECT s.channel, s.digest, s.cause, $4
    FROM unnest($1::text[], $2::bytea[], $3::text[]) AS s (channel, digest, cause)
    ON CONFLICT DO NOTHING"""


async def suppress_addresses(conn: Connection, addresses: Sequence[tuple[str, str, str]], now: datetime) -> None:
    """Suppress addresses, each as channel, address and cause."""
    if addresses:
        digest = keys_of(conn).digest
        rows = [(channel, digest(address), cause) for channel, address, cause in addresses]
        await conn.execute(_SUPPRESS, *columns(rows), now)


async def suppress_digest(conn: Connection, channel: str, digest: bytes, cause: str, now: datetime) -> None:
    """Suppress the address with this digest, which may be of a time without column keys."""
    await conn.execute(
        """INSERT INTO suppressed_addresses (channel, digest, cause, suppressed_at)
           VALUES ($1, keyed_digest($5, $2), $3, $4) ON CONFLICT DO NOTHING""",
        channel,
        digest,
        cause,
        now,
        keys_of(conn).lookup_key,
    )


async def unsuppress_address(conn: Connection, channel: str, address: str) -> bool:
    """Lift the suppression of an address; return whether there was one."""
    done = await conn.execute(
        "DELETE FROM suppressed_addresses WHERE channel = $1 AND digest = $2", channel, keys_of(conn).digest(address)
    )
    return done == "DELETE 1"


async def key_digests(conn: Connection) -> None:
    """Bring the digests of a time without column keys under the lookup key."""
    if lookup_key := keys_of(conn).lookup_key:
        await conn.execute(
            "UPDATE suppressed_addresses SET digest = keyed_digest($1, digest) WHERE length(digest) = 32", lookup_key
        )
