"""Signed links: what somebody may do without signing in. A token is good for one purpose, until its time is over.

The purpose is the salt of the signature, so that a link to one page opens no other. The expiry stands inside the
signature as a moment of the shop's clock, in whole seconds. Several secrets: the first signs, all are accepted, so that
a secret is rotated without breaking the links already sent. A token is a key: it never belongs into a log or a span.
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
    """The link was not signed by us, was cut off or changed, is for something else, or its time is over."""


class Purpose(StrEnum):
    """What a link is good for, and what its `subject` names."""

    CHOICE = "choice"
    """(order_id, choice_id): one question, answered on delivery_notify's page `/c/{token}`."""
    STATUS = "status"
    """(issue_id,): the status page of one issue, intake's `/s/{token}`."""
    REPORT = "report"
    """(order_id, customer_id, language): the report form of one order, intake's `/r/{token}`."""
    SURVEY = "survey"
    """(issue_id,): the question after the end of one issue, intake's `/v/{token}`."""
    UPLOAD = "upload"
    """(issue_id,): adding photos to one issue."""
    STAFF_NOTICE = "staff-notice"
    """(notice_id, staff): one mail as it was sent, shown to the one who asked; minutes, not days."""


@dataclass(frozen=True, slots=True)
class SignedLink:
    """What a token said: whom or what it is about, and until when it holds."""

    subject: tuple[str, ...]
    expires_at: datetime


class SignedLinks:
    """Makes and reads tokens with these secrets, the newest first."""

    def __init__(self, secrets: Sequence[str]) -> None:
        # itsdangerous signs with the last key and accepts all.
        keys = list(reversed(secrets))
        self._serializers = {one: URLSafeSerializer(keys, salt=f"sakidashi.{one}.v1") for one in Purpose}

    def token(self, purpose: Purpose, expires_at: datetime, *subject: str) -> str:
        return str(self._serializers[purpose].dumps([*subject, int(expires_at.timestamp())]))

    def read(self, purpose: Purpose, token: str) -> SignedLink:
        """Raises `LinkInvalidError`. Whether the link has expired is for the caller; see `read_until`."""
        try:
            *subject, expires = self._serializers[purpose].loads(token)
            return SignedLink(tuple(str(part) for part in subject), datetime.fromtimestamp(expires, UTC))
        except (BadSignature, ValueError, TypeError, OverflowError, OSError) as error:
            raise LinkInvalidError("link: not one of ours; open the one in the newest message") from error

    def read_until(self, purpose: Purpose, token: str, now: datetime) -> tuple[str, ...]:
        """The subject of a link that still holds. Raises `LinkInvalidError`."""
        link = self.read(purpose, token)
        if link.expires_at <= now:
            raise LinkInvalidError("link: its time is over; open the one in the newest message")
        return link.subject


def _secrets(value: object) -> object:
    if not isinstance(value, str):
        return value
    secrets = tuple(filter(None, (part.strip() for part in value.split(","))))
    if not secrets or any(len(secret) < 16 for secret in secrets):
        raise ValueError("write one or more secrets of 16 characters or more, separated by commas, the newest first")
    return secrets


LinkSecrets = Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(_secrets)]
"""For the setting LINK_SECRETS: the first signs, all are accepted. Services whose links meet share the same ones."""


def open_links(secrets: Sequence[SecretStr]) -> SignedLinks:
    return SignedLinks([secret.get_secret_value() for secret in secrets])
