"""Meaning of mail answers: about the mailbox, about this message, or about our server (RFC 3463, RFC 5248). Pure.

An address is given up only for an enhanced code about that mailbox. Codes about policy, content, sender, route or
authentication, and answers without an enhanced code, say nothing about it: one entry in a block list would otherwise
silence every customer of a provider.
"""

import re

from services.delivery_notify.channels.channel import SendOutcome, SendStatus

MAILBOX_CODES = frozenset({"5.1.1", "5.1.3", "5.1.6", "5.1.10", "5.2.1"})
"""No such mailbox, impossible address, moved, a domain without mail (null MX), disabled."""

COMPLAINTS = frozenset({"abuse", "fraud", "opt-out", "opt-out-list"})
"""Feedback types by which a recipient asks for no more mail; `not-spam`, `auth-failure` and others do not."""

_ENHANCED = re.compile(r"(?<![\d.])([245]\.\d{1,3}\.\d{1,3})(?![\d.])")
_UNSPECIFIC = ("0.0", "1.0", "2.0")
"""Subject and detail of codes that say only where to look."""

_SERVICE_NOT_AVAILABLE = 421
_POLICY = "5.7."


def enhanced_code(text: str) -> str | None:
    """Return the first enhanced code in an answer."""
    found = _ENHANCED.search(text)
    return found[1] if found else None


def report_code(status: str, diagnostic: str) -> str:
    """Return the code of a delivery status, or the more specific one of its diagnostic."""
    code = enhanced_code(status)
    if code is not None and code.partition(".")[2] not in _UNSPECIFIC:
        return code
    return enhanced_code(diagnostic) or code or "5.0.0"


def is_about_mailbox(code: str) -> bool:
    return code in MAILBOX_CODES


def classify_answer(code: int, answer: str, step: str) -> SendOutcome:
    """Return the outcome of a refused `step` (recipient, data, size)."""
    enhanced = enhanced_code(answer)
    cause = f"smtp {code} {step}" if enhanced is None else f"smtp {code} {enhanced} {step}"
    if code == _SERVICE_NOT_AVAILABLE:
        return SendOutcome(SendStatus.CHANNEL_UNAVAILABLE, cause)
    if code < 500:
        return SendOutcome(SendStatus.TEMPORARY_FAILURE, cause)
    if step == "recipient" and enhanced is not None and enhanced.startswith(_POLICY):
        return SendOutcome(SendStatus.TEMPORARY_FAILURE, cause, blocked=True)
    invalid = step == "recipient" and enhanced is not None and is_about_mailbox(enhanced)
    return SendOutcome(SendStatus.PERMANENT_FAILURE, cause, invalid_address=invalid)
