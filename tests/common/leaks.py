"""Finds what no log line and no span may hold: secrets, mail addresses, addresses and names of people, keys in links.

Give it what was logged (`caplog.text`, the log of a process, spans as text) and what is secret in that run.
"""

import re
from collections.abc import Iterable

from tests.running import API_KEYS, LINK_SECRETS

PERSONAL = ("山田", "花子", "神宮前", "150-0001", "hanako@")
"""What the people of the tests are called, and where they live."""

_MAIL = re.compile(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+\.[A-Za-z]{2,}")
_LINK = re.compile(r"/(?:c|s|v|r|u|staff/notices)/[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{10,}")
_SHOPS_OWN = frozenset({"shop@example.com", "shop@example.jp"})


def leaks(text: str, secrets: Iterable[str] = ()) -> list[str]:
    """What was found that must not be there; empty where nothing was."""
    keys = [pair.partition(":")[2] for pair in API_KEYS.split(",")]
    known = [*PERSONAL, LINK_SECRETS, *keys, *secrets]
    found = [secret for secret in known if secret in text]
    found += [mail for mail in _MAIL.findall(text) if mail not in _SHOPS_OWN]
    return found + _LINK.findall(text)
