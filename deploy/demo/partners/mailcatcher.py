"""A mail server that delivers nothing: SMTP in, a page and a JSON list out."""

import asyncio
import html
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse
from starlette.routing import BaseRoute, Route

from deploy.demo.partners.partner import main, serve
from deploy.demo.partners.settings import MailSettings
from libs.common.config.settings import load

KEPT_BODIES = 3_000
"""Of older mails only recipients, subject and Message-ID are kept."""

PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Mails</title>
<style>body{{font:16px/1.5 system-ui;margin:2rem;max-width:60rem}}td{{padding:.2rem .8rem}}pre{{white-space:pre-wrap}}
iframe{{width:100%;height:70vh;border:1px solid #ccc}}</style><h1>{title}</h1>{body}</html>"""

FRAME = """<p>To {to} · <a href='/'>all mails</a> · <a href='?as=text'>as text</a></p>
<iframe title="The mail" sandbox="allow-popups allow-popups-to-escape-sandbox" src="/mails/{number}/body"></iframe>"""
"""A mail runs no script; its links open in a new tab."""

BODY_HEADERS = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:"}


@dataclass
class MailStore:
    """Every received mail by number, oldest first."""

    summaries: list[dict[str, Any]] = field(default_factory=list)
    bodies: OrderedDict[int, tuple[str, str]] = field(default_factory=OrderedDict)
    """The text and the HTML of each mail."""
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's
        content = envelope.original_content or b""
        message = message_from_bytes(content, policy=policy.default)
        self.add(message, envelope.rcpt_tos)
        return "250 OK"

    def add(self, message: EmailMessage, receivers: list[str]) -> None:
        number = len(self.summaries) + 1
        head = {"number": number, "to": receivers, "subject": str(message["Subject"] or "")}
        names = {"message_id": "Message-ID", "reply_to": "Reply-To"}
        self.summaries.append(head | {field: str(message[name] or "") for field, name in names.items()})
        plain, rich = message.get_body(("plain", "html")), message.get_body(("html",))
        self.bodies[number] = (plain.get_content() if plain else "", rich.get_content() if rich else "")
        if len(self.bodies) > KEPT_BODIES:
            self.bodies.popitem(last=False)
        self.arrived.set()

    async def list_json(self, request: Request) -> JSONResponse:
        """Mails after a number, or the `last` ones, with their text unless `summary=1`. `wait` is the number of seconds
        to wait for a new mail.
        """
        last = int(request.query_params.get("last", "0"))
        after = max(0, len(self.summaries) - last) if last else int(request.query_params.get("after", "0"))
        if len(self.summaries) <= after and (seconds := float(request.query_params.get("wait", "0"))):
            self.arrived.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self.arrived.wait(), seconds)
        mails = self.summaries[after:]
        if "summary" not in request.query_params:
            mails = [head | {"text": self.bodies.get(head["number"], ("", ""))[0]} for head in mails[:200]]
        return JSONResponse(mails)

    async def page(self, request: Request) -> HTMLResponse:
        rows = "".join(
            f"<tr><td><a href='/mails/{head['number']}'>{head['number']}</a><td>{html.escape(', '.join(head['to']))}"
            f"<td>{html.escape(head['subject'])}"
            for head in reversed(self.summaries[-500:])
        )
        return HTMLResponse(PAGE.format(title=f"{len(self.summaries)} mails", body=f"<table>{rows}</table>"))

    async def mail(self, request: Request) -> HTMLResponse:
        number = int(request.path_params["number"])
        if not 1 <= number <= len(self.summaries):
            return HTMLResponse(PAGE.format(title="No such mail", body=""), 404)
        head, (text, rich) = self.summaries[number - 1], self.bodies.get(number, ("(no longer kept)", ""))
        body = f"<pre>{html.escape(text)}</pre>"
        if rich and request.query_params.get("as") != "text":
            body = FRAME.format(number=number, to=html.escape(", ".join(head["to"])))
        return HTMLResponse(PAGE.format(title=html.escape(head["subject"]), body=body))

    async def body(self, request: Request) -> HTMLResponse:
        """The HTML part of a mail, for the frame of its page."""
        rich = self.bodies.get(int(request.path_params["number"]), ("", ""))[1]
        return HTMLResponse('<base target="_blank">' + rich, 200 if rich else 404, headers=BODY_HEADERS)

    async def status(self, request: Request) -> JSONResponse:
        return JSONResponse({"backlog": 0, "next_at": None, "mails": len(self.summaries)})

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/", self.page),
            Route("/mails/{number:int}", self.mail),
            Route("/mails/{number:int}/body", self.body),
            Route("/api/mails", self.list_json),
            Route("/status", self.status),
            Route("/health/ready", self.status),
        ]


async def run() -> None:
    settings = load(MailSettings)
    mails = MailStore()
    loop = asyncio.get_running_loop()
    smtp = await loop.create_server(lambda: SMTP(mails, enable_SMTPUTF8=True), settings.http_host, settings.smtp_port)
    async with smtp:
        await serve(settings, mails.routes())


if __name__ == "__main__":
    main(run)
