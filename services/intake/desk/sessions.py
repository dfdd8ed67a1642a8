"""Sessions of staff: a random cookie whose digest is a row in the database.

A session ends after an idle timeout, after a maximum lifetime, at sign-out, and with a new password, a changed role or
a removed account. Each sign-in opens a new session and closes the one of that browser. Times are the shop's clock.
Attempts are counted before the password is checked, in the database, for all processes; a sign-in with an unknown name
takes as long as one with a wrong password. A browser in which a member of staff has signed in before carries a signed
device cookie and has a limit of its own: guesses elsewhere lock out neither it nor other names. `slowapi` and
`limits` were rejected: they count in Redis or per process, and know no such browser.
"""

import asyncio
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta

from argon2.exceptions import InvalidHashError, VerificationError

from libs.common.events.values import Language, language_of
from libs.common.http.signed_links import LinkInvalidError, Purpose, SignedLinks
from libs.common.runtime.service import Service
from services.intake.desk.accounts import HASHER, StaffRole
from services.intake.desk.openid import Identity, account_names
from services.intake.store import staff as staff_store

ATTEMPT_WINDOW = timedelta(minutes=15)
MAX_ATTEMPTS = 5
"""Failed attempts within `ATTEMPT_WINDOW` for a name from one address, or from a known browser."""
MAX_ATTEMPTS_PER_NAME, MAX_ATTEMPTS_PER_ADDRESS = 50, 30
"""The same for a name from all unknown browsers, and for all names from one address."""

DEVICE_LIFETIME = timedelta(days=180)

_TOUCH_INTERVAL = timedelta(seconds=60)
_DUMMY_HASH = f"$argon2id$v=19$m={HASHER.memory_cost},t={HASHER.time_cost},p={HASHER.parallelism}${'A' * 22}${'A' * 43}"
"""Hash of no known password, verified in the time of a real one; written, so that no start waits for computing it."""
_MAX_CONCURRENT_HASHES = 2


class TooManyAttemptsError(Exception):
    """Too many failed attempts; try again later."""


class WrongPasswordError(Exception):
    """Unknown name or wrong password; the error does not reveal which."""


@dataclass(frozen=True, slots=True)
class StaffSession:
    """A signed-in member of staff. Every form must carry `csrf`."""

    staff: str
    role: StaffRole
    language: Language
    csrf: str
    digest: bytes

    def may(self, role: StaffRole) -> bool:
        return self.role.includes(role)

    def has_csrf_token(self, token: str) -> bool:
        return hmac.compare_digest(token.encode(), self.csrf.encode())


@dataclass
class StaffSessions:
    service: Service
    idle_timeout: timedelta
    lifetime: timedelta
    links: SignedLinks
    _hashing: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_MAX_CONCURRENT_HASHES))

    async def sign_in(self, name: str, password: str, address: str, *, device: str | None, replaces: str | None) -> str:
        """Return the cookie of a new session. Raises `TooManyAttemptsError` or `WrongPasswordError`."""
        now = self.service.clock.now()
        limits = self._limits(name, address, device)
        async with self.service.pool.acquire() as conn, conn.transaction():
            if not await staff_store.admit_attempt(conn, limits, now, now - ATTEMPT_WINDOW):
                raise TooManyAttemptsError
            entrant = await staff_store.read_credentials(conn, name)
        if await self._verify(entrant.password_hash if entrant else _DUMMY_HASH, password) and entrant:
            await self._rehash_if_needed(entrant, password)
            async with self.service.pool.acquire() as conn:
                own, *shared = limits
                await staff_store.clear_attempts(conn, own, shared, now)
            return await self._open(entrant.name, session_digest(replaces))
        raise WrongPasswordError

    def _limits(self, name: str, address: str, device: str | None) -> dict[bytes, int]:
        """Return the limits by subject; the first subject is this browser's own."""
        if device and self._is_known(device, name):
            return {_digest(f"device:{device}"): MAX_ATTEMPTS}
        return {
            _digest(f"name:{name} address:{address}"): MAX_ATTEMPTS,
            _digest(f"name:{name}"): MAX_ATTEMPTS_PER_NAME,
            _digest(f"address:{address}"): MAX_ATTEMPTS_PER_ADDRESS,
        }

    def _is_known(self, device: str, name: str) -> bool:
        with suppress(LinkInvalidError):
            return self.links.read_until(Purpose.DEVICE, device, self.service.clock.now())[:1] == (name,)
        return False

    def new_device(self, name: str) -> str:
        """Return the cookie of a browser in which this member of staff has signed in."""
        expires_at = self.service.clock.now() + DEVICE_LIFETIME
        return self.links.token(Purpose.DEVICE, expires_at, name, secrets.token_urlsafe(16))

    async def _verify(self, password_hash: str, password: str) -> bool:
        """Verify in a thread, few at a time: Argon2 costs memory and CPU on purpose."""
        async with self._hashing:
            try:
                return await asyncio.to_thread(HASHER.verify, password_hash, password)
            except (VerificationError, InvalidHashError):
                return False

    async def _rehash_if_needed(self, entrant: staff_store.Credentials, password: str) -> None:
        """Upgrade hashes with outdated parameters at sign-in, the only time the password is available."""
        if HASHER.check_needs_rehash(entrant.password_hash):
            new_hash = await asyncio.to_thread(HASHER.hash, password)
            async with self.service.pool.acquire() as conn:
                await staff_store.rehash(conn, entrant.name, entrant.password_hash, new_hash)

    async def sign_in_by_provider(self, identity: Identity, language: Language, *, replaces: str) -> str | None:
        """Return the cookie of a new session, or None for who has no role or a disabled account.

        `replaces` is the digest of the browser's earlier session, or "".
        The account is created at the first sign-in and takes the role of each. Who has lost every role loses the open
        sessions, too.
        """
        if identity.role is None:
            async with self.service.pool.acquire() as conn:
                await staff_store.close_sessions_of(conn, identity.issuer, identity.subject)
            return None
        async with self.service.pool.acquire() as conn, conn.transaction():
            name = await staff_store.admit_identity(
                conn, (identity.issuer, identity.subject), account_names(identity.name), identity.role, language,
                self.service.clock.now(),
            )  # fmt: skip
        return await self._open(name, replaces) if name else None

    async def list_of(self, session: StaffSession, offset: int = 0) -> tuple[list[staff_store.OpenSession], bool]:
        """Return the live sessions that this member of staff may end, one page of them, and whether there are more.

        They are their own, and for an admin then those of everybody.
        """
        now, everybody = self.service.clock.now(), session.may(StaffRole.ADMIN)
        since = (now - self.lifetime, now - self.idle_timeout)
        async with self.service.pool.acquire() as conn:
            found = await staff_store.list_sessions(conn, session.staff, everybody, *since, offset)
        return found[: staff_store.SHOWN_SESSIONS], len(found) > staff_store.SHOWN_SESSIONS

    async def end(self, session: StaffSession, digests: Sequence[bytes]) -> None:
        """End those of these sessions that `list_of` gives."""
        staff = None if session.may(StaffRole.ADMIN) else session.staff
        async with self.service.pool.acquire() as conn:
            await staff_store.close_sessions(conn, staff, digests)

    async def _open(self, name: str, replaces: str) -> str:
        token, csrf, now = secrets.token_urlsafe(32), secrets.token_urlsafe(24), self.service.clock.now()
        async with self.service.pool.acquire() as conn, conn.transaction():
            if replaces:
                await staff_store.close_session(conn, bytes.fromhex(replaces))
            await staff_store.sweep_sessions(conn, now - self.lifetime, now - self.idle_timeout)
            await staff_store.open_session(conn, _digest(token), name, csrf, now)
        return token

    async def find(self, token: str | None, *, active: bool = True) -> StaffSession | None:
        """Return the live session of a cookie. `active`: the call prolongs it."""
        if not token:
            return None
        digest, now = _digest(token), self.service.clock.now()
        async with self.service.pool.acquire() as conn:
            row = await staff_store.read_session(conn, digest)
            if row is None or now - row.started_at >= self.lifetime or now - row.seen_at >= self.idle_timeout:
                return None
            if active and now - row.seen_at > min(_TOUCH_INTERVAL, self.idle_timeout / 10):
                await staff_store.touch_session(conn, digest, now)
        return StaffSession(row.staff, StaffRole(row.role), language_of(row.language), row.csrf, digest)

    async def sign_out(self, session: StaffSession) -> None:
        async with self.service.pool.acquire() as conn:
            await staff_store.close_session(conn, session.digest)

    async def set_language(self, session: StaffSession, language: Language) -> None:
        async with self.service.pool.acquire() as conn:
            await staff_store.set_language(conn, session.staff, language)


def session_digest(token: str | None) -> str:
    """Return the digest of a session's cookie in hexadecimal, which opens no session; "" without one."""
    return _digest(token).hex() if token else ""


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
