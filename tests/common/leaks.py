"""Search of logs and spans for secrets and personal data: mail addresses, postal addresses, names, keys in links.

Input: the logged text (`caplog.text`, a process log, spans as text) and the secrets of the run.
"""

import re
from collections.abc import Iterable

from tests.running import API_KEYS, LINK_SECRETS

PERSONAL = (
    "山田", "花子", "神宮前", "150-0001", "hanako@", "Sato Hana", "Jingumae", "架空 一花", "架空町", "千代田1-1",
    "梅田 1-1", "0312345678", "+8190", "090 1234", "+81-00-0000", "03-1234-5678",
)  # fmt: skip
"""Names, addresses and phone numbers of the people in tests."""

SECRETS = (
    *(pair.partition(":")[2] for pair in API_KEYS.split(",")), LINK_SECRETS, "a-secret-for-signing-links-in-fault-runs",
    "a long password for tests", "a wrong password", "twelve characters", "another-password",
    "a-password-for-this-broker-only", "pass/word",
)  # fmt: skip

_MAIL = re.compile(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+\.[A-Za-z]{2,}(?:\.[A-Za-z]{2,})*")
_LINK = re.compile(r"/(?:c|s|v|r|u|staff/notices)/[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{10,}")
_LOGIN = re.compile(r"[a-z]+://[^\s/:@]+:[^\s/@]+@")
_SHOPS_OWN = frozenset({"shop@example.com", "shop@example.jp", "ops@shop.example"})


def leaks(text: str, secrets: Iterable[str] = ()) -> list[str]:
    """Return what was found; empty if nothing was."""
    found = [secret for secret in (*PERSONAL, *SECRETS, *secrets) if secret in text]
    found += [mail for mail in _MAIL.findall(text) if mail not in _SHOPS_OWN] if "@" in text else []
    return found + _LINK.findall(text) + _LOGIN.findall(text)
