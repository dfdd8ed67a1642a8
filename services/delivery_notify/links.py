"""Signed links: what a customer may do without logging in. A link is good for one question, until its time is over.

The expiry stands inside the signature as a moment of the shop's clock. Several secrets: the first signs, all are
accepted, so that a secret is rotated without breaking the links already sent.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from itsdangerous import BadSignature, URLSafeSerializer

READABLE_AFTER = timedelta(days=30)
"""How long after the last moment to answer the link still shows what became of the question."""

_PURPOSE = "sakidashi.choice.v1"


class LinkInvalidError(Exception):
    """The link was not signed by us, was cut off or changed, or is for something else."""


@dataclass(frozen=True, slots=True)
class ChoiceLink:
    order_id: str
    choice_id: UUID
    expires_at: datetime


class Links:
    def __init__(self, public_url: str, secrets: Sequence[str]) -> None:
        self._public_url = public_url.rstrip("/")
        # itsdangerous signs with the last key and accepts all.
        self._serializer = URLSafeSerializer(list(reversed(secrets)), salt=_PURPOSE)

    def choice_url(self, order_id: str, choice_id: UUID, answer_by: datetime) -> str:
        return f"{self._public_url}/c/{self.choice_token(order_id, choice_id, answer_by)}"

    def choice_token(self, order_id: str, choice_id: UUID, answer_by: datetime) -> str:
        expires = int((answer_by + READABLE_AFTER).timestamp())
        return self._serializer.dumps([order_id, choice_id.hex, expires])

    def read_choice(self, token: str) -> ChoiceLink:
        """Raises `LinkInvalidError`. Whether the link has expired is for the caller, who knows what time it is."""
        try:
            order_id, choice_id, expires = self._serializer.loads(token)
            return ChoiceLink(str(order_id), UUID(choice_id), datetime.fromtimestamp(expires, UTC))
        except (BadSignature, ValueError, TypeError) as error:
            raise LinkInvalidError("link: not one of ours; open the one in the newest message") from error
