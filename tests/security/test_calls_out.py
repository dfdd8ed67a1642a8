"""Outgoing calls go to configured addresses only, never to addresses in data or in redirects.

A rule over the source names the modules that use the network. Each that uses HTTP is tested against a server that
answers every request with a redirect, with data full of addresses.
"""

import ast
import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast
from uuid import uuid4

import pytest
from fastapi import FastAPI
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from libs.common.runtime.service import Service
from libs.common.telemetry.tracing import Tracing
from services.delivery_notify.channels.channel import Channel, MessageDraft, RenderedMessage, SendStatus
from services.delivery_notify.channels.kintone import kintone_channel
from services.delivery_notify.channels.line import line_channel
from services.delivery_notify.channels.slack import slack_bot_channel, slack_webhook_channel
from services.delivery_notify.channels.webhook import webhook_channel
from services.delivery_notify.channels.zendesk import zendesk_channel
from services.intake.desk.dead_letters import DeadLetterClient, OpsUnreachableError
from tests.security.test_rotation import SIGNING
from tests.security.test_sql import ROOT, SOURCES

NETWORK = {
    "aiohttp",
    "aiosmtplib",
    "ftplib",
    "http",
    "httpcore",
    "httpx",
    "obstore",
    "requests",
    "smtplib",
    "socket",
    "urllib",
}
MAY_CALL = {
    "libs/common/decisions/clock.py": "loopback only: processes that share a simulated clock",
    "libs/common/http/outgoing_tls.py": "nobody; the TLS context of the two below that speak HTTP",
    "libs/common/telemetry/providers.py": "the collector",
    "services/delivery_notify/channels/http_channel.py": "all channels over HTTP",
    "services/delivery_notify/channels/smtp.py": "the mail server",
    "services/partners/sending/endpoint.py": "partners, at public addresses that are checked when connected",
    "services/intake/desk/dead_letters.py": "the ops routes of the other services",
    "services/intake/evidence/storage.py": "the store of photos",
}
HARMLESS = {"urllib.parse", "http.HTTPStatus"}
"""They take addresses apart and call nobody."""


def callers(source: str) -> set[str]:
    """Return the network modules that this module imports, except for types."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
    found: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                found |= {one.name for one in names}
            case ast.ImportFrom(module=str(module), names=names):
                found |= {module if module in HARMLESS else f"{module}.{one.name}" for one in names}
    return {one for one in found if one.split(".")[0] in NETWORK and one not in HARMLESS}


def opens_a_client(source: str) -> bool:
    """Return whether it creates a client or calls the library's functions; response types do not count."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[0] in NETWORK:
            return True
    return False


def test_only_these_modules_speak_to_the_network() -> None:
    speaking = set()
    for path in SOURCES:
        source = path.read_text("utf-8")
        if callers(source) and (opens_a_client(source) or "httpx" not in callers(source)):
            speaking.add(path.relative_to(ROOT).as_posix())
    assert speaking == set(MAY_CALL)


def test_a_new_caller_would_be_seen() -> None:
    source = "import httpx\n\nasync def ask(url):\n    return httpx.get(url)\n"
    assert callers(source) == {"httpx"}
    assert opens_a_client(source)


def test_every_http_client_says_that_it_follows_no_redirect() -> None:
    clients = [
        ast.unparse(node)
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("httpx.AsyncClient", "httpx.Client")
    ]
    assert len(clients) >= 2
    assert [one for one in clients if "follow_redirects=False" not in one] == []


@dataclass
class Elsewhere:
    """Server that redirects every request to its own `/stolen` and stores the requests."""

    asked: list[str] = field(default_factory=list)
    url: str = ""

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            self.asked.append(head.split(" ")[1])
            length = next((line for line in head.splitlines() if line.lower().startswith("content-length")), ":0")
            await reader.readexactly(int(length.partition(":")[2]))
            there = f"Location: {self.url}/stolen\r\nContent-Length: 0\r\nConnection: close"
            writer.write(f"HTTP/1.1 307 Elsewhere\r\n{there}\r\n\r\n".encode())
            await writer.drain()
        writer.close()


@pytest.fixture
async def elsewhere() -> AsyncIterator[Elsewhere]:
    found = Elsewhere()
    server = await asyncio.start_server(found.answer, "127.0.0.1", 0)
    found.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield found


HOSTILE = (
    "http://169.254.169.254/meta-data/ //evil.example/ @evil.example file:///etc/passwd ../ %2e%2e/ \r\nHost: evil"
)
CHANNELS: dict[str, tuple[Any, str]] = {
    "line": (lambda url: line_channel("token", url), "/v2/bot/message/push"),
    "sms": (lambda url: webhook_channel("sms", f"{url}/sms", [SIGNING["new"]]), "/sms"),
    "slack": (lambda url: slack_bot_channel("token", "C-ops", url), "/chat.postMessage"),
    "slack hook": (lambda url: slack_webhook_channel(f"{url}/hook"), "/hook"),
    "zendesk": (lambda url: zendesk_channel(url, "ops@shop.example", "token"), "/api/v2/tickets.json"),
    "kintone": (lambda url: kintone_channel(url, 7, "token"), "/k/v1/record.json"),
}


@pytest.mark.parametrize("name", CHANNELS)
async def test_a_message_goes_where_the_settings_say_whatever_stands_in_it(name: str, elsewhere: Elsewhere) -> None:
    opened, path = CHANNELS[name]
    channel: Channel = opened(elsewhere.url)
    rendered = RenderedMessage(*[HOSTILE] * len(RenderedMessage.__dataclass_fields__))
    draft = MessageDraft(uuid4(), HOSTILE, HOSTILE, "ja", datetime.now(UTC), rendered)
    [outcome] = await channel.send([channel.encode(draft)], 10)
    await channel.close()
    assert (outcome.status, elsewhere.asked) == (SendStatus.CHANNEL_UNAVAILABLE, [path])


async def test_the_desk_asks_only_services_that_the_settings_name(elsewhere: Elsewhere) -> None:
    service = cast("Service", FastAPI())
    service.name = "intake"
    client = DeadLetterClient(service, {"returns": elsewhere.url}, "a-key-of-the-desk")
    for name in ("evil.example", "returns@evil.example", elsewhere.url, "//evil.example", ""):
        with pytest.raises(OpsUnreachableError):
            await client.find(name, 1)
    assert await client.find("returns", 1) is None
    assert elsewhere.asked == ["/ops/dead-letters/1"]


async def test_spans_go_to_the_collector_and_no_further(elsewhere: Elsewhere) -> None:
    tracing = Tracing("intake", elsewhere.url)
    provider = tracing.provider
    assert isinstance(provider, TracerProvider)
    with provider.get_tracer("test").start_as_current_span(HOSTILE):
        trace.get_current_span().set_attribute("url", HOSTILE)
    await asyncio.to_thread(provider.force_flush, 5_000)
    await asyncio.to_thread(tracing.shutdown)
    assert "/v1/traces" in elsewhere.asked
    assert "/stolen" not in elsewhere.asked
