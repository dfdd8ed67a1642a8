"""Fast path for POST /v1/issues; bypasses FastAPI for valid requests.

For each call, FastAPI matches the route, resolves its dependencies and keeps two exit stacks: more than half of the
cost of this call. A request with a valid caller, key and body is answered here; any other one goes on to FastAPI, which
builds the refusal. So each refusal is written once, and OpenAPI still follows from the route's signature.
"""

from pydantic import ValidationError
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from libs.common.events.storefront import IssueSubmitted
from libs.common.http.idempotency import MAX_KEY_LENGTH, IdempotencyKey, fingerprint
from libs.common.http.problems import Problem
from services.intake.http.commands import IntakeCommands
from services.intake.http.issues import report_response

PATH = "/v1/issues"
CALLER = "storefront"


class ReportFastPath:
    """Innermost middleware: the body limit has read the body and passes it on whole."""

    def __init__(self, app: ASGIApp, commands: IntakeCommands) -> None:
        self.app, self._commands = app, commands
        self._route = Route(PATH, self._never, methods=["POST"])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        key = self._key(scope) if scope["type"] == "http" and scope["path"] == PATH else None
        if key is None:
            await self.app(scope, receive, send)
            return
        message = await receive()
        try:
            body = message["body"]
            submission = IssueSubmitted.model_validate_json(body)
        except (KeyError, ValidationError):
            await self.app(scope, _again(message, receive), send)
            return
        scope["route"] = self._route  # names the span
        idempotency = IdempotencyKey(CALLER, key, fingerprint("POST", PATH, body))
        try:
            response = report_response(await self._commands.submit(submission, idempotency))
        except Problem as problem:
            response = problem.response()
        await response(scope, receive, send)

    def _key(self, scope: Scope) -> str | None:
        """Return the `Idempotency-Key` of a call that may take the fast path."""
        headers = dict(scope["headers"])
        if scope["method"] != "POST" or len(headers) != len(scope["headers"]):
            return None
        scheme, _, secret = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
        key: str = headers.get(b"idempotency-key", b"").decode("latin-1")
        if (
            scheme != "Bearer"
            or not 1 <= len(key) <= MAX_KEY_LENGTH
            or headers.get(b"content-type") != b"application/json"
        ):
            return None
        return key if self._commands.service.callers.identify(secret) == CALLER else None

    async def _never(self) -> None:
        """The route only names the span."""


def _again(message: Message, receive: Receive) -> Receive:
    """Return a `receive` that yields this message first."""
    read = iter([message])

    async def replayed() -> Message:
        return next(read, None) or await receive()

    return replayed
