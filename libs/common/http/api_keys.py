"""API keys: `Authorization: Bearer <key>`, one or more keys per caller."""

import hashlib
import hmac
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from libs.common.http.problems import Problem

_BEARER = HTTPBearer(auto_error=False, description="The API key of the caller.")


@dataclass
class ApiKeyAuth:
    """The keys of each caller. Keys are compared as digests, in constant time."""

    keys: Mapping[str, tuple[str, ...]]
    _digests: list[tuple[str, bytes]] = field(init=False)

    def __post_init__(self) -> None:
        self._digests = [(caller, _digest(key)) for caller, keys in self.keys.items() for key in keys]

    def identify(self, key: str) -> str | None:
        """Return the caller of this key, or None. Compares all keys, so that timing reveals nothing."""
        presented, found = _digest(key), None
        for caller, digest in self._digests:
            if hmac.compare_digest(presented, digest):
                found = caller
        return found


def require_caller(*allowed: str) -> Callable[..., Awaitable[str]]:
    """Return a FastAPI dependency that yields the caller's name or answers 401 or 403.

    The keys are `app.state.api_keys`, an `ApiKeyAuth`.
    """

    async def caller(
        request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Security(_BEARER)]
    ) -> str:
        auth: ApiKeyAuth = request.app.state.api_keys
        name = auth.identify(credentials.credentials) if credentials else None
        if name is None:
            raise Problem(401, "unauthenticated", "Authorization: no valid API key; send `Bearer <API key>`.")
        if name not in allowed:
            raise Problem(403, "forbidden", f"Authorization: this route is for {' and '.join(allowed)}.")
        request.state.caller = name
        return name

    return caller


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
