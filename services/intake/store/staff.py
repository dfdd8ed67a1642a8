"""SQL of staff accounts, sessions and failed sign-ins."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from libs.common.postgres.pool import Connection
from services.intake.store.attempts import LOCK_SUBJECTS


@dataclass(frozen=True, slots=True)
class Credentials:
    """Credentials of an enabled account."""

    name: str
    password_hash: str


@dataclass(frozen=True, slots=True)
class SessionRow:
    staff: str
    role: str
    language: str
    csrf: str
    started_at: datetime
    seen_at: datetime


@dataclass(frozen=True, slots=True)
class OpenSession:
    """One session as a list shows it; its digest names it and signs nobody in."""

    digest: bytes
    staff: str
    started_at: datetime
    seen_at: datetime


async def add_account(conn: Connection, name: str, password_hash: str, role: str, language: str, now: datetime) -> None:
    await conn.execute(
        "INSERT INTO staff (name, password_hash, role, language, created_at) VALUES ($1, $2, $3, $4, $5)",
        name,
        password_hash,
        role,
        language,
        now,
    )


_FIND_IDENTITY = """
    UPDATE staff SET role = $3 WHERE issuer = $1 AND subject = $2
    RETURNING name, disabled_at IS NOT NULL AS is_disabled"""
_ADD_IDENTITY = """
    INSERT INTO staff (name, role, language, created_at, issuer, subject) VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT DO NOTHING"""


async def admit_identity(
    conn: Connection, identity: tuple[str, str], names: Iterator[str], role: str, language: str, now: datetime
) -> str | None:
    """Return the account of this issuer and subject, with the role of today; None where it is disabled.

    A new one takes the first of `names` that nobody has.
    """
    for name in names:
        row = await conn.fetchrow(_FIND_IDENTITY, *identity, role)
        if row:
            return None if row["is_disabled"] else str(row["name"])
        await conn.execute(_ADD_IDENTITY, name, role, language, now, *identity)
    raise LookupError(f"no free account name like {name!r}")


_SET_HASH = """
    WITH gone AS (DELETE FROM staff_sessions WHERE staff = $1)
    UPDATE staff SET password_hash = $2 WHERE name = $1 AND issuer IS NULL"""
_CHANGE_ROLE = """
    WITH gone AS (DELETE FROM staff_sessions WHERE staff = $1)
    UPDATE staff SET role = $2 WHERE name = $1"""
_DISABLE = """
    WITH gone AS (DELETE FROM staff_sessions WHERE staff = $1)
    UPDATE staff SET disabled_at = $2 WHERE name = $1 AND disabled_at IS NULL"""


async def change_password(conn: Connection, name: str, password_hash: str) -> bool:
    return await conn.execute(_SET_HASH, name, password_hash) == "UPDATE 1"


async def change_role(conn: Connection, name: str, role: str) -> bool:
    return await conn.execute(_CHANGE_ROLE, name, role) == "UPDATE 1"


async def disable_account(conn: Connection, name: str, now: datetime) -> bool:
    return await conn.execute(_DISABLE, name, now) == "UPDATE 1"


async def enable_account(conn: Connection, name: str) -> bool:
    enabled = "UPDATE staff SET disabled_at = NULL WHERE name = $1 AND disabled_at IS NOT NULL"
    return await conn.execute(enabled, name) == "UPDATE 1"


async def list_all(conn: Connection) -> list[str]:
    rows = await conn.fetch("SELECT name, role, issuer, disabled_at FROM staff ORDER BY name")
    return [
        f"{row['name']:40} {row['role']}"
        f"{' by ' + row['issuer'] if row['issuer'] else ''}{' (disabled)' if row['disabled_at'] else ''}"
        for row in rows
    ]


async def read_credentials(conn: Connection, name: str) -> Credentials | None:
    row = await conn.fetchrow(
        "SELECT name, password_hash FROM staff WHERE name = $1 AND issuer IS NULL AND disabled_at IS NULL", name
    )
    return Credentials(**row) if row else None


async def rehash(conn: Connection, name: str, before: str, after: str) -> None:
    await conn.execute(
        "UPDATE staff SET password_hash = $3 WHERE name = $1 AND password_hash = $2", name, before, after
    )


async def set_language(conn: Connection, name: str, language: str) -> None:
    await conn.execute("UPDATE staff SET language = $2 WHERE name = $1", name, language)


# --- sessions ---------------------------------------------------------------------------------------------------------


async def open_session(conn: Connection, digest: bytes, staff: str, csrf: str, now: datetime) -> None:
    await conn.execute(
        "INSERT INTO staff_sessions (digest, staff, csrf, started_at, seen_at) VALUES ($1, $2, $3, $4, $4)",
        digest,
        staff,
        csrf,
        now,
    )


_SESSION = """
    SELECT s.staff, t.role, t.language, s.csrf, s.started_at, s.seen_at
    FROM staff_sessions s JOIN staff t ON t.name = s.staff
    WHERE s.digest = $1 AND t.disabled_at IS NULL"""


async def read_session(conn: Connection, digest: bytes) -> SessionRow | None:
    row = await conn.fetchrow(_SESSION, digest)
    return SessionRow(**row) if row else None


async def touch_session(conn: Connection, digest: bytes, now: datetime) -> None:
    await conn.execute("UPDATE staff_sessions SET seen_at = $2 WHERE digest = $1", digest, now)


async def close_session(conn: Connection, digest: bytes) -> None:
    await conn.execute("DELETE FROM staff_sessions WHERE digest = $1", digest)


SHOWN_SESSIONS = 40
"""Sessions of a page: a form has no more fields."""

_LIST_SESSIONS = """
    SELECT digest, staff, started_at, seen_at FROM staff_sessions
    WHERE ($2 OR staff = $1) AND started_at > $3 AND seen_at > $4
    ORDER BY staff <> $1, staff, seen_at DESC, digest LIMIT $6 OFFSET $5"""


async def list_sessions(
    conn: Connection, staff: str, everybody: bool, began_after: datetime, seen_after: datetime, offset: int
) -> list[OpenSession]:
    """Return the open sessions of this member of staff, then, if asked for, those of all others.

    At most `SHOWN_SESSIONS` from this offset on, and one more where there are more.
    """
    rows = await conn.fetch(_LIST_SESSIONS, staff, everybody, began_after, seen_after, offset, SHOWN_SESSIONS + 1)
    return [OpenSession(**row) for row in rows]


async def close_sessions(conn: Connection, staff: str | None, digests: Sequence[bytes]) -> None:
    """Close these sessions: those of this member of staff, or of everybody."""
    await conn.execute(
        "DELETE FROM staff_sessions WHERE digest = ANY($2) AND ($1::text IS NULL OR staff = $1)", staff, list(digests)
    )


_CLOSE_SESSIONS_OF = """
    DELETE FROM staff_sessions WHERE staff = (SELECT name FROM staff WHERE issuer = $1 AND subject = $2)"""


async def close_sessions_of(conn: Connection, issuer: str, subject: str) -> None:
    """Close every session of the account of this issuer and subject."""
    await conn.execute(_CLOSE_SESSIONS_OF, issuer, subject)


async def sweep_sessions(conn: Connection, began_before: datetime, seen_before: datetime) -> None:
    await conn.execute("DELETE FROM staff_sessions WHERE started_at <= $1 OR seen_at <= $2", began_before, seen_before)


# --- attempts ---------------------------------------------------------------------------------------------------------


_EXCEEDED = """
    SELECT EXISTS (
        SELECT FROM unnest($1::bytea[], $2::int[]) AS l (subject, most)
        WHERE (SELECT count(*) FROM failed_sign_ins f WHERE f.subject = l.subject AND f.at > $3) >= l.most)"""


async def admit_attempt(conn: Connection, limits: Mapping[bytes, int], now: datetime, since: datetime) -> bool:
    """Count an attempt for each of these subjects, or return False where one has reached its limit.

    The attempt is counted before its password is checked, one after the other per subject: parallel attempts would
    otherwise all be checked before the first is counted. Success takes it back (`clear_attempts`).
    """
    subjects = list(limits)
    await conn.execute(LOCK_SUBJECTS, subjects)
    await conn.execute("DELETE FROM failed_sign_ins WHERE at <= $1", since)
    if await conn.fetchval(_EXCEEDED, subjects, list(limits.values()), since):
        return False
    await conn.execute("INSERT INTO failed_sign_ins (subject, at) SELECT unnest($1::bytea[]), $2", subjects, now)
    return True


async def clear_attempts(conn: Connection, own: bytes, shared: Sequence[bytes], at: datetime) -> None:
    """Delete all attempts of `own`, and of the subjects that others share only the one counted at this time."""
    await conn.execute(
        "DELETE FROM failed_sign_ins WHERE subject = $1 OR (subject = ANY($2) AND at = $3)", own, list(shared), at
    )
