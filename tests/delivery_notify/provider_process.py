"""Mail server and SMS gateway in a process of their own, which outlives the killed service.

`GET /seen` returns the received copies of each idempotency key.

    python -m tests.delivery_notify.provider_process <smtp port> <http port>
"""

import asyncio
import sys
from email import message_from_bytes, policy

import uvicorn
from aiosmtpd.smtp import SMTP, Envelope, Session
from standardwebhooks import Webhook
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from deploy.local.ports import LOOPBACK
from tests.delivery_notify.providers import SIGNING_SECRET


class Receiver:
    def __init__(self) -> None:
        self.seen: dict[str, list[str]] = {}

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's
        mail = message_from_bytes(envelope.original_content or b"", policy=policy.default)
        self.seen.setdefault(str(mail["Message-ID"]).strip("<>").partition("@")[0], []).append(str(mail["To"]))
        return "250 OK"

    async def sms(self, request: Request) -> Response:
        body = await request.body()
        Webhook(SIGNING_SECRET).verify(body.decode(), dict(request.headers))
        self.seen.setdefault(request.headers["Idempotency-Key"], []).append(body.decode())
        return Response(status_code=204)

    async def show(self, request: Request) -> Response:
        return JSONResponse(self.seen)


async def main(smtp_port: int, http_port: int) -> None:
    receiver = Receiver()
    loop = asyncio.get_running_loop()
    smtp = await loop.create_server(lambda: SMTP(receiver, hostname="localhost", loop=loop), LOOPBACK, smtp_port)
    app = Starlette(routes=[Route("/sms", receiver.sms, methods=["POST"]), Route("/seen", receiver.show)])
    async with smtp:
        await uvicorn.Server(uvicorn.Config(app, LOOPBACK, http_port, log_level="error")).serve()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
