"""Signed links in notices: choice page, status page and survey of an issue, report form, and unsubscribing."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from libs.common.events.customers import ConsentPurpose
from libs.common.events.values import Language, Reporter
from libs.common.http.signed_links import LinkInvalidError, Purpose, SignedLinks

CHOICE_READABLE_FOR = timedelta(days=30)
"""Time after the deadline in which the link still shows the outcome of the question."""

PAGE_LINK_LIFETIME = timedelta(days=180)
"""Validity of the links to status page and survey."""

REPORT_LINK_LIFETIME = timedelta(days=30)
"""Validity of the link to the report form of one order."""

UNSUBSCRIBE_LINK_LIFETIME = timedelta(days=3650)
"""Validity of the link to unsubscribe: longer than anybody keeps a mail. It can do nothing else."""

INERT_PATH = "link-of-the-customer"


@dataclass(frozen=True, slots=True)
class ChoiceLink:
    order_id: str
    choice_id: UUID
    expires_at: datetime


class NoticeLinks:
    """`pages_url` is the public URL of intake's pages; "" for notices without links to them."""

    def __init__(self, public_url: str, secrets: Sequence[str], pages_url: str = "") -> None:
        self._public_url, self._pages_url = public_url.rstrip("/"), pages_url.rstrip("/")
        self._signed = SignedLinks(secrets)

    def choice_url(self, order_id: str, choice_id: UUID, answer_by: datetime) -> str:
        return f"{self._public_url}/c/{self.choice_token(order_id, choice_id, answer_by)}"

    def status_url(self, issue_id: UUID, written_at: datetime, *, for_recipient: bool = False) -> str:
        """Return the link to the status page; for the receiver of a gift it shows no money and no points."""
        reader = (Reporter.RECIPIENT.value,) if for_recipient else ()
        return self._page("s", Purpose.STATUS, written_at + PAGE_LINK_LIFETIME, str(issue_id), *reader)

    def survey_url(self, issue_id: UUID, written_at: datetime) -> str:
        return self._page("v", Purpose.SURVEY, written_at + PAGE_LINK_LIFETIME, str(issue_id))

    def report_url(self, order_id: str, customer_id: str, language: Language, written_at: datetime) -> str:
        return self._page("r", Purpose.REPORT, written_at + REPORT_LINK_LIFETIME, order_id, customer_id, language)

    def unsubscribe_url(self, customer_id: str, written_at: datetime) -> str:
        """Return the link that withdraws consent to the messages of the points programme."""
        expires_at = written_at + UNSUBSCRIBE_LINK_LIFETIME
        token = self._token(Purpose.UNSUBSCRIBE, expires_at, customer_id, ConsentPurpose.LOYALTY)
        return f"{self._public_url}/c/unsubscribe/{token}"

    def read_unsubscribe(self, token: str, now: datetime) -> tuple[str, ConsentPurpose]:
        """Return customer and purpose of a link. Raises `LinkInvalidError`."""
        try:
            customer_id, purpose = self._signed.read_until(Purpose.UNSUBSCRIBE, token, now)
            return customer_id, ConsentPurpose(purpose)
        except ValueError as error:
            raise LinkInvalidError("link: not a link to unsubscribe; open the one in the newest message") from error

    def _page(self, path: str, purpose: Purpose, expires_at: datetime, *subject: str) -> str:
        if not self._pages_url:
            return ""
        return f"{self._pages_url}/{path}/{self._token(purpose, expires_at, *subject)}"

    def choice_token(self, order_id: str, choice_id: UUID, answer_by: datetime) -> str:
        return self._token(Purpose.CHOICE, answer_by + CHOICE_READABLE_FOR, order_id, choice_id.hex)

    def _token(self, purpose: Purpose, expires_at: datetime, *subject: str) -> str:
        return self._signed.token(purpose, expires_at, *subject)

    def read_choice(self, token: str) -> ChoiceLink:
        """Raises `LinkInvalidError`. The caller checks `expires_at` against its clock."""
        link = self._signed.read(Purpose.CHOICE, token)
        try:
            order_id, choice_id = link.subject
            return ChoiceLink(order_id, UUID(choice_id), link.expires_at)
        except ValueError as error:
            raise LinkInvalidError("link: not a choice link; open the one in the newest message") from error


class InertNoticeLinks(NoticeLinks):
    """The same addresses without a token, for staff who read a mail: a link would let them answer as the customer."""

    def _token(self, purpose: Purpose, expires_at: datetime, *subject: str) -> str:
        return INERT_PATH
