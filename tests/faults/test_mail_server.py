"""Mail server of fault runs: accepted messages are on disk before the answer; refusals are temporary."""

import smtplib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from deploy.local.ports import LOOPBACK
from tests.faults.mail_server import MailServer

MESSAGE = b"Message-ID: <%s@example.jp>\r\nSubject: hello\r\n\r\nbody\r\n"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[MailServer]:
    mail = MailServer.in_folder(tmp_path, tmp_path / "mail.log")
    start(mail)
    yield mail
    mail.process.kill()


def start(mail: MailServer) -> None:
    mail.process.start()
    mail.process.wait_until(lambda: answers(mail), 60)


def answers(mail: MailServer) -> bool:
    with suppress(OSError, smtplib.SMTPException), smtplib.SMTP(LOOPBACK, mail.port, timeout=10) as smtp:
        return smtp.noop()[0] == 250
    return False


def send(mail: MailServer, name: bytes) -> None:
    with smtplib.SMTP(LOOPBACK, mail.port, timeout=10) as smtp:
        smtp.sendmail("shop@example.jp", "hanako@example.jp", MESSAGE % name)


def test_accepted_messages_are_counted_also_after_a_kill(server: MailServer) -> None:
    send(server, b"one")
    server.process.kill()
    start(server)
    send(server, b"one")
    assert dict(server.accepted) == {"<one@example.jp>": 2}


def test_a_busy_server_refuses_for_a_while_and_keeps_nothing(server: MailServer) -> None:
    server.refuse(True)
    with pytest.raises(smtplib.SMTPDataError) as refused:
        send(server, b"one")
    server.refuse(False)
    assert (refused.value.smtp_code, dict(server.accepted)) == (451, {})
