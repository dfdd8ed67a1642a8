"""`Idempotency-Key` of writing calls: the first answer is stored in the transaction of the change and replayed."""

import hashlib
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import asyncpg
from fastapi import Header, Request

from libs.common.http.problems import Answer, Problem
from libs.common.postgres.pool import ConflictError, Connection

MAX_KEY_LENGTH = 200
"""Characters of an `Idempotency-Key`."""


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """A caller's key for one call, with the digest of that call."""

    caller: str
    key: str
    fingerprint: bytes


async def idempotency_key(
    request: Request,
    key: Annotated[str | None, Header(alias="Idempotency-Key", min_length=1, max_length=MAX_KEY_LENGTH)] = None,
) -> IdempotencyKey:
    """FastAPI dependency of every writing route; must come after the one that identifies the caller."""
    if key is None:
        raise Problem(400, "idempotency_key_missing", "Idempotency-Key: missing; send a new value for each call.")
    return IdempotencyKey(
        request.state.caller, key, fingerprint(request.method, request.url.path, await request.body())
    )


def fingerprint(method: str, path: str, body: bytes) -> bytes:
    """Return the digest that two calls with one `Idempotency-Key` must share."""
    return hashlib.sha256(f"{method} {path}\n".encode() + body).digest()


# pg_try_advisory: a key whose first call still runs in another process is answered 409 at once.
_ADMIT = """
    SELECT k.n, pg_try_advisory_xact_lock(hashtextextended(k.caller || chr(31) || k.key, 0)) AS free,
           i.fingerprint, i.status, i.body
    FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS k (caller, key, n)
    LEFT JOIN idempotency i ON i.caller = k.caller AND i.key = k.key
    ORDER BY k.n"""
_STORE = """
    INSERT INTO idempotency (caller, key, fingerprint, status, body)
    SELECT * FROM unnest($1::text[], $2::text[], $3::bytea[], $4::int[], $5::jsonb[])"""


async def admit(conn: Connection, keys: Sequence[IdempotencyKey]) -> list[Answer | Problem | None]:
    """Lock these keys for the transaction; return for each None if it is new, else the answer to replay."""
    rows = await conn.fetch(_ADMIT, [key.caller for key in keys], [key.key for key in keys])
    return [_earlier(key, row) for key, row in zip(keys, rows, strict=True)]


def _earlier(key: IdempotencyKey, row: Any) -> Answer | Problem | None:
    if row["fingerprint"] is None:
        return None if row["free"] else still_running()
    if row["fingerprint"] != key.fingerprint:
        return Problem(
            422,
            "idempotency_key_reused",
            "Idempotency-Key: already used with another body; send a new key for a new call.",
        )
    return Answer(row["status"], json.loads(row["body"]), replayed=True)


def still_running() -> Problem:
    return Problem(
        409, "still_running", "Idempotency-Key: the first call with this key is still running; retry in a moment."
    )


async def store(conn: Connection, answers: Sequence[tuple[IdempotencyKey, Answer]]) -> None:
    """Store first answers. Raises `ConflictError` where another process stored one since `admit` read the table."""
    try:
        await conn.execute(
            _STORE,
            [key.caller for key, _ in answers],
            [key.key for key, _ in answers],
            [key.fingerprint for key, _ in answers],
            [answer.status for _, answer in answers],
            [json.dumps(answer.body) for _, answer in answers],
        )
    except asyncpg.UniqueViolationError as error:
        raise ConflictError("idempotency: another process answered this key at the same time") from error


async def answer_once(conn: Connection, key: IdempotencyKey, do: Callable[[], Awaitable[Answer]]) -> Answer:
    """Run `do` and store its answer, or replay the first answer. Raises `Problem` 409 or 422.

    For calls that are no command of an aggregate. `conn` is in a transaction, which holds the lock on the key.
    """
    (earlier,) = await admit(conn, [key])
    if isinstance(earlier, Problem):
        raise earlier
    if earlier is not None:
        return earlier
    answer = await do()
    await store(conn, [(key, answer)])
    return answer
