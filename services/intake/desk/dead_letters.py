"""Parked events of every service: listed, shown, replayed and discarded from the desk.

The desk asks the services themselves, by their ops routes, over HTTP with the key of ops. A list made from the
`<service>.dead-letters` topics was left aside: those tell what was parked, but not what was replayed since, nor by
whom; and
a command topic would need a reader in every service, whose own consumer may be the very thing that has halted. It is
the one place where intake calls another service. Nothing of the business goes this way, and a service that does not
answer is shown as such while the rest of the desk goes on. To look at again if services cannot reach each other.
"""

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import httpx

from libs.common.messaging import dead_letters
from libs.common.runtime.service import Service

TIMEOUT_SECONDS = 3.0
SHOWN = 50


class OpsUnreachableError(Exception):
    """The service does not answer its ops routes; try again once it does."""


@dataclass(frozen=True, slots=True)
class ParkedOf:
    """What one service has parked; `items` is None where it does not answer."""

    service: str
    items: list[dict[str, Any]] | None
    more: bool = False


@cache
def authorities() -> ssl.SSLContext:
    """Whom calls out trust, read once in a process: that takes longer than a call."""
    return httpx.create_ssl_context()


@dataclass
class DeadLetterClient:
    """`urls` are the addresses of the other services by name; intake's own records are read from its database."""

    service: Service
    urls: Mapping[str, str]
    key: str
    _http: httpx.AsyncClient = field(init=False)

    def __post_init__(self) -> None:
        self._http = self._client()

    def _client(self) -> httpx.AsyncClient:
        authorization = {"Authorization": f"Bearer {self.key}"}
        return httpx.AsyncClient(
            headers=authorization, timeout=TIMEOUT_SECONDS, follow_redirects=False, verify=authorities()
        )

    async def hold_connections(self) -> None:
        """Connections to the services stay open between two calls; the end of the service closes them."""
        try:
            await asyncio.Event().wait()
        finally:
            closing, self._http = self._http, self._client()
            await closing.aclose()

    @property
    def services(self) -> list[str]:
        return [self.service.name, *self.urls]

    async def all(self) -> list[ParkedOf]:
        """What every service has parked; they are asked at the same time."""
        return list(await asyncio.gather(*(self._of(name) for name in self.services)))

    async def count(self) -> int:
        return sum(len(one.items or ()) for one in await self.all())

    async def show(self, service: str, dead_letter_id: int) -> dict[str, Any] | None:
        """One dead letter, whole. Raises `OpsUnreachableError`."""
        if service == self.service.name:
            async with self.service.pool.acquire() as conn:
                found = await dead_letters.get_dead_letter(conn, dead_letter_id)
            return found.as_dict() if found else None
        answer = await self._call("GET", service, f"/ops/dead-letters/{dead_letter_id}")
        return dict(answer.json()) if answer.status_code == 200 else None

    async def settle(self, service: str, dead_letter_id: int, action: str, by: str) -> bool:
        """`replay` or `discard`; False where it is not parked any more. Raises `OpsUnreachableError`."""
        if service == self.service.name:
            async with self.service.pool.acquire() as conn:
                if action == "replay":
                    return bool(await dead_letters.request_replay(conn, dead_letter_id, by))
                return await dead_letters.discard(conn, dead_letter_id, by)
        answer = await self._call("POST", service, f"/ops/dead-letters/{dead_letter_id}/{action}")
        return answer.status_code < 300

    async def _of(self, service: str) -> ParkedOf:
        if service == self.service.name:
            async with self.service.pool.acquire() as conn:
                found = await dead_letters.list_dead_letters(conn, limit=SHOWN)
            return ParkedOf(service, [one.as_dict() for one in found], len(found) == SHOWN)
        try:
            answer = await self._call("GET", service, f"/ops/dead-letters?limit={SHOWN}")
        except OpsUnreachableError:
            return ParkedOf(service, None)
        page = answer.json() if answer.status_code == 200 else {"items": None, "next_after": None}
        return ParkedOf(service, page["items"], page["next_after"] is not None)

    async def _call(self, method: str, service: str, path: str) -> httpx.Response:
        try:
            return await self._http.request(method, self.urls[service] + path)
        except (httpx.HTTPError, KeyError) as error:
            raise OpsUnreachableError(f"{service} does not answer: {type(error).__name__}") from error
