"""SMTP channel against slow, strict and unreachable servers."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from deploy.local.mailbox import Mailbox
from deploy.local.ports import LOOPBACK
from libs.common.decisions.ids import derived_id
from services.delivery_notify.channels.channel import EncodedMessage, SendStatus
from services.delivery_notify.channels.smtp import MailEncoder, SmtpChannel

WRITER = MailEncoder(("Shop", "shop@example.jp"))
MAILS = [
    EncodedMessage(derived_id("notice", number), f"customer-{number}@example.jp", b"Subject: 1\r\n\r\n1\r\n")
    for number in range(4)
]


class Slow:
    """Delays each message."""

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's
        await asyncio.sleep(0.15)
        return "250 OK"


class Strict:
    """Rejects the sender."""

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


async def statuses(url: str, seconds: float = 60.0) -> list[SendStatus]:
    channel = SmtpChannel(urlsplit(url), 1, WRITER)
    outcomes = await channel.send(MAILS, seconds)
    await channel.close()
    return [outcome.status for outcome in outcomes]


async def test_messages_over_the_time_limit_are_not_attempted() -> None:
    async with server(Slow()) as address:
        assert await statuses(f"smtp://{address}", 0.05) == [SendStatus.SENT, *[SendStatus.NOT_ATTEMPTED] * 3]


async def test_an_unreachable_server_is_tried_once() -> None:
    assert await statuses("smtp://127.0.0.1:1") == [SendStatus.CHANNEL_UNAVAILABLE, *[SendStatus.NOT_ATTEMPTED] * 3]


async def test_a_wrong_password_makes_the_channel_unavailable() -> None:
    refuse = {"authenticator": lambda *_: AuthResult(success=False), "auth_require_tls": False}
    async with server(Mailbox(), **refuse) as address:
        assert await statuses(f"smtp://shop:wrong@{address}") == [
            SendStatus.CHANNEL_UNAVAILABLE,
            *[SendStatus.NOT_ATTEMPTED] * 3,
        ]


async def test_a_rejected_sender_makes_the_channel_unavailable() -> None:
    async with server(Strict()) as address:
        assert await statuses(f"smtp://{address}") == [SendStatus.CHANNEL_UNAVAILABLE, *[SendStatus.NOT_ATTEMPTED] * 3]


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        ("550 no", SendStatus.PERMANENT_FAILURE),
        ("451 wait", SendStatus.TEMPORARY_FAILURE),
        ("552 size", SendStatus.PERMANENT_FAILURE),
    ],
)
async def test_a_refused_message_does_not_concern_the_others(answer: str, status: SendStatus) -> None:
    async with server(Mailbox(refusals=[answer])) as address:
        assert await statuses(f"smtp://{address}") == [status, *[SendStatus.SENT] * 3]


async def test_an_idle_connection_that_the_server_closed_is_reopened(smtp: Mailbox) -> None:
    channel = SmtpChannel(urlsplit(smtp.url), 1, WRITER)
    await channel.send(MAILS[:1], 60.0)
    for transport in channel._idle:
        transport.close()
    assert [outcome.status for outcome in await channel.send(MAILS[1:2], 60.0)] == [SendStatus.SENT]


class SecureMailbox(Mailbox):
    """Records whether a message came authenticated and encrypted."""

    secure: bool = False

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's
        self.secure = session.ssl is not None and bool(session.authenticated)
        return await super().handle_DATA(server, session, envelope)


async def test_starttls_and_authentication(tmp_path: Path) -> None:
    certificate, key = tmp_path / "server.pem", tmp_path / "server.key"
    make_certificate(certificate, key)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    check = {"authenticator": allow_the_shop, "auth_required": True, "require_starttls": True}
    box = SecureMailbox()
    async with server(box, tls_context=context, **check) as address:
        url = f"smtp://shop:pass%2Fword@{address}?starttls&ca={certificate}"
        assert await statuses(url) == [SendStatus.SENT] * 4
        assert await statuses(f"smtp://shop:wrong@{address}?starttls&ca={certificate}") == [
            SendStatus.CHANNEL_UNAVAILABLE,
            *[SendStatus.NOT_ATTEMPTED] * 3,
        ]
        assert await statuses(f"smtp://shop:pass%2Fword@{address}?starttls") == [
            SendStatus.CHANNEL_UNAVAILABLE,
            *[SendStatus.NOT_ATTEMPTED] * 3,
        ]
    assert box.secure


def allow_the_shop(_: SMTP, __: Session, ___: Envelope, ____: str, login: Any) -> AuthResult:
    known = (login.login, login.password) == (b"shop", b"pass/word")
    return AuthResult(success=known, handled=False)  # "handled": the server has sent a reply


def make_certificate(certificate: Path, key: Path) -> None:
    """For 127.0.0.1, signed by itself."""
    private = ec.generate_private_key(ec.SECP256R1())
    name, now = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")]), datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, private.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    here = x509.SubjectAlternativeName([x509.IPAddress(ip_address(LOOPBACK))])
    signed = builder.add_extension(here, critical=False).sign(private, SHA256())
    certificate.write_bytes(signed.public_bytes(Encoding.PEM))
    key.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


async def test_an_unknown_mailbox_is_an_invalid_address(smtp: Mailbox) -> None:
    class Unknown(Mailbox):
        async def handle_RCPT(self, server: SMTP, session: Session, envelope: Envelope, *_: Any) -> str:  # noqa: N802
            return "550 5.1.1 no such user"

    async with server(Unknown()) as address:
        channel = SmtpChannel(urlsplit(f"smtp://{address}"), 1, WRITER)
        (outcome,) = await channel.send(MAILS[:1], 60.0)
        await channel.close()
    assert (outcome.status, outcome.invalid_address) == (SendStatus.PERMANENT_FAILURE, True)
