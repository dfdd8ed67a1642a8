"""A mail as it goes over the wire: headers, a text part and an HTML part.

Written by hand, because a message of two UTF-8 parts is some lines of text and the standard library's `EmailMessage`
takes a millisecond of CPU for it, twenty-five times as much; its parser reads what is written here in the tests.
"""

import base64
import re
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime, formataddr
from uuid import UUID

from services.delivery_notify.render import Rendered

_BYTES_PER_WORD = 45
"""60 characters of base64 and 12 around them, with room for a space and an address's bracket."""

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
        f"From: {_person('From', *envelope.sender)}",
        f"To: {_person('To', *envelope.recipient)}",
        f"Subject: {_encoded('Subject', rendered.subject)}",
        f"Date: {format_datetime(envelope.date)}",
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


def _part(boundary: str, kind: str, content: str) -> bytes:
    head = f"--{boundary}\r\nContent-Type: text/{kind}; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    return head.encode() + base64.encodebytes(content.encode()).replace(b"\n", b"\r\n")


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
    words: list[bytes] = []
    begun, room = b"", _BYTES_PER_WORD - len(header)
    for character in line:
        piece = character.encode()
        if len(begun) + len(piece) > room:
            words, begun, room = [*words, begun], b"", _BYTES_PER_WORD
        begun += piece
    return "\r\n ".join(f"=?utf-8?b?{base64.b64encode(word).decode()}?=" for word in [*words, begun])


def _one_line(text: str) -> str:
    """Text as a header may carry it: no control characters, so that a name cannot add a header."""
    return " ".join(re.sub(r"[\x00-\x1f\x7f\x85\u2028\u2029]", " ", text).split())
