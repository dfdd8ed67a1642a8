"""LINE, an SMS gateway, Slack, Zendesk and kintone on loopback, following their documents."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from standardwebhooks import Webhook, WebhookVerificationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from deploy.local.ports import LOOPBACK, free_port

SIGNING_SECRET = "whsec_" + base64.b64encode(b"a secret for tests, thirty two b").decode()
LINE_TOKEN, SLACK_TOKEN, ZENDESK_TOKEN, KINTONE_TOKEN = "line-token", "xoxb-token", "zendesk-token", "kintone-token"
UNKNOWN_USER = "U-nobody"
"""An unknown LINE user or telephone number."""


@dataclass
class Providers:
    """`accepted` are the messages by idempotency key. `answers` are returned first, one per call."""

    port: int = 0
    answers: list[Response] = field(default_factory=list)
    accepted: dict[str, dict[str, Any]] = field(default_factory=dict)
    calls: int = 0

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    def _accept(self, key: str, message: dict[str, Any]) -> bool:
        """Store a message; return whether its key is new."""
        new = key not in self.accepted
        self.accepted.setdefault(key, message)
        return new

    async def line(self, request: Request) -> Response:
        if request.headers.get("Authorization") != f"Bearer {LINE_TOKEN}":
            return JSONResponse({"message": "Authentication failed"}, 401)
        body = await request.json()
        if body["to"] == UNKNOWN_USER:
            return JSONResponse({"message": "Failed to send messages"}, 400)
        if not self._accept(request.headers["X-Line-Retry-Key"], body):
            return JSONResponse({"message": "The retry key is already accepted"}, 409)
        return JSONResponse({"sentMessages": [{"id": "1"}]})

    async def sms(self, request: Request) -> Response:
        content = await request.body()
        try:
            body: Any = Webhook(SIGNING_SECRET).verify(content.decode(), dict(request.headers))
        except WebhookVerificationError:
            return JSONResponse({"code": "signature"}, 401)
        if body["data"]["to"] == UNKNOWN_USER:
            return JSONResponse({"code": "unreachable"}, 422)
        self._accept(request.headers["Idempotency-Key"], body)
        return Response(status_code=204)

    async def slack(self, request: Request) -> Response:
        if request.headers.get("Authorization") != f"Bearer {SLACK_TOKEN}":
            return JSONResponse({"ok": False, "error": "invalid_auth"})
        body = await request.json()
        self.accepted[str(len(self.accepted))] = body
        return JSONResponse({"ok": True, "channel": body["channel"], "ts": "1.2"})

    async def slack_hook(self, request: Request) -> Response:
        self.accepted[str(len(self.accepted))] = await request.json()
        return PlainTextResponse("ok")

    async def zendesk(self, request: Request) -> Response:
        login = base64.b64encode(f"ops@shop.example/token:{ZENDESK_TOKEN}".encode()).decode()
        if request.headers.get("Authorization") != f"Basic {login}":
            return JSONResponse({"error": "Couldn't authenticate you"}, 401)
        new = self._accept(request.headers["Idempotency-Key"], (await request.json())["ticket"])
        return JSONResponse({"ticket": {"id": 3}}, 201, {"x-idempotency-lookup": "miss" if new else "hit"})

    async def kintone(self, request: Request) -> Response:
        if request.headers.get("X-Cybozu-API-Token") != KINTONE_TOKEN:
            return JSONResponse({"code": "GAIA_IA02", "message": "no such token"}, 401)
        record = (await request.json())["record"]
        if not self._accept(record["notice_id"]["value"], record):
            errors = {"record.notice_id.value": {"messages": ["値がほかのレコードと重複しています。"]}}
            return JSONResponse(
                {"code": "CB_VA01", "id": "x", "message": "入力内容が正しくありません。", "errors": errors}, 400
            )
        return JSONResponse({"id": "100", "revision": "1"})

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        self.calls += 1
        if self.answers:
            await self.answers.pop(0)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def __post_init__(self) -> None:
        routes = {
            "/v2/bot/message/push": self.line,
            "/sms": self.sms,
            "/chat.postMessage": self.slack,
            "/hook": self.slack_hook,
            "/api/v2/tickets.json": self.zendesk,
            "/k/v1/record.json": self.kintone,
        }
        self._app = Starlette(routes=[Route(path, call, methods=["POST"]) for path, call in routes.items()])


@asynccontextmanager
async def providers() -> AsyncIterator[Providers]:
    """Run the providers in this event loop."""
    found = Providers(free_port())
    config = uvicorn.Config(found, LOOPBACK, found.port, log_level="critical", access_log=False, lifespan="off")
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    try:
        yield found
    finally:
        server.should_exit = True
        await serving
