"""The links to a customer's pages: made here and, for mails, by delivery_notify with the same secrets."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from libs.common.events.values import Language
from libs.common.http.signed_links import LinkInvalidError, Purpose, SignedLinks

STATUS_LIVES = timedelta(days=180)
REPORT_LIVES = timedelta(days=30)
SURVEY_LIVES = timedelta(days=60)


@dataclass(frozen=True, slots=True)
class ReportPlace:
    """Whose order a report form is for, and in which language it begins."""

    order_id: str
    customer_id: str
    language: Language


class CustomerLinks:
    def __init__(self, public_url: str, links: SignedLinks) -> None:
        self._public_url, self._links = public_url.rstrip("/"), links

    def status(self, issue_id: UUID, now: datetime) -> str:
        return f"{self._public_url}/s/{self._links.token(Purpose.STATUS, now + STATUS_LIVES, str(issue_id))}"

    def survey(self, issue_id: UUID, now: datetime) -> str:
        return f"{self._public_url}/v/{self._links.token(Purpose.SURVEY, now + SURVEY_LIVES, str(issue_id))}"

    def report(self, place: ReportPlace, now: datetime) -> tuple[str, datetime]:
        """The address of the form, and until when it opens."""
        until = now + REPORT_LIVES
        subject = (place.order_id, place.customer_id, place.language)
        return f"{self._public_url}/r/{self._links.token(Purpose.REPORT, until, *subject)}", until

    def issue_of(self, purpose: Purpose, token: str, now: datetime) -> UUID:
        """Raises `LinkInvalidError`."""
        try:
            return UUID(self._links.read_until(purpose, token, now)[0])
        except (IndexError, ValueError) as error:
            raise LinkInvalidError("link: not about an issue") from error

    def place_of(self, token: str, now: datetime) -> ReportPlace:
        """Raises `LinkInvalidError`."""
        try:
            order_id, customer_id, language = self._links.read_until(Purpose.REPORT, token, now)
            return ReportPlace(order_id, customer_id, Language(language))
        except ValueError as error:
            raise LinkInvalidError("link: not about an order") from error
