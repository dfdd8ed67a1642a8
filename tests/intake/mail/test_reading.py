"""Incoming mail as bytes: its text without quotes, its photos, and whether a person wrote it."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.intake.mail.reading import UnreadableMailError, read_mail
from tests.intake.mail.mails import ANSWER, ENCODINGS, SHAPES, Mail

JPEG = b"\xff\xd8\xff\xe0 picture"


def words(text: str) -> list[str]:
    """The lines of a text without the differences that an encoding makes."""
    plain = unicodedata.normalize("NFKC", text).replace("髙", "高")
    return [line.strip() for line in plain.split("\n") if line.strip()]


@pytest.mark.parametrize(("charset", "transfer"), ENCODINGS)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("is_html", [False, True], ids=["plain", "html"])
def test_the_new_text_is_read_whatever_program_wrote_the_mail(
    shape: str, charset: str, transfer: str, is_html: bool
) -> None:
    files = (("image/jpeg", "IMG_0001.JPG", JPEG),)
    mail = read_mail(Mail(SHAPES[shape], charset=charset, transfer=transfer, is_html=is_html, files=files).render())
    assert words(mail.text) == words(ANSWER)
    assert (mail.subject, mail.sender) == ("Re: 写真のお願い", "hanako@example.jp")
    assert (mail.pictures, mail.other_files, mail.is_automatic) == ((JPEG,), 0, False)


def test_lines_of_flowed_text_are_joined() -> None:
    text = "The lid \nis cracked.\n\n-- \nJane"
    assert read_mail(Mail(text, parameters="; format=flowed").render()).text == "The lid is cracked."


def test_the_whole_text_is_kept_beside_the_new_one() -> None:
    mail = read_mail(Mail(SHAPES["outlook"]).render())
    assert "送信日時" in mail.whole_text
    assert "送信日時" not in mail.text


@pytest.mark.parametrize("name", ["photo.HEIC", "photo.jpeg", "画像.png"])
def test_a_picture_of_a_phone_is_known_by_its_name(name: str) -> None:
    assert read_mail(Mail(files=(("application/octet-stream", name, JPEG),)).render()).pictures == (JPEG,)


def test_other_files_are_counted() -> None:
    mail = read_mail(Mail(files=(("application/pdf", "a.pdf", b"%PDF"), ("image/png", "empty.png", b""))).render())
    assert (mail.pictures, mail.other_files) == ((), 2)


@pytest.mark.parametrize(
    "headers",
    [
        {"Auto-Submitted": "auto-replied"},
        {"Precedence": "bulk"},
        {"X-Autoreply": "yes"},
        {"List-Id": "<news.example.jp>"},
        {"Return-Path": "<>"},
        {"From": "MAILER-DAEMON@example.jp"},
        {"From": "No-Reply <no-reply@example.jp>"},
        {"Subject": "自動返信：休暇中です"},
        {"Subject": "【自動応答】お問い合わせを受け付けました"},
        {"Subject": "Automatic reply: photo"},
        {"Subject": "Abwesenheitsnotiz: Urlaub"},
        {"Subject": "自動返信"},
    ],
    ids=str,
)
def test_a_mail_of_a_machine_is_automatic(headers: dict[str, str]) -> None:
    assert read_mail(Mail(headers=headers).render()).is_automatic


@pytest.mark.parametrize(
    "headers",
    [
        {"Auto-Submitted": "no"},
        {"Precedence": "normal"},
        {"Return-Path": "<a@b.jp>"},
        {"Subject": "自動返信メールが届きません"},
        {"Subject": "Abwesenheit am 3. Dezember"},
    ],
    ids=str,
)
def test_a_mail_of_a_person_is_not(headers: dict[str, str]) -> None:
    assert not read_mail(Mail(headers=headers).render()).is_automatic


@pytest.mark.parametrize("raw", [b"", b"hello", b"\x00\xff\xfe", b"X-Other: a\r\n\r\ntext"])
def test_bytes_without_a_header_of_a_mail_are_refused(raw: bytes) -> None:
    with pytest.raises(UnreadableMailError, match="begin"):
        read_mail(raw)


@given(st.binary(max_size=400))
def test_no_bytes_break_the_reading(raw: bytes) -> None:
    mail = read_mail(b"From: a@example.jp\r\nContent-Type: text/plain; charset=iso-2022-jp\r\n" + raw)
    assert "\x00" not in mail.text + mail.subject + mail.whole_text


@given(st.text(max_size=60), st.text(max_size=60))
def test_no_header_breaks_the_reading(name: str, value: str) -> None:
    head = (
        f"From: {name} <{value}>\r\nTo: {value}\r\nContent-Type: {value}; charset={name}\r\nReferences: {name}\r\n\r\nx"
    )
    mail = read_mail(head.encode("utf-8", "surrogatepass"))
    assert mail.sender.encode() is not None
