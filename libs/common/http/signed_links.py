"""Signed, expiring links: authorisation without sign-in. A token is valid for one purpose.

The purpose is the salt of the signature. The expiry is part of the signed content, as a time of the shop's clock in
whole seconds. The first secret signs, all are accepted, so that a secret is rotated without breaking sent links. A
token is a credential: it must not be logged or traced.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

from itsdangerous import BadSignature, URLSafeSerializer
from pydantic import BeforeValidator, SecretStr
from pydantic_settings import NoDecode


class LinkInvalidError(Exception):
    """The link is unsigned, truncated, modified, for another purpose, or expired."""


class Purpose(StrEnum):
    """Purpose of a link; the descriptions name its `subject`."""

    CHOICE = "choice"
    """(order_id, choice_id): one question, answered on delivery_notify's page `/c/{token}`."""
    STATUS = "status"
    """(issue_id,): the status page of one issue, intake's `/s/{token}`."""
    REPORT = "report"
    """(order_id, customer_id, language): the report form of one order, intake's `/r/{token}`."""
    SURVEY = "survey"
    """(issue_id,): the survey after the end of one issue, intake's `/v/{token}`."""
    UPLOAD = "upload"
    """(issue_id,): adding photos to one issue."""
    UNSUBSCRIBE = "unsubscribe"
    """(customer_id, purpose): withdrawal of consent to advertising, delivery_notify's `/c/unsubscribe/{token}`."""
    STAFF_NOTICE = "staff-notice"
    """(notice_id, staff): one sent mail, shown to the staff member who requested it; valid for minutes."""
    OPENID = "openid"
    """(state, nonce, code verifier, next page): a sign-in begun at the identity provider; a cookie, not a link."""
    ORDER_LOOKUP = "order-lookup"
    """(random,): a form of the order lookup, intake's `/find`; a cookie that its form repeats, not a link."""
    DEVICE = "device"
    """(staff, random): a browser in which this member of staff has signed in before; a cookie, not a link."""


@dataclass(frozen=True, slots=True)
class SignedLink:
    """Content of a token: its subject and its expiry."""

    subject: tuple[str, ...]
    expires_at: datetime


class SignedLinks:
    """Creates and verifies tokens with these secrets, the newest first."""

    def __init__(self, secrets: Sequence[str]) -> None:
        # itsdangerous signs with the last key and accepts all.
        keys = list(reversed(secrets))
        self._serializers = {purpose: URLSafeSerializer(keys, salt=f"sakidashi.{purpose}.v1") for purpose in Purpose}

    def token(self, purpose: Purpose, expires_at: datetime, *subject: str) -> str:
        return str(self._serializers[purpose].dumps([*subject, int(expires_at.timestamp())]))

    def read(self, purpose: Purpose, token: str) -> SignedLink:
        """Verify a token except for its expiry (see `read_until`). Raises `LinkInvalidError`."""
        try:
            *subject, expires = self._serializers[purpose].loads(token)
            return SignedLink(tuple(str(part) for part in subject), datetime.fromtimestamp(expires, UTC))
        except (BadSignature, ValueError, TypeError, OverflowError, OSError) as error:
            raise LinkInvalidError("link: not valid; open the one in the newest message") from error

    def read_until(self, purpose: Purpose, token: str, now: datetime) -> tuple[str, ...]:
        """Return the subject of a valid link. Raises `LinkInvalidError`."""
        link = self.read(purpose, token)
        if link.expires_at <= now:
            raise LinkInvalidError("link: expired; open the one in the newest message")
        return link.subject


def _secrets(value: object) -> object:
    if not isinstance(value, str):
        return value
    secrets = tuple(filter(None, (part.strip() for part in value.split(","))))
    if not secrets or any(len(secret) < 16 for secret in secrets):
        raise ValueError("too short; use secrets of 16 characters or more, separated by commas, the newest first")
    return secrets


LinkSecrets = Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(_secrets)]
"""Type of the setting LINK_SECRETS: the first signs, all are accepted. Services share it for each other's links."""


def open_links(secrets: Sequence[SecretStr]) -> SignedLinks:
    return SignedLinks([secret.get_secret_value() for secret in secrets])
