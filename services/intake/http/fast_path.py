"""The short way of the call that makes every issue, `POST /v1/issues`: past FastAPI, where nothing is wrong with it.

FastAPI looks for the route, works its dependencies out anew and keeps two stacks of what is to be closed, for each
call: together more than half of what this one cost. A call whose caller, key and body are as they should be is answered
here; any other goes FastAPI's way, which says what is wrong with it. So each refusal stays in one place, and what the
route says of itself still follows from its signature.
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
    """Stands behind `Border`, which has read the body and hands it on whole."""

    def __init__(self, app: ASGIApp, calls: IntakeCommands) -> None:
        self.app, self._calls = app, calls
        self._route = Route(PATH, self._never, methods=["POST"])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        key = self._key(scope) if scope["type"] == "http" and scope["path"] == PATH else None
        if key is None:
            await self.app(scope, receive, send)
            return
        message = await receive()
        try:
            body = message["body"]
            said = IssueSubmitted.model_validate_json(body)
        except (KeyError, ValidationError):
            await self.app(scope, _again(message, receive), send)
            return
        scope["route"] = self._route  # its span is named by it
        named = IdempotencyKey(CALLER, key, fingerprint("POST", PATH, body))
        try:
            response = report_response(await self._calls.submit(said, named))
        except Problem as problem:
            response = problem.response()
        await response(scope, receive, send)

    def _key(self, scope: Scope) -> str | None:
        """The `Idempotency-Key` of a call that may go the short way."""
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
        return key if self._calls.service.callers.identify(secret) == CALLER else None

    async def _never(self) -> None:
        """The route is there for its name only."""


def _again(message: Message, receive: Receive) -> Receive:
    """`receive` for whoever comes behind us: this message first."""
    read = iter([message])

    async def replayed() -> Message:
        return next(read, None) or await receive()

    return replayed
