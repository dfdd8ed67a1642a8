"""The way out by SMTP, against servers that are slow, strict or gone."""

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


async def verdicts(url: str, seconds: float = 60.0) -> list[SendStatus]:
    channel = SmtpChannel(urlsplit(url), 1, WRITER)
    outcomes = await channel.send(MAILS, seconds)
    await channel.close()
    return [outcome.status for outcome in outcomes]


async def test_what_a_slow_server_could_not_take_in_time_is_not_tried() -> None:
    async with server(Slow()) as address:
        assert await verdicts(f"smtp://{address}", 0.05) == [SendStatus.SENT, *[SendStatus.NOT_ATTEMPTED] * 3]


async def test_a_server_that_is_not_there_is_tried_once_and_is_away() -> None:
    assert await verdicts("smtp://127.0.0.1:1") == [SendStatus.CHANNEL_UNAVAILABLE, *[SendStatus.NOT_ATTEMPTED] * 3]


async def test_a_wrong_password_is_a_fault_of_the_whole() -> None:
    refuse = {"authenticator": lambda *_: AuthResult(success=False), "auth_require_tls": False}
    async with server(Mailbox(), **refuse) as address:
        assert await verdicts(f"smtp://shop:wrong@{address}") == [
            SendStatus.CHANNEL_UNAVAILABLE,
            *[SendStatus.NOT_ATTEMPTED] * 3,
        ]


async def test_a_sender_that_is_not_allowed_is_a_fault_of_the_whole() -> None:
    async with server(Strict()) as address:
        assert await verdicts(f"smtp://{address}") == [SendStatus.CHANNEL_UNAVAILABLE, *[SendStatus.NOT_ATTEMPTED] * 3]


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        ("550 no", SendStatus.PERMANENT_FAILURE),
        ("451 wait", SendStatus.TEMPORARY_FAILURE),
        ("552 size", SendStatus.PERMANENT_FAILURE),
    ],
)
async def test_a_refusal_of_one_message_is_about_that_message(answer: str, verdict: SendStatus) -> None:
    async with server(Mailbox(refusals=[answer])) as address:
        assert await verdicts(f"smtp://{address}") == [verdict, *[SendStatus.SENT] * 3]


async def test_a_kept_connection_that_the_server_has_closed_is_opened_anew(smtp: Mailbox) -> None:
    channel = SmtpChannel(urlsplit(smtp.url), 1, WRITER)
    await channel.send(MAILS[:1], 60.0)
    for transport in channel._idle:
        transport.close()
    assert [outcome.status for outcome in await channel.send(MAILS[1:2], 60.0)] == [SendStatus.SENT]


class Listening(Mailbox):
    """Remembers who logged in, and whether the line was encrypted."""

    secure: bool = False

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's
        self.secure = session.ssl is not None and bool(session.authenticated)
        return await super().handle_DATA(server, session, envelope)


async def test_a_server_that_wants_starttls_and_a_login_gets_both(tmp_path: Path) -> None:
    certificate, key = tmp_path / "server.pem", tmp_path / "server.key"
    make_certificate(certificate, key)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    check = {"authenticator": allow_the_shop, "auth_required": True, "require_starttls": True}
    box = Listening()
    async with server(box, tls_context=context, **check) as address:
        url = f"smtp://shop:pass%2Fword@{address}?starttls&ca={certificate}"
        assert await verdicts(url) == [SendStatus.SENT] * 4
        assert await verdicts(f"smtp://shop:wrong@{address}?starttls&ca={certificate}") == [
            SendStatus.CHANNEL_UNAVAILABLE,
            *[SendStatus.NOT_ATTEMPTED] * 3,
        ]
        assert await verdicts(f"smtp://shop:pass%2Fword@{address}?starttls") == [
            SendStatus.CHANNEL_UNAVAILABLE,
            *[SendStatus.NOT_ATTEMPTED] * 3,
        ]
    assert box.secure


def allow_the_shop(_: SMTP, __: Session, ___: Envelope, ____: str, login: Any) -> AuthResult:
    return AuthResult(success=(login.login, login.password) == (b"shop", b"pass/word"))


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


async def test_a_mailbox_that_does_not_exist_is_known_as_dead(smtp: Mailbox) -> None:
    class Unknown(Mailbox):
        async def handle_RCPT(self, server: SMTP, session: Session, envelope: Envelope, *_: Any) -> str:  # noqa: N802
            return "550 5.1.1 no such user"

    async with server(Unknown()) as address:
        channel = SmtpChannel(urlsplit(f"smtp://{address}"), 1, WRITER)
        (outcome,) = await channel.send(MAILS[:1], 60.0)
        await channel.close()
    assert (outcome.status, outcome.invalid_address) == (SendStatus.PERMANENT_FAILURE, True)
