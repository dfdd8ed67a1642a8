"""MIME encoder: mails read back by the parser of the standard library."""

from dataclasses import replace
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.header import decode_header
from email.message import EmailMessage

import pytest

from libs.common.decisions.ids import derived_id
from libs.common.events.values import Language
from services.delivery_notify.channels.channel import RenderedMessage
from services.delivery_notify.channels.mime import MailEnvelope, encode_mail
from tests.delivery_notify.rendered_notices import RENDERER, sample_notice

NOTICE = derived_id("notice", "mail")
RENDERED = {language: RENDERER.render(sample_notice("order delayed", language)) for language in Language}


def read(name: str, address: str = "hanako@example.jp", language: Language = Language.JA) -> EmailMessage:
    sender = ("さきだし商店", "shop@example.jp")
    envelope = MailEnvelope(sender, (name, address), NOTICE, language, datetime(2027, 3, 1, tzinfo=UTC))
    return message_from_bytes(encode_mail(envelope, RENDERED[language]), policy=policy.default)


@pytest.mark.parametrize("language", Language)
def test_a_mail_reads_as_it_was_written(language: Language) -> None:
    mail, rendered = read("山田 花子", language=language), RENDERED[language]
    bodies = [part.get_content() for part in mail.iter_parts() if isinstance(part, EmailMessage)]
    assert (mail["Subject"], bodies) == (rendered.subject, [rendered.text, rendered.html])


@pytest.mark.parametrize("name", ["Care", "お客様係"])
def test_a_mail_names_the_mailbox_for_replies(name: str) -> None:
    envelope = MailEnvelope(
        ("Shop", "no-reply@example.jp"),
        ("", "hanako@example.jp"),
        NOTICE,
        "ja",
        datetime(2027, 3, 1, tzinfo=UTC),
        (name, "care@example.jp"),
    )
    mail = message_from_bytes(encode_mail(envelope, RENDERED[Language.JA]), policy=policy.default)
    (mailbox,) = mail["Reply-To"].addresses
    assert (mailbox.display_name, mailbox.addr_spec) == (name, "care@example.jp")


def test_without_a_mailbox_for_replies_they_go_to_the_sender() -> None:
    assert read("Hanako")["Reply-To"] is None


@pytest.mark.parametrize("name", ["Hanako", "山田 花子", 'O"Neil, Jr.', "山" * 12, "a" * 200])
def test_a_name_reads_as_it_was_given(name: str) -> None:
    (person,) = read(name)["To"].addresses
    assert (person.display_name, person.addr_spec) == (name, "hanako@example.jp")


@pytest.mark.parametrize("name", ["山" * 60, "山田 hanako " * 12 + "x", "🎁" * 40, "é" * 99])
def test_a_long_name_is_written_in_words_that_come_together_again(name: str) -> None:
    """Read by `decode_header`; the newer parser leaves a space between encoded words."""
    mail = message_from_bytes(read(name).as_bytes(policy=policy.default.clone(refold_source="none")))
    parts = [part for part, _ in decode_header(mail["To"].rpartition(" <")[0])]
    assert b"".join(parts).decode() == name


@pytest.mark.parametrize("name", ["花子\r\nBcc: all@example.jp", "Hanako\nBcc: all@example.jp", "a\u2028Bcc: b@c"])
def test_a_name_cannot_add_a_header(name: str) -> None:
    assert read(name)["Bcc"] is None


@pytest.mark.parametrize("address", ["a\x00b@example.jp", "a>,<b@example.jp", "花\u2028子@example.jp"])
def test_an_address_that_cannot_stand_in_a_header_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="address"):
        read("Hanako", address)


@pytest.mark.parametrize("name", ["A" * 1500, "Ann " * 400, "山" * 1500, '"' * 950])
@pytest.mark.parametrize("address", ["hanako@example.jp", "花子@example.jp", "h" * 240 + "@example.jp"])
def test_no_name_makes_a_line_that_servers_refuse(name: str, address: str) -> None:
    sender = (name, "shop@example.jp")
    envelope = MailEnvelope(sender, (name, address), NOTICE, Language.EN, datetime(2027, 3, 1, tzinfo=UTC))
    rendered = replace(RENDERED[Language.EN], subject=name)
    raw = encode_mail(envelope, rendered)
    assert max(len(line) for line in raw.split(b"\r\n")) <= 998
    parts = [part for part, _ in decode_header(str(message_from_bytes(raw)["Subject"]))]
    assert b"".join(part if isinstance(part, bytes) else part.encode() for part in parts).decode() == name.strip()


def test_an_address_that_carriers_once_gave_out_is_taken_as_it_is() -> None:
    assert "<hana..ko@example.jp>" in str(read("Hanako", "hana..ko@example.jp").as_bytes())


def test_the_message_id_is_the_same_whenever_the_notice_is_the_same() -> None:
    assert read("a")["Message-ID"] == read("b")["Message-ID"] == f"<{NOTICE}@example.jp>"


def test_no_line_is_longer_than_a_mail_server_takes() -> None:
    envelope = MailEnvelope(("店" * 80, "s@example.jp"), ("名" * 200, "h@example.jp"), NOTICE, "ja", datetime.now(UTC))
    assert max(map(len, encode_mail(envelope, RENDERED[Language.JA]).split(b"\r\n"))) < 100


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("Auto-Submitted", "auto-generated"),
        ("Content-Language", "ja"),
        ("MIME-Version", "1.0"),
        ("Date", "Mon, 01 Mar 2027 00:00:00 +0000"),
        ("From", "さきだし商店 <shop@example.jp>"),
    ],
)
def test_a_mail_has_the_headers_of_an_automatic_message(header: str, value: str) -> None:
    assert str(read("花子")[header]) == value


def test_a_mail_is_the_alternative_of_text_and_html() -> None:
    mail = read("花子")
    assert mail.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in mail.iter_parts()] == ["text/plain", "text/html"]


def test_an_empty_part_is_a_valid_part() -> None:
    envelope = MailEnvelope(("Shop", "s@example.jp"), ("", "h@example.jp"), NOTICE, "ja", datetime.now(UTC))
    mail = message_from_bytes(encode_mail(envelope, RenderedMessage("s", "", "")), policy=policy.default)
    assert [part.get_content() for part in mail.iter_parts() if isinstance(part, EmailMessage)] == ["", ""]


def test_a_recipient_without_a_name_is_an_address_alone() -> None:
    assert str(read("")["To"]) == "hanako@example.jp"
