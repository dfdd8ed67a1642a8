"""HTTP: API keys, `Idempotency-Key`, and errors as `application/problem+json` (RFC 9457)."""

import asyncio
import hashlib
import hmac
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import FastAPI, Header, Request, Security
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import compile_path
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from libs.common.postgres.pool import strip_row_values

log = logging.getLogger(__name__)

MAX_BODY_BYTES = 64 * 1024
"""The most that a JSON call may carry; uploads have a limit of their own."""

BODY_SECONDS = 30.0
"""How long the body of such a call may take to arrive."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a caller is told; stored with its idempotency key. `replayed`: it is the first answer again."""

    status: int
    body: dict[str, Any]
    replayed: bool = False

    def response(self, headers: Mapping[str, str] | None = None) -> JSONResponse:
        media_type = "application/problem+json" if self.status >= 400 else "application/json"
        replayed = {"Idempotent-Replayed": "true"} if self.replayed else {}
        return JSONResponse(self.body, self.status, {**(headers or {}), **replayed}, media_type)


class Problem(Exception):  # noqa: N818 - the name of the format
    """An error for the caller: a stable `code`, and a `detail` that names the field and what would be right."""

    def __init__(self, status: int, code: str, detail: str, *, retry_after: int | None = None, **members: Any) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail, self.members = status, code, detail, members
        self.retry_after = retry_after

    def answer(self) -> Answer:
        return Answer(
            self.status,
            {
                "type": f"urn:sakidashi:problem:{self.code}",
                "code": self.code,
                "title": self.code.replace("_", " "),
                "status": self.status,
                "detail": self.detail,
                **self.members,
            },
        )

    def response(self) -> JSONResponse:
        return self.answer().response({"Retry-After": str(self.retry_after)} if self.retry_after else None)


PROBLEM_RESPONSE: dict[int | str, dict[str, Any]] = {
    status: {"description": text, "content": {"application/problem+json": {}}}
    for status, text in {
        400: "malformed",
        401: "no or wrong API key",
        403: "not allowed",
        404: "not known",
        409: "conflict",
        413: "too large",
        415: "wrong media type",
        422: "invalid",
        503: "try again later",
    }.items()
}
"""For `responses=` of a route: the problems that any writing call may answer with."""


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """A caller's key for one call, and the digest of what was called with it."""

    caller: str
    key: str
    fingerprint: bytes


@dataclass
class ApiKeyAuth:
    """Who may call: the keys of each caller. Keys are compared as digests, in constant time."""

    keys: Mapping[str, tuple[str, ...]]
    _digests: list[tuple[str, bytes]] = field(init=False)

    def __post_init__(self) -> None:
        self._digests = [(caller, _digest(key)) for caller, keys in self.keys.items() for key in keys]

    def identify(self, key: str) -> str | None:
        """The caller that this key belongs to; every key is looked at, so that time tells nothing."""
        presented, found = _digest(key), None
        for caller, digest in self._digests:
            if hmac.compare_digest(presented, digest):
                found = caller
        return found

    def require(self, *allowed: str) -> Callable[..., Awaitable[str]]:
        """A dependency that gives the caller's name, or answers 401 or 403."""

        async def caller(
            request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Security(_BEARER)]
        ) -> str:
            name = self.identify(credentials.credentials) if credentials else None
            if name is None:
                raise Problem(401, "unauthenticated", "Authorization: send `Bearer <API key>` with a key we know.")
            if name not in allowed:
                raise Problem(403, "forbidden", f"Authorization: this route is for {' and '.join(allowed)}.")
            request.state.caller = name
            return name

        return caller


_BEARER = HTTPBearer(auto_error=False, description="The API key of the caller.")


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


LONGEST_KEY = 200
"""Characters of an `Idempotency-Key`."""


async def idempotency_key(
    request: Request,
    key: Annotated[str | None, Header(alias="Idempotency-Key", min_length=1, max_length=LONGEST_KEY)] = None,
) -> IdempotencyKey:
    """A dependency of every writing route; it must stand behind the one that identifies the caller."""
    if key is None:
        raise Problem(400, "idempotency_key_missing", "Idempotency-Key: send a header with a new value for each call.")
    return IdempotencyKey(
        request.state.caller, key, fingerprint(request.method, request.url.path, await request.body())
    )


def fingerprint(method: str, path: str, body: bytes) -> bytes:
    """What two calls under one `Idempotency-Key` must have in common."""
    return hashlib.sha256(f"{method} {path}\n".encode() + body).digest()


class BodyLimitMiddleware:
    """Refuses what no route could take, before anything of it is parsed: a body over `MAX_BODY_BYTES`, announced or
    not, one that does not arrive in `BODY_SECONDS`, and the character NUL, which no text in Postgres can hold.

    A route among `uploads`, named by its whole path as in `/u/{token}/photos`, is let through: it counts its multipart
    body itself while it reads. The end of a path alone would let any token choose that no limit holds for it.
    """

    def __init__(self, app: ASGIApp, uploads: tuple[str, ...] = ()) -> None:
        self.app = app
        self._uploads = [compile_path(path)[0] for path in uploads]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or any(path.match(scope["path"]) for path in self._uploads):
            await self.app(scope, receive, send)
            return
        try:
            async with asyncio.timeout(BODY_SECONDS):
                body = await _read_body(receive)
        except TimeoutError:
            problem = Problem(408, "too_slow", f"body: it must be here within {BODY_SECONDS:g} s; send it again.")
            await problem.answer().response({"Connection": "close"})(scope, receive, send)
            return
        if body is None:
            return  # the caller has gone away
        if refusal := _refusal(scope, body):
            await refusal.response()(scope, receive, send)
            return
        read = iter([{"type": "http.request", "body": body, "more_body": False}])

        async def replayed() -> Message:
            return next(read, None) or await receive()

        await self.app(scope, replayed, send)


async def _read_body(receive: Receive) -> bytes | None:
    """The body, or a little more than is allowed of it."""
    body, more = bytearray(), True
    while more and len(body) <= MAX_BODY_BYTES:
        message = await receive()
        if message["type"] != "http.request":
            return None
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return bytes(body)


def _refusal(scope: Scope, body: bytes) -> Problem | None:
    if len(body) > MAX_BODY_BYTES:
        return Problem(413, "body_too_large", f"body: {MAX_BODY_BYTES} bytes are the most; send photos as uploads.")
    if "\x00" in scope["path"] or b"%00" in scope["query_string"]:
        return Problem(400, "nul_character", "address: leave out the character NUL (%00).")
    form = any(name == b"content-type" and b"urlencoded" in value for name, value in scope["headers"])
    if b"\\u0000" in body or b"\x00" in body or (form and b"%00" in body):
        return Problem(422, "nul_character", "body: leave out the character NUL (\\u0000).")
    return None


def install_problems(app: FastAPI, uploads: tuple[str, ...] = ()) -> None:
    """Every error of this app becomes a problem; what was not foreseen is logged and told without detail."""
    app.add_middleware(BodyLimitMiddleware, uploads=uploads)
    app.add_exception_handler(Problem, _on_problem)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(ClientDisconnect, _on_disconnect)
    app.add_exception_handler(Exception, _on_unexpected_error)


async def _on_problem(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Problem)
    return error.response()


async def _on_invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    faults = [
        {"field": ".".join(str(part) for part in fault["loc"][1:]) or str(fault["loc"][0]), "message": fault["msg"]}
        for fault in error.errors()
    ]
    if any(fault["type"] == "json_invalid" for fault in error.errors()):
        return Problem(400, "malformed_json", "body: this is not JSON; see errors.", errors=faults).response()
    first = f"{faults[0]['field']}: {faults[0]['message']}"
    return Problem(422, "invalid", first, errors=faults).response()


async def _on_http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    if error.status_code == 400 and isinstance(error.__cause__, RecursionError | ValueError):
        return Problem(400, "malformed_json", "body: this is not JSON in UTF-8, or too deeply nested.").response()
    code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "http_error")
    return Problem(error.status_code, code, str(error.detail)).response()


async def _on_disconnect(request: Request, error: Exception) -> JSONResponse:
    """Nobody hears this any more; a client that hangs up in the middle of an upload is no fault of ours."""
    return Problem(400, "disconnected", "body: it broke off; send it again.").response()


async def _on_unexpected_error(request: Request, error: Exception) -> JSONResponse:
    # The route and not the address: a signed link is a key.
    route = getattr(request.scope.get("route"), "path", "an unknown address")
    strip_row_values(error)
    log.error("%s %s failed", request.method, route, exc_info=error)
    return Problem(500, "internal", "Something went wrong on our side; the call may be repeated.").response()
