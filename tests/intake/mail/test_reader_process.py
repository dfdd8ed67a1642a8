"""The process that reads a mail: it ends alone on hostile mails, within its time and memory, and ours goes on."""

from time import perf_counter

import pytest

from services.intake.mail.reader_process import read_in_process
from services.intake.mail.reading import MAX_BYTES, UnreadableMailError, read_mail
from tests.intake.mail.mails import SHAPES, Mail

HEAD = b"From: a@example.jp\r\nTo: reply+x@reply.shop.example\r\n"
TEXT, HTML = b"Content-Type: text/plain\r\n", b"Content-Type: text/html\r\n"
LONGEST = 15.0
"""Seconds; the limit of CPU time is 5, and a busy machine has less of it."""

HOSTILE = {
    "encoded words": HEAD + b"Subject: " + b"=?utf-8?q?a?= " * 20_000 + b"\r\n\r\nx",
    "open tags": HEAD + HTML + b"\r\n" + b"<a " * 20_000,
    "crossed tags": HEAD + HTML + b"\r\n" + b"<b>" * 10_000 + b"</i>" * 10_000,
    "flowed lines": HEAD + b"Content-Type: text/plain; format=flowed\r\n\r\n" + b"a \n" * 100_000,
    "an empty parameter": HEAD + b"Content-Type: ;a*\r\n\r\nx",
    "mails in mails": HEAD + b"Content-Type: message/rfc822\r\n\r\n" * 2_000 + b"x",
    "parts in parts": b"".join(
        b'Content-Type: multipart/mixed; boundary="%d"\r\n\r\n--%d\r\n' % (n, n) for n in range(999)
    ),
    "parentheses": b"From: " + b"(" * 20_000 + b"\r\nTo: x@y.jp\r\n\r\nx",
}


@pytest.mark.parametrize("raw", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_mail_is_taken_within_seconds(raw: bytes) -> None:
    began = perf_counter()
    try:
        mail = read_in_process(raw)
    except UnreadableMailError:
        mail = None
    assert perf_counter() - began < LONGEST
    assert mail is None or mail.pictures == ()


def test_our_address_is_known_of_a_mail_that_ends_its_reader() -> None:
    mail = read_in_process(HOSTILE["open tags"])
    assert any("reply+x@reply.shop.example" in each for each in mail.addressed)
    assert mail.other_files == 1


@pytest.mark.parametrize("shape", SHAPES)
def test_a_mail_is_read_as_without_the_process(shape: str) -> None:
    files = (("image/jpeg", "1.jpg", b"\xff\xd8 one"), ("image/png", "2.png", b"two"), ("text/csv", "3.csv", b"3"))
    raw = Mail(SHAPES[shape], files=files).render()
    assert read_in_process(raw) == read_mail(raw)


def test_the_largest_mail_is_read() -> None:
    photo = b"\xff\xd8" + b"x" * (MAX_BYTES * 7 // 10)
    raw = Mail(files=(("image/jpeg", "1.jpg", photo),)).render()
    assert MAX_BYTES * 0.9 < len(raw) < MAX_BYTES
    assert read_in_process(raw).pictures == (photo,)


def test_bytes_that_are_no_mail_are_refused() -> None:
    with pytest.raises(UnreadableMailError, match="not a mail"):
        read_in_process(b"hello")
