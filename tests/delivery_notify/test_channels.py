"""The way out by SMTP, against servers that are slow, strict or gone."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

from deploy.local.mailbox import Mailbox
from deploy.local.ports import LOOPBACK
from libs.common.ids import derived_id
from services.delivery_notify.channels.channel import Message, Verdict
from services.delivery_notify.channels.smtp import MailWriter, Smtp

WRITER = MailWriter(("Shop", "shop@example.jp"))
MAILS = [
    Message(derived_id("notice", number), f"customer-{number}@example.jp", b"Subject: 1\r\n\r\n1\r\n")
    for number in range(4)
]


class Slow:
    """Takes its time for each message."""

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's
        await asyncio.sleep(0.15)
        return "250 OK"


class Strict:
    """Takes nothing from this sender."""

    async def handle_MAIL(  # noqa: N802 - aiosmtpd's
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        return "553 sender not allowed"


@asynccontextmanager
async def server(handler: object, **options: Any) -> AsyncIterator[str]:
    loop = asyncio.get_running_loop()
    listening = await loop.create_server(
        lambda: SMTP(handler, hostname="localhost", loop=loop, **options),
        LOOPBACK,
    )
    try:
        yield f"{LOOPBACK}:{listening.sockets[0].getsockname()[1]}"
    finally:
        listening.close()
        await listening.wait_closed()


async def verdicts(url: str, seconds: float = 60.0) -> list[Verdict]:
    channel = Smtp(urlsplit(url), 1, WRITER)
    outcomes = await channel.send(MAILS, seconds)
    await channel.close()
    return [outcome.verdict for outcome in outcomes]


async def test_what_a_slow_server_could_not_take_in_time_is_not_tried() -> None:
    async with server(Slow()) as address:
        assert await verdicts(f"smtp://{address}", 0.05) == [Verdict.SENT, *[Verdict.NOT_TRIED] * 3]


async def test_a_server_that_is_not_there_is_tried_once_and_is_away() -> None:
    assert await verdicts("smtp://127.0.0.1:1") == [Verdict.AWAY, *[Verdict.NOT_TRIED] * 3]


async def test_a_wrong_password_is_a_fault_of_the_whole() -> None:
    refuse = {"authenticator": lambda *_: AuthResult(success=False), "auth_require_tls": False}
    async with server(Mailbox(), **refuse) as address:
        assert await verdicts(f"smtp://shop:wrong@{address}") == [Verdict.AWAY, *[Verdict.NOT_TRIED] * 3]


async def test_a_sender_that_is_not_allowed_is_a_fault_of_the_whole() -> None:
    async with server(Strict()) as address:
        assert await verdicts(f"smtp://{address}") == [Verdict.AWAY, *[Verdict.NOT_TRIED] * 3]


@pytest.mark.parametrize(
    ("answer", "verdict"), [("550 no", Verdict.REFUSED), ("451 wait", Verdict.LATER), ("552 size", Verdict.REFUSED)]
)
async def test_a_refusal_of_one_message_is_about_that_message(answer: str, verdict: Verdict) -> None:
    async with server(Mailbox(refusals=[answer])) as address:
        assert await verdicts(f"smtp://{address}") == [verdict, *[Verdict.SENT] * 3]


async def test_a_kept_connection_that_the_server_has_closed_is_opened_anew(smtp: Mailbox) -> None:
    channel = Smtp(urlsplit(smtp.url), 1, WRITER)
    await channel.send(MAILS[:1], 60.0)
    for transport in channel._open:
        transport.close()
    assert [outcome.verdict for outcome in await channel.send(MAILS[1:2], 60.0)] == [Verdict.SENT]
