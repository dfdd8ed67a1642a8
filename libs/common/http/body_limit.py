"""Middleware that limits size, duration and content of request bodies before they are parsed."""

import asyncio
from collections.abc import Callable

from starlette.routing import compile_path
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from libs.common.http.problems import Problem

MAX_BODY_BYTES = 64 * 1024
"""Maximum size of a JSON body; upload routes have limits of their own."""

BODY_SECONDS = 30.0
"""Maximum time in which a body must arrive."""


class BodyLimitMiddleware:
    """Answers 413 to a body over `MAX_BODY_BYTES` (announced or not), 408 to one slower than `BODY_SECONDS`, and 400
    or 422 to a raw NUL, which Postgres cannot store. In JSON, an escaped NUL and half a surrogate pair become U+FFFD.

    `repair` makes JSON text storable. Routes in `uploads` are exempt: they limit their multipart body while reading it.
    The bodies of routes in `signed` stay as they were sent. A route is named by its full path template, as in
    `/u/{token}/photos`; a suffix or a header would let a caller switch the limits off.
    """

    def __init__(
        self,
        app: ASGIApp,
        repair: Callable[[bytes], bytes],
        uploads: tuple[str, ...] = (),
        signed: tuple[str, ...] = (),
    ) -> None:
        self.app, self._repair = app, repair
        self._uploads = [compile_path(path)[0] for path in uploads]
        self._signed = frozenset(signed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or any(path.match(_route(scope)) for path in self._uploads):
            await self.app(scope, receive, send)
            return
        try:
            async with asyncio.timeout(BODY_SECONDS):
                body = await _read_body(receive)
        except TimeoutError:
            problem = Problem(408, "too_slow", f"body: not complete within {BODY_SECONDS:g} s; send it again.")
            await problem.answer().response({"Connection": "close"})(scope, receive, send)
            return
        if body is None:
            return  # the client disconnected
        if refusal := _refusal(scope, body):
            await refusal.response()(scope, receive, send)
            return
        messages = iter([{"type": "http.request", "body": self._repaired(scope, body), "more_body": False}])

        async def replayed() -> Message:
            return next(messages, None) or await receive()

        await self.app(scope, replayed, send)

    def _repaired(self, scope: Scope, body: bytes) -> bytes:
        """Return JSON with U+FFFD for half characters and NUL."""
        return self._repair(body) if _is_json(scope) and _route(scope) not in self._signed else body


async def _read_body(receive: Receive) -> bytes | None:
    """Return the body, or its beginning as soon as it exceeds the limit; None if the client disconnected."""
    body, more = bytearray(), True
    while more and len(body) <= MAX_BODY_BYTES:
        message = await receive()
        if message["type"] != "http.request":
            return None
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return bytes(body)


def _route(scope: Scope) -> str:
    """Return the path as the routes see it, without that of a mount."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))


def _is_json(scope: Scope) -> bool:
    return any(name == b"content-type" and b"json" in value.lower() for name, value in scope["headers"])


def _refusal(scope: Scope, body: bytes) -> Problem | None:
    if len(body) > MAX_BODY_BYTES:
        return Problem(413, "body_too_large", f"body: over {MAX_BODY_BYTES} bytes; send photos as uploads.")
    if "\x00" in scope["path"] or b"%00" in scope["query_string"]:
        return Problem(400, "nul_character", "address: contains the character NUL (%00); remove it.")
    form = any(name == b"content-type" and b"urlencoded" in value for name, value in scope["headers"])
    if b"\x00" in body or (form and b"%00" in body):
        return Problem(422, "nul_character", "body: contains the character NUL; remove it.")
    return None
