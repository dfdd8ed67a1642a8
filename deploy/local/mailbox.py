"""A mail server for tests: a real SMTP server that keeps its messages, or refuses them as configured."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage

from aiosmtpd.smtp import SMTP, Envelope, Session

from deploy.local.ports import LOOPBACK


@dataclass
class Mailbox:
    """`messages` in their order. `refusals` are SMTP answers, such as "550 no such user", used one by one before any
    message is accepted.
    """

    port: int = 0
    messages: list[EmailMessage] = field(default_factory=list)
    recipients: list[list[str]] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def url(self) -> str:
        return f"smtp://{LOOPBACK}:{self.port}"

    async def wait_for(self, count: int, seconds: float = 10.0) -> list[EmailMessage]:
        """The messages, once there are `count` of them. Raises `TimeoutError` after `seconds`."""
        async with asyncio.timeout(seconds), self._changed:
            await self._changed.wait_for(lambda: len(self.messages) >= count)
        return self.messages

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's
        if self.refusals:
            return self.refusals.pop(0)
        content = envelope.original_content or b""
        async with self._changed:
            self.messages.append(message_from_bytes(content, policy=policy.default))
            self.recipients.append(list(envelope.rcpt_tos))
            self._changed.notify_all()
        return "250 OK"


@asynccontextmanager
async def mailbox() -> AsyncIterator[Mailbox]:
    """Run a mail server in this event loop for the length of the block."""
    server_box = Mailbox()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: SMTP(server_box, hostname="localhost", loop=loop, enable_SMTPUTF8=True), LOOPBACK
    )
    server_box.port = server.sockets[0].getsockname()[1]
    try:
        yield server_box
    finally:
        server.close()
        await server.wait_closed()
