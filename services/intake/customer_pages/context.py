"""Objects behind the routes of customer pages, as `app.state.customer_pages`."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Any

from fastapi import Depends, Request

from libs.common.decisions.calendars import Calendars
from libs.common.http.signed_links import LinkInvalidError, Purpose, SignedLinks
from libs.common.runtime.service import Service
from services.intake.customer_pages.links import CustomerPageLinks, StatusSubject
from services.intake.customer_pages.order_lookup import OrderLookup
from services.intake.customer_pages.rendering import CustomerPageRenderer
from services.intake.domain.orders import StoredPhoto
from services.intake.evidence.uploads import EvidenceUploads
from services.intake.http.commands import IntakeCommands
from services.intake.http.photo_quota import quota_of
from services.intake.store.issues import read_issue


@dataclass(frozen=True, slots=True)
class CustomerPages:
    commands: IntakeCommands
    evidence: EvidenceUploads
    links: CustomerPageLinks
    renderer: CustomerPageRenderer
    calendars: Calendars
    lookup: OrderLookup
    signed: SignedLinks
    secure_cookies: bool

    @property
    def service(self) -> Service:
        return self.commands.service

    def now(self) -> datetime:
        return self.service.clock.now()

    def today(self) -> date:
        return self.calendars.shop.day(self.now())

    async def receive_form(self, request: Request, subject: str) -> tuple[dict[str, str], list[StoredPhoto]]:
        """Return the fields and photos of a form, within the quota of this subject. Raises `Problem`."""
        return await self.evidence.receive_form(request, quota_of(self.service, subject, self.evidence.max_photos))

    async def read_linked_issue(self, purpose: Purpose, token: str) -> dict[str, Any] | None:
        """Return the issue of a link and its `reader`; None for an invalid link or an unknown issue."""
        subject = self._linked(purpose, token)
        if subject is None:
            return None
        async with self.service.pool.acquire() as conn:
            issue = await read_issue(conn, subject.issue_id)
        return {**issue, "reader": subject.reader} if issue else None

    def _linked(self, purpose: Purpose, token: str) -> StatusSubject | None:
        try:
            return self.links.read_issue(purpose, token, self.now())
        except LinkInvalidError:
            return None


def current_customer_pages(request: Request) -> CustomerPages:
    pages: CustomerPages = request.app.state.customer_pages
    return pages


CurrentPages = Annotated[CustomerPages, Depends(current_customer_pages)]
