"""Signed links to customer pages. delivery_notify creates the same links for mails, with the same secrets."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from libs.common.events.values import Language, Reporter, language_of
from libs.common.http.signed_links import LinkInvalidError, Purpose, SignedLinks

STATUS_LINK_LIFETIME = timedelta(days=180)
REPORT_LINK_LIFETIME = timedelta(days=30)
LISTED_LINK_LIFETIME = timedelta(hours=2)
"""Lifetime of the links to the issues of an order that its report form lists."""
SURVEY_LINK_LIFETIME = timedelta(days=60)


@dataclass(frozen=True, slots=True)
class ReportSubject:
    """The order of a report form, its customer, the form's initial language, and who fills it in."""

    order_id: str
    customer_id: str
    language: Language
    reporter: Reporter = Reporter.CUSTOMER


@dataclass(frozen=True, slots=True)
class StatusSubject:
    """The issue of a link, and whom the link was made for."""

    issue_id: UUID
    reader: Reporter = Reporter.CUSTOMER


class CustomerPageLinks:
    def __init__(self, public_url: str, links: SignedLinks) -> None:
        self._public_url, self._links = public_url.rstrip("/"), links

    def status(
        self,
        issue_id: UUID,
        now: datetime,
        reader: Reporter = Reporter.CUSTOMER,
        lifetime: timedelta = STATUS_LINK_LIFETIME,
    ) -> str:
        fields = (str(issue_id), *_named(reader))
        return f"{self._public_url}/s/{self._links.token(Purpose.STATUS, now + lifetime, *fields)}"

    def survey(self, issue_id: UUID, now: datetime) -> str:
        return f"{self._public_url}/v/{self._links.token(Purpose.SURVEY, now + SURVEY_LINK_LIFETIME, str(issue_id))}"

    def report(self, subject: ReportSubject, now: datetime) -> tuple[str, datetime]:
        """Return the URL of the form and its expiry."""
        expires_at = now + REPORT_LINK_LIFETIME
        return f"{self._public_url}/r/{self.report_token(subject, expires_at)}", expires_at

    def report_token(self, subject: ReportSubject, expires_at: datetime) -> str:
        fields = (subject.order_id, subject.customer_id, subject.language, *_named(subject.reporter))
        return self._links.token(Purpose.REPORT, expires_at, *fields)

    def status_from_form(self, token: str, issue_id: UUID, now: datetime, reader: Reporter) -> str:
        """Return a status link that outlives the form's own link by `LISTED_LINK_LIFETIME` at most.

        Raises `LinkInvalidError`.
        """
        remaining = self._links.read(Purpose.REPORT, token).expires_at - now
        return self.status(issue_id, now, reader, max(remaining, LISTED_LINK_LIFETIME))

    def read_issue(self, purpose: Purpose, token: str, now: datetime) -> StatusSubject:
        """Raises `LinkInvalidError`."""
        try:
            issue_id, *reader = self._links.read_until(purpose, token, now)
            return StatusSubject(UUID(issue_id), *map(Reporter, reader[:1]))
        except (IndexError, ValueError) as error:
            raise LinkInvalidError("link: contains no issue id; use one that we sent") from error

    def read_report(self, token: str, now: datetime) -> ReportSubject:
        """Raises `LinkInvalidError`."""
        try:
            order_id, customer_id, language, *reporter = self._links.read_until(Purpose.REPORT, token, now)
            return ReportSubject(order_id, customer_id, language_of(language), *map(Reporter, reporter[:1]))
        except ValueError as error:
            raise LinkInvalidError("link: contains no order; use one that we sent") from error


def _named(person: Reporter) -> tuple[str, ...]:
    """Return the last field of a link: links of customers have none, as before there were others."""
    return () if person == Reporter.CUSTOMER else (person.value,)
