"""A mail as it goes over the wire: headers, a text part and an HTML part.

Written by hand, because a message of two UTF-8 parts is some lines of text and the standard library's `EmailMessage`
takes a millisecond of CPU for it, twenty-five times as much; its parser reads what is written here in the tests.
"""

import base64
import re
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime, formataddr
from functools import lru_cache
from uuid import UUID

from services.delivery_notify.rendering.renderer import RenderedMessage

_BYTES_PER_WORD = 45
"""60 characters of base64 and 12 around them, with room for a space and an address's bracket."""

_LINE_LENGTH = 76
"""Characters of base64 (RFC 2045)."""

_UTF8_KIND_MASK, _UTF8_CONTINUATION = 0b1100_0000, 0b1000_0000
"""How a byte of UTF-8 is told that does not begin a character."""

_LINE_BREAKS_AND_CONTROLS = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]")
_FORBIDDEN_IN_ADDRESS = re.compile(r"[\x00-\x20\x7f<>,;:\"()]|[^\x00-\x7f]")


@dataclass(frozen=True, slots=True)
class MailEnvelope:
    """From whom, to whom, and under which id. `message_id` is the same whenever the notice is the same."""

    sender: tuple[str, str]
    recipient: tuple[str, str]
    message_key: UUID
    language: str
    date: datetime

    @property
    def message_id(self) -> str:
        return f"<{self.message_key}@{self.sender[1].rpartition('@')[2]}>"


def encode_mail(envelope: MailEnvelope, rendered: RenderedMessage) -> bytes:
    """Raises `ValueError` where an address cannot stand in a header."""
    boundary = f"=_{envelope.message_key.hex}"
    headers = (
        f"From: {_sender(*envelope.sender)}",
        f"To: {_mailbox('To', *envelope.recipient)}",
        f"Subject: {_encoded_words('Subject', rendered.subject)}",
        f"Date: {_date_header(envelope.date.replace(microsecond=0))}",
        f"Message-ID: {envelope.message_id}",
        "Auto-Submitted: auto-generated",
        f"Content-Language: {envelope.language}",
        "MIME-Version: 1.0",
        f'Content-Type: multipart/alternative; boundary="{boundary}"',
        "",
        "",
    )
    parts = _part(boundary, "plain", rendered.text) + _part(boundary, "html", rendered.html)
    return "\r\n".join(headers).encode() + parts + f"--{boundary}--\r\n".encode()


# Kept, since a batch of mails has one sender and one second.
@lru_cache(maxsize=16)
def _date_header(second: datetime) -> str:
    return format_datetime(second)


@lru_cache(maxsize=16)
def _sender(name: str, address: str) -> str:
    return _mailbox("From", name, address)


def _part(boundary: str, kind: str, content: str) -> bytes:
    head = f"--{boundary}\r\nContent-Type: text/{kind}; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    encoded = base64.b64encode(content.encode())
    lines = [encoded[at : at + _LINE_LENGTH] for at in range(0, len(encoded), _LINE_LENGTH)]
    return b"\r\n".join((head.encode() + lines[0], *lines[1:], b"")) if lines else head.encode()


def _mailbox(header: str, name: str, address: str) -> str:
    """Addresses are taken as they are, since carriers once gave out some (`a..b@`) that strict parsers refuse."""
    if _FORBIDDEN_IN_ADDRESS.search(address):
        raise ValueError("address: has a character that cannot stand in a header")
    line = _one_line(name)
    return formataddr((line, address)) if line.isascii() else f"{_encoded_words(header, line)} <{address}>"


def _encoded_words(header: str, text: str) -> str:
    """RFC 2047: encoded words of 75 characters at most, each of whole characters, lines of 76 at most."""
    line = _one_line(text)
    if line.isascii():
        return line
    whole, words, at, room = line.encode(), [], 0, _BYTES_PER_WORD - len(header)
    while at < len(whole):
        end = min(at + room, len(whole))
        while end < len(whole) and whole[end] & _UTF8_KIND_MASK == _UTF8_CONTINUATION:
            end -= 1
        words.append(base64.b64encode(whole[at:end]).decode())
        at, room = end, _BYTES_PER_WORD
    return "\r\n ".join(f"=?utf-8?b?{word}?=" for word in words)


def _one_line(text: str) -> str:
    """Text as a header may carry it: no control characters, so that a name cannot add a header."""
    return " ".join(_LINE_BREAKS_AND_CONTROLS.sub(" ", text).split())
