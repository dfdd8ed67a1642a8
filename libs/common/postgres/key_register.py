"""Register of the column keys in use, checked at start: a service never runs without a key that its rows need."""

import asyncio
import logging
import os
from collections.abc import Iterable

from libs.common.postgres.column_keys import NO_KEYS, ColumnKeyError, ColumnKeys, MissingKeyError
from libs.common.postgres.pool import Connection, Pool, is_transient

log = logging.getLogger(__name__)

RETRY_SECONDS = 1.0
_TABLE = "column_keys"

# One registration at a time: two processes with different first keys would otherwise create two lookup keys.
_SERIALIZE = "SELECT pg_advisory_xact_lock(hashtextextended('column keys', 0))"
_REGISTERED = "SELECT key_id, lookup_key FROM column_keys ORDER BY registered_at"
_REGISTER = "INSERT INTO column_keys (key_id, lookup_key) VALUES ($1, $2)"
_AMONG = "SELECT key_id FROM column_keys WHERE key_id = ANY($1)"
_RETIRE = "DELETE FROM column_keys WHERE key_id <> $1 RETURNING key_id"


async def register(conn: Connection, keys: ColumnKeys) -> None:
    """Register the first key, and read the lookup key. Raises `ColumnKeyError` if a registered key is missing."""
    async with conn.transaction():
        await conn.execute(_SERIALIZE)
        known = {row["key_id"]: row["lookup_key"] for row in await conn.fetch(_REGISTERED)}
        if missing := [key_id.hex() for key_id in known if key_id not in keys.ids]:
            raise ColumnKeyError(
                f"PERSONAL_DATA_KEYS: key {', '.join(missing)} is missing, and rows are encrypted with it; "
                "add it behind the new key until `sakidashi keys rotate` has finished"
            )
        if not keys.is_encrypting:
            return
        sealed = next(iter(known.values()), None)
        lookup_key = keys.open(_TABLE, sealed) if sealed else os.urandom(32)
        if keys.ids[0] not in known:
            await conn.execute(_REGISTER, keys.ids[0], keys.seal(_TABLE, lookup_key))
    keys.lookup_key = lookup_key


async def registered_keys(conn: Connection, keys: ColumnKeys) -> ColumnKeys:
    """Return these keys, of which the one encrypts that a service registered last in this database.

    For commands, whose settings may be older or newer than those of the service: it must be able to read what they
    write. Where it encrypts nothing, neither do they. Raises `ColumnKeyError` if its key is missing.
    """
    known = [row["key_id"] for row in await conn.fetch(_REGISTERED)]
    if not known or not keys.is_encrypting:
        return NO_KEYS
    if known[-1] not in keys.ids:
        raise ColumnKeyError(f"PERSONAL_DATA_KEYS: key {known[-1].hex()} is missing; set the keys of the service")
    return keys.encrypting_with(known[-1])


async def register_when_reachable(pool: Pool, keys: ColumnKeys) -> None:
    """Register the keys, again until the database answers."""
    while True:
        try:
            async with pool.acquire() as conn:
                return await register(conn, keys)
        except Exception as error:
            if not is_transient(error):
                raise
            log.warning("waiting for the database to register keys error=%s", type(error).__name__)
            await asyncio.sleep(RETRY_SECONDS)


async def require(conn: Connection, keys: ColumnKeys, values: Iterable[bytes | None]) -> None:
    """Raise `MissingKeyError` if a process with newer keys wrote one of these values; ask only if one looks like it.

    Without this, a process that is not restarted yet would take the encrypted bytes for the content.
    """
    ids = keys.missing_ids(values)
    if ids and (missing := [row["key_id"].hex() for row in await conn.fetch(_AMONG, list(ids))]):
        raise MissingKeyError(f"PERSONAL_DATA_KEYS: key {', '.join(missing)} is missing; restart with the new setting")


async def retire_others(conn: Connection, keys: ColumnKeys) -> list[bytes]:
    """Remove all keys but the first from the register, once no row needs them; return their ids."""
    return [row["key_id"] for row in await conn.fetch(_RETIRE, keys.ids[0])]
