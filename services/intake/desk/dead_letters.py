"""Client for the ops routes of all services: dead letters to list, show, replay and discard, and figures to show.

It calls the ops routes of the other services over HTTP with the ops key. Rejected: a list built from the
`<service>.dead-letters` topics, which lack later replays and who requested them; and a command topic, because the
consumer that had to read it may be the one that halted. These are the only calls from intake to another service, and
no decision depends on them; a service that does not answer is shown as unreachable.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from libs.common.http.outgoing_tls import trusted_authorities
from libs.common.messaging import dead_letters
from libs.common.runtime.service import Service

TIMEOUT_SECONDS = 3.0
PAGE_SIZE = 50


class OpsUnreachableError(Exception):
    """The service does not answer its ops routes; try again later."""


@dataclass(frozen=True, slots=True)
class DeadLetterListing:
    """Open dead letters of one service; `entries` is None if the service does not answer."""

    service: str
    entries: list[dict[str, Any]] | None
    has_more: bool = False


@dataclass
class DeadLetterClient:
    """`urls` are the addresses of the other services by name; intake's own dead letters are read from its database."""

    service: Service
    urls: Mapping[str, str]
    key: str
    _http: httpx.AsyncClient = field(init=False)

    def __post_init__(self) -> None:
        self._http = self._new_client()

    def _new_client(self) -> httpx.AsyncClient:
        authorization = {"Authorization": f"Bearer {self.key}"}
        return httpx.AsyncClient(
            headers=authorization, timeout=TIMEOUT_SECONDS, follow_redirects=False, verify=trusted_authorities()
        )

    async def hold_connections(self) -> None:
        """Keep connections open between calls, and close them at shutdown."""
        try:
            await asyncio.Event().wait()
        finally:
            closing, self._http = self._http, self._new_client()
            await closing.aclose()

    @property
    def services(self) -> list[str]:
        return [self.service.name, *self.urls]

    async def list_all(self) -> list[DeadLetterListing]:
        """Return the open dead letters of every service, requested concurrently."""
        return list(await asyncio.gather(*(self._list(name) for name in self.services)))

    async def find(self, service: str, dead_letter_id: int) -> dict[str, Any] | None:
        """Return a dead letter with its content. Raises `OpsUnreachableError`."""
        if service == self.service.name:
            async with self.service.pool.acquire() as conn:
                found = await dead_letters.get_dead_letter(conn, dead_letter_id)
            return found.as_dict() if found else None
        answer = await self._call("GET", service, f"/ops/dead-letters/{dead_letter_id}")
        return _object(service, answer, "stored_at") if answer.status_code == 200 else None

    async def resolve(self, service: str, dead_letter_id: int, action: str, staff: str) -> bool:
        """Replay or discard a dead letter; return False if it is no longer open. Raises `OpsUnreachableError`."""
        if service == self.service.name:
            async with self.service.pool.acquire() as conn:
                if action == "replay":
                    return bool(await dead_letters.request_replay(conn, dead_letter_id, staff))
                return await dead_letters.discard(conn, dead_letter_id, staff)
        answer = await self._call("POST", service, f"/ops/dead-letters/{dead_letter_id}/{action}")
        return answer.status_code < 300

    async def read(self, service: str, path: str, member: str) -> dict[str, Any]:
        """Return the JSON object of another service that has this member. Raises `OpsUnreachableError`."""
        return _object(service, await self._call("GET", service, path), member)

    async def _list(self, service: str) -> DeadLetterListing:
        if service == self.service.name:
            async with self.service.pool.acquire() as conn:
                found = await dead_letters.list_dead_letters(conn, limit=PAGE_SIZE)
            return DeadLetterListing(service, [entry.as_dict() for entry in found], len(found) == PAGE_SIZE)
        try:
            answer = await self._call("GET", service, f"/ops/dead-letters?limit={PAGE_SIZE}")
            page = _object(service, answer, "items")
        except OpsUnreachableError:
            return DeadLetterListing(service, None)
        return DeadLetterListing(service, page["items"], page.get("next_after") is not None)

    async def _call(self, method: str, service: str, path: str) -> httpx.Response:
        try:
            return await self._http.request(method, self.urls[service] + path)
        except (httpx.HTTPError, KeyError) as error:
            raise OpsUnreachableError(f"{service} does not answer: {type(error).__name__}") from error


def _object(service: str, answer: httpx.Response, member: str) -> dict[str, Any]:
    """Return the JSON object of an answer. Raises `OpsUnreachableError` for anything else, such as a proxy's page."""
    try:
        found = answer.json()
    except ValueError:
        found = None
    if not isinstance(found, dict) or member not in found:
        raise OpsUnreachableError(f"{service}: answer without {member}; ops_urls has to name the service itself")
    return found
