"""FastAPI dependencies of the routes of partners: the partner by its API key."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Path, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from libs.common.http.api_keys import ApiKeyAuth
from libs.common.http.problems import Problem
from services.partners.policy.partner_terms import PartnerDirectory, PartnerTerms

_BEARER = HTTPBearer(auto_error=False, description="The API key of the partner.")


@dataclass(frozen=True, slots=True)
class CallingPartner:
    """The calling partner, or the partner on whose behalf ops call."""

    name: str
    terms: PartnerTerms


@dataclass
class FeedNews:
    """Signal to all requests that wait for events, and their number by partner."""

    _event: asyncio.Event = field(default_factory=asyncio.Event)
    _waiting: Counter[str] = field(default_factory=Counter)

    def __call__(self) -> None:
        self._event.set()
        self._event = asyncio.Event()

    @contextmanager
    def waiting(self, partner: str, most: int | None) -> Iterator[None]:
        """Count a call that waits until the end of the block; None: it does not wait. Raises `Problem` 429."""
        if most is None:
            yield
            return
        if self._waiting[partner] >= most:
            detail = f"wait: {most} calls wait already; send wait=0, or one call after the other."
            raise Problem(429, "too_many_waiting", detail, retry_after=1)
        self._waiting[partner] += 1
        try:
            yield
        finally:
            self._waiting[partner] -= 1

    async def wait(self, seconds: float) -> None:
        """Wait for the next signal, at most `seconds`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._event.wait()


async def _partner(
    request: Request,
    name: Annotated[str, Path(min_length=1, max_length=40)],
    credentials: Annotated[HTTPAuthorizationCredentials | None, Security(_BEARER)],
) -> CallingPartner:
    """Return the partner of the path, if the key is its own. Raises `Problem` 401 or 403."""
    directory: PartnerDirectory = request.app.state.directory
    caller = directory.identify(credentials.credentials) if credentials else None
    if caller is None:
        auth: ApiKeyAuth = request.app.state.api_keys
        if credentials and auth.identify(credentials.credentials):
            raise Problem(403, "forbidden", "Authorization: this route is for the partner itself; send its API key.")
        raise Problem(401, "unauthenticated", "Authorization: no valid API key; send `Bearer <API key>`.")
    if caller != name:
        raise Problem(403, "forbidden", f"Authorization: the key of another partner; call /v1/partner/{caller}.")
    request.state.caller = f"partner:{caller}"
    return CallingPartner(name, directory.partners[name])


CurrentPartner = Annotated[CallingPartner, Depends(_partner)]


async def _managed_partner(
    request: Request,
    name: Annotated[str, Path(min_length=1, max_length=40)],
    credentials: Annotated[HTTPAuthorizationCredentials | None, Security(_BEARER)],
) -> CallingPartner:
    """Return the partner of the path, for itself or for ops. Raises `Problem` 401, 403 or 404."""
    auth: ApiKeyAuth = request.app.state.api_keys
    if credentials and auth.identify(credentials.credentials) == "ops":
        directory: PartnerDirectory = request.app.state.directory
        if name not in directory.partners:
            raise Problem(404, "unknown_partner", f"name: {name} is not a partner; add it to PARTNERS.")
        request.state.caller = "ops"
        return CallingPartner(name, directory.partners[name])
    return await _partner(request, name, credentials)


ManagedPartner = Annotated[CallingPartner, Depends(_managed_partner)]


def _news(request: Request) -> FeedNews:
    news: FeedNews = request.app.state.news
    return news


CurrentNews = Annotated[FeedNews, Depends(_news)]
