"""Parser of mail reports: bounces (RFC 3464, codes of RFC 3463) and complaints (RFC 5965).

A report says which code applies; the address is the one of our own record of that message (`mail_answers` has the
codes). So nobody can silence a customer with a report about a mail that we did not send.

Reports are untrusted input. They are parsed with `compat32`, which splits headers only: the structured parser of the
newer policies needs most of a minute for 18 kB of quotes, and fails on unbalanced brackets.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from email import message_from_bytes
from email.message import Message
from enum import StrEnum
from uuid import UUID

from libs.common.events.values.texts import mail_address
from services.delivery_notify.channels.mail_answers import COMPLAINTS, is_about_mailbox, report_code

MAX_PARTS = 60
"""Limit on MIME parts: parsing time grows with nesting depth times the number of lines."""


class MailReportKind(StrEnum):
    BOUNCE = "bounce"
    COMPLAINT = "complaint"


_XTEXT = re.compile(r"\+([0-9A-F]{2})")

Parts = dict[str, "Message[str, str]"]


class InvalidMailReportError(ValueError):
    """body: neither a delivery status (RFC 3464) nor a feedback report (RFC 5965); post the report unchanged."""


@dataclass(frozen=True, slots=True)
class MailReport:
    """One bounce or complaint. `notice_id` comes from the returned Message-ID; `code` holds no personal data."""

    kind: MailReportKind
    address: str | None
    notice_id: UUID | None
    code: str

    @property
    def suppresses_address(self) -> bool:
        """Return true if the mailbox is missing or the recipient complained: do not use the address again."""
        return self.code in COMPLAINTS if self.kind == MailReportKind.COMPLAINT else is_about_mailbox(self.code)

    @property
    def cause(self) -> str:
        return f"{self.kind}: {self.code}"


def parse_reports(raw: bytes) -> list[MailReport]:
    """Return one report per failed recipient. Raises `InvalidMailReportError`."""
    if raw.lower().count(b"content-type") > MAX_PARTS:
        raise InvalidMailReportError(f"body: more than {MAX_PARTS} MIME parts; a report has three")
    parts: Parts = {part.get_content_type(): part for part in message_from_bytes(raw).walk()}
    notice_id = _notice_id(parts)
    if status := parts.get("message/delivery-status"):
        return [report for block in _blocks(status) for report in _bounce(block, notice_id)]
    if feedback := parts.get("message/feedback-report"):
        fields = _fields(feedback)
        address = _address(fields.get("original-rcpt-to"))
        return [
            MailReport(
                MailReportKind.COMPLAINT, address, notice_id, fields.get("feedback-type", "abuse").strip().lower()[:40]
            )
        ]
    raise InvalidMailReportError(InvalidMailReportError.__doc__)


def _bounce(block: dict[str, str], notice_id: UUID | None) -> Iterator[MailReport]:
    if block.get("action", "").lower() == "failed":
        recipient = block.get("original-recipient") or block.get("final-recipient") or ""
        code = report_code(block.get("status", ""), block.get("diagnostic-code", ""))
        yield MailReport(MailReportKind.BOUNCE, _recipient(recipient), notice_id, code)


def _recipient(field: str) -> str | None:
    """Return the address of a recipient field: `type;address`, in xtext (RFC 3461) where a `+` begins two digits."""
    kind, _, address = field.partition(";")
    plain = _XTEXT.sub(lambda found: chr(int(found[1], 16)), address) if "rfc822" in kind.lower() else address
    return _address(plain)


def _blocks(part: Message) -> list[dict[str, str]]:
    """Return the field groups of a delivery status: the one of the message, then one per recipient."""
    payload = part.get_payload()
    return [_headers(block) for block in payload if isinstance(block, Message)] if isinstance(payload, list) else []


def _fields(part: Message) -> dict[str, str]:
    payload = part.get_payload()
    if isinstance(payload, list):
        return _headers(payload[0]) if payload and isinstance(payload[0], Message) else {}
    return _headers(message_from_bytes(part.get_payload(decode=True) or b""))  # type: ignore[arg-type]


def _headers(message: Message) -> dict[str, str]:
    return {name.lower(): str(value).strip() for name, value in message.items()}


def _address(address: str | None) -> str | None:
    return mail_address((address or "").strip().strip("<>"))


def _notice_id(parts: Parts) -> UUID | None:
    """Read the notice id from the Message-ID of the returned mail."""
    returned = parts.get("message/rfc822")
    inner = returned.get_payload() if returned else None
    headers = _headers(inner[0]) if isinstance(inner, list) and isinstance(inner[0], Message) else {}
    if not headers and (only := parts.get("text/rfc822-headers")):
        headers = _headers(message_from_bytes(only.get_payload(decode=True) or b""))  # type: ignore[arg-type]
    return notice_id_of(headers.get("message-id", ""))


def notice_id_of(message_id: str) -> UUID | None:
    try:
        return UUID(message_id.strip(" <>").partition("@")[0])
    except ValueError:
        return None
