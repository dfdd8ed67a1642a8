"""A partner's HTTP server: stores what it is sent and answers as a test says."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.traces.receiver import listening

Reply = tuple[int, dict[str, str], bytes]


@dataclass(frozen=True)
class Hook:
    """One received webhook."""

    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]


@dataclass
class PartnerServer:
    """Received webhooks; `reply` decides on the answer to each."""

    url: str = ""
    hooks: list[Hook] = field(default_factory=list)
    reply: Callable[[Hook], Reply] = lambda hook: (204, {}, b"")
    hold: threading.Event | None = None
    """Set: every answer waits for this event."""

    @property
    def ids(self) -> list[str]:
        return [each.id for each in self.hooks]


@contextmanager
def partner_server() -> Iterator[PartnerServer]:
    """Listen on loopback within the block."""
    server = PartnerServer()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            hook = Hook(headers, self.rfile.read(int(headers["content-length"])))
            server.hooks.append(hook)
            if server.hold:
                server.hold.wait(20)
            status, answered, body = server.reply(hook)
            self.send_response(status)
            for name, value in {**answered, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Suppress request logs."""

    with listening(Handler) as url:
        server.url = url
        yield server
    if server.hold:
        server.hold.set()
