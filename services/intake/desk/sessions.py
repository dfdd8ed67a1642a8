"""Signing in, and what a signed-in browser carries: a random cookie whose digest is a row, and dies with it.

A session ends after some idle minutes, after some hours whatever happens, at sign-out, and with a new password, a new
role or being shut out: always on our side. Each sign-in makes a new one and ends the one that this browser had. Times
are the shop's. Failed attempts are counted per name and per address, in the database, so that every process knows them;
an unknown name costs as much time as a wrong password.
"""

import asyncio
import hashlib
import hmac
import secrets
from dataclasses import dataclass, field
from datetime import timedelta

from argon2.exceptions import InvalidHashError, VerificationError

from libs.common.events.values import Language
from libs.common.runtime.service import Service
from services.intake.cli.staff import HASHER, StaffRole
from services.intake.store import staff as staff_store

WINDOW = timedelta(minutes=15)
PER_NAME, PER_ADDRESS = 5, 30
"""So many failures within `WINDOW`, then nobody with this name, or from there, gets in until some have aged."""

_TOUCH = timedelta(seconds=60)
_NOBODY = HASHER.hash(secrets.token_urlsafe())


class TooManyAttemptsError(Exception):
    """Too many failed attempts; try again later."""


class WrongPasswordError(Exception):
    """Name or password is wrong; which of them is not said."""


@dataclass(frozen=True, slots=True)
class Session:
    """Who is looking. `csrf` must come with every form they send."""

    staff: str
    role: StaffRole
    language: Language
    csrf: str
    digest: bytes

    def may(self, least: StaffRole) -> bool:
        return self.role.includes(least)

    def is_from(self, token: str) -> bool:
        """Whether a form was made for this session."""
        return hmac.compare_digest(token.encode(), self.csrf.encode())


@dataclass
class Sessions:
    service: Service
    idle: timedelta
    longest: timedelta
    _hashing: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(2))

    async def sign_in(self, name: str, password: str, address: str, before: str | None) -> str:
        """The cookie of a new session. Raises `TooManyAttemptsError` or `WrongPasswordError`."""
        now = self.service.clock.now()
        subjects = [_digest(f"name:{name}"), _digest(f"address:{address}")]
        async with self.service.pool.acquire() as conn:
            for subject, most in zip(subjects, (PER_NAME, PER_ADDRESS), strict=True):
                if await staff_store.count_failed_attempts(conn, subject, now - WINDOW) >= most:
                    raise TooManyAttemptsError
            entrant = await staff_store.read_credentials(conn, name)
        if await self._verify(entrant.password_hash if entrant else _NOBODY, password) and entrant:
            await self._keep_up_to_date(entrant, password)
            return await self._open(entrant.name, subjects[0], before)
        async with self.service.pool.acquire() as conn, conn.transaction():
            await staff_store.record_failed_attempt(conn, subjects, now, now - WINDOW)
        raise WrongPasswordError

    async def _verify(self, password_hash: str, password: str) -> bool:
        """In a thread, few at a time: it is meant to cost memory and time."""
        async with self._hashing:
            try:
                return await asyncio.to_thread(HASHER.verify, password_hash, password)
            except (VerificationError, InvalidHashError):
                return False

    async def _keep_up_to_date(self, entrant: staff_store.Credentials, password: str) -> None:
        """Stronger parameters reach old hashes at the next sign-in, the only moment at which the password is known."""
        if HASHER.check_needs_rehash(entrant.password_hash):
            fresh = await asyncio.to_thread(HASHER.hash, password)
            async with self.service.pool.acquire() as conn:
                await staff_store.rehash(conn, entrant.name, entrant.password_hash, fresh)

    async def _open(self, name: str, subject: bytes, before: str | None) -> str:
        token, csrf, now = secrets.token_urlsafe(32), secrets.token_urlsafe(24), self.service.clock.now()
        async with self.service.pool.acquire() as conn, conn.transaction():
            await staff_store.clear_failed_attempts(conn, subject)
            if before:
                await staff_store.close_session(conn, _digest(before))
            await staff_store.sweep_sessions(conn, now - self.longest, now - self.idle)
            await staff_store.open_session(conn, _digest(token), name, csrf, now)
        return token

    async def find(self, token: str | None, *, active: bool = True) -> Session | None:
        """Whose cookie this is, while the session lives. `active`: it counts as being used."""
        if not token:
            return None
        digest, now = _digest(token), self.service.clock.now()
        async with self.service.pool.acquire() as conn:
            row = await staff_store.read_session(conn, digest)
            if row is None or now - row.started_at >= self.longest or now - row.seen_at >= self.idle:
                return None
            if active and now - row.seen_at > min(_TOUCH, self.idle / 10):
                await staff_store.touch_session(conn, digest, now)
        return Session(row.staff, StaffRole(row.role), Language(row.language), row.csrf, digest)

    async def sign_out(self, session: Session) -> None:
        async with self.service.pool.acquire() as conn:
            await staff_store.close_session(conn, session.digest)

    async def speak(self, session: Session, language: Language) -> None:
        async with self.service.pool.acquire() as conn:
            await staff_store.set_language(conn, session.staff, language)


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
