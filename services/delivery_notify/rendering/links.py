"""The links of the choice page: one question each, readable for a while after its last moment."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from libs.common.http.signed_links import LinkInvalidError, Purpose, SignedLinks

CHOICE_READABLE_FOR = timedelta(days=30)
"""How long after the last moment to answer the link still shows what became of the question."""

PAGE_LINK_LIFETIME = timedelta(days=180)
"""How long the status page and the survey of an issue open from a mail."""

__all__ = ["CHOICE_READABLE_FOR", "ChoiceLink", "CustomerLinks", "LinkInvalidError"]


@dataclass(frozen=True, slots=True)
class ChoiceLink:
    order_id: str
    choice_id: UUID
    expires_at: datetime


class CustomerLinks:
    """`pages_url` is where customers reach intake's pages; "" where no mail should link to them."""

    def __init__(self, public_url: str, secrets: Sequence[str], pages_url: str = "") -> None:
        self._public_url, self._pages_url = public_url.rstrip("/"), pages_url.rstrip("/")
        self._signed = SignedLinks(secrets)

    def choice_url(self, order_id: str, choice_id: UUID, answer_by: datetime) -> str:
        return f"{self._public_url}/c/{self.choice_token(order_id, choice_id, answer_by)}"

    def status_url(self, issue_id: UUID, written_at: datetime) -> str:
        return self._page("s", Purpose.STATUS, issue_id, written_at)

    def survey_url(self, issue_id: UUID, written_at: datetime) -> str:
        return self._page("v", Purpose.SURVEY, issue_id, written_at)

    def _page(self, path: str, purpose: Purpose, issue_id: UUID, written_at: datetime) -> str:
        if not self._pages_url:
            return ""
        return f"{self._pages_url}/{path}/{self._signed.token(purpose, written_at + PAGE_LINK_LIFETIME, str(issue_id))}"

    def choice_token(self, order_id: str, choice_id: UUID, answer_by: datetime) -> str:
        return self._signed.token(Purpose.CHOICE, answer_by + CHOICE_READABLE_FOR, order_id, choice_id.hex)

    def read_choice(self, token: str) -> ChoiceLink:
        """Raises `LinkInvalidError`. Whether the link has expired is for the caller, who knows what time it is."""
        link = self._signed.read(Purpose.CHOICE, token)
        try:
            order_id, choice_id = link.subject
            return ChoiceLink(order_id, UUID(choice_id), link.expires_at)
        except ValueError as error:
            raise LinkInvalidError("link: not one of ours; open the one in the newest message") from error
