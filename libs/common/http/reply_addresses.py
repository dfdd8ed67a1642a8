"""Signed mail addresses for replies: the address itself says which issue or order an incoming mail is about.

The local part is `reply+`, the kind of the target, 26 characters of its id and 16 of a signature, in lower-case base32:
49 characters of the 64 that RFC 5321 allows, and valid where a mail program changes their case. An order id can be
longer than that, so an order is named by its MD5 digest, by which intake finds it; the signature protects it. An
address does not expire: a mail is answered months later, too, and it authorises nothing but a message and photos.
`itsdangerous` was rejected: its tokens need both cases of letters and three times the space.

The same text is the root of `References` of every mail about the target: a reply to the sender's own address carries
it.
"""

import hashlib
import hmac
import re
from base64 import b32decode, b32encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

_SALT = b"sakidashi.reply.v1"
_SIGNATURE_BYTES = 10
_TOKEN = re.compile(r"reply\+([io][a-z2-7]{42})@", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True, slots=True)
class ReplyTarget:
    """An issue, or an order by its digest; one of both."""

    issue_id: UUID | None = None
    order_digest: str | None = None


def order_digest(order_id: str) -> str:
    """Return the MD5 digest of an order id in hexadecimal form, as Postgres' `md5` returns it."""
    return hashlib.md5(order_id.encode(), usedforsecurity=False).hexdigest()


class ReplyAddresses:
    """Creates and verifies addresses with these secrets, the newest first; all are accepted."""

    def __init__(self, secrets: Sequence[str], domain: str = "") -> None:
        self._keys = [hashlib.sha256(_SALT + secret.encode()).digest() for secret in secrets]
        self._domain = domain

    def of_issue(self, issue_id: UUID) -> str:
        return self._address("i", issue_id.bytes)

    def of_order(self, order_id: str) -> str:
        return self._address("o", bytes.fromhex(order_digest(order_id)))

    def read(self, texts: Iterable[str]) -> ReplyTarget | None:
        """Return the target of the first valid address in these header values; None where there is none."""
        for text in texts:
            for token in _TOKEN.findall(text):
                if target := self._target(token.lower()):
                    return target
        return None

    def _address(self, kind: str, target: bytes) -> str:
        return f"reply+{kind}{_encoded(target)}{_encoded(_sign(self._keys[0], kind, target))}@{self._domain}"

    def _target(self, token: str) -> ReplyTarget | None:
        kind, target, signature = token[0], _decoded(token[1:27]), _decoded(token[27:])
        if not any(hmac.compare_digest(_sign(key, kind, target), signature) for key in self._keys):
            return None
        return ReplyTarget(issue_id=UUID(bytes=target)) if kind == "i" else ReplyTarget(order_digest=target.hex())


def _sign(key: bytes, kind: str, target: bytes) -> bytes:
    return hmac.digest(key, kind.encode() + target, "sha256")[:_SIGNATURE_BYTES]


def _encoded(value: bytes) -> str:
    return b32encode(value).decode().rstrip("=").lower()


def _decoded(text: str) -> bytes:
    return b32decode(text.upper() + "=" * (-len(text) % 8))
