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

from services.delivery_notify.rendering.renderer import Rendered

_BYTES_PER_WORD = 45
"""60 characters of base64 and 12 around them, with room for a space and an address's bracket."""

_LINE = 76
"""Characters of base64 (RFC 2045)."""

_CONTINUES, _BEGINS = 0b1100_0000, 0b1000_0000
"""How a byte of UTF-8 is told that does not begin a character."""

_NOT_IN_LINE = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]")
_NOT_IN_ADDRESS = re.compile(r"[\x00-\x20\x7f<>,;:\"()]|[^\x00-\x7f]")


@dataclass(frozen=True, slots=True)
class Envelope:
    """From whom, to whom, and under which id. `message_id` is the same whenever the notice is the same."""

    sender: tuple[str, str]
    recipient: tuple[str, str]
    notice_id: UUID
    language: str
    date: datetime

    @property
    def message_id(self) -> str:
        return f"<{self.notice_id}@{self.sender[1].rpartition('@')[2]}>"


def write_mail(envelope: Envelope, rendered: Rendered) -> bytes:
    """Raises `ValueError` where an address cannot stand in a header."""
    boundary = f"=_{envelope.notice_id.hex}"
    headers = (
        f"From: {_shop(*envelope.sender)}",
        f"To: {_person('To', *envelope.recipient)}",
        f"Subject: {_encoded('Subject', rendered.subject)}",
        f"Date: {_moment(envelope.date.replace(microsecond=0))}",
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
def _moment(second: datetime) -> str:
    return format_datetime(second)


@lru_cache(maxsize=16)
def _shop(name: str, address: str) -> str:
    return _person("From", name, address)


def _part(boundary: str, kind: str, content: str) -> bytes:
    head = f"--{boundary}\r\nContent-Type: text/{kind}; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    encoded = base64.b64encode(content.encode())
    lines = [encoded[at : at + _LINE] for at in range(0, len(encoded), _LINE)]
    return b"\r\n".join((head.encode() + lines[0], *lines[1:], b"")) if lines else head.encode()


def _person(header: str, name: str, address: str) -> str:
    """Addresses are taken as they are, since carriers once gave out some (`a..b@`) that strict parsers refuse."""
    if _NOT_IN_ADDRESS.search(address):
        raise ValueError("address: has a character that cannot stand in a header")
    line = _one_line(name)
    return formataddr((line, address)) if line.isascii() else f"{_encoded(header, line)} <{address}>"


def _encoded(header: str, text: str) -> str:
    """RFC 2047: encoded words of 75 characters at most, each of whole characters, lines of 76 at most."""
    line = _one_line(text)
    if line.isascii():
        return line
    whole, words, at, room = line.encode(), [], 0, _BYTES_PER_WORD - len(header)
    while at < len(whole):
        end = min(at + room, len(whole))
        while end < len(whole) and whole[end] & _CONTINUES == _BEGINS:
            end -= 1
        words.append(base64.b64encode(whole[at:end]).decode())
        at, room = end, _BYTES_PER_WORD
    return "\r\n ".join(f"=?utf-8?b?{word}?=" for word in words)


def _one_line(text: str) -> str:
    """Text as a header may carry it: no control characters, so that a name cannot add a header."""
    return " ".join(_NOT_IN_LINE.sub(" ", text).split())
