"""Page that shows a sent mail to staff, by a short-lived link from the desk for one notice and one member of staff.

The mail is rendered again from its stored facts, in the language in which it was sent. After a change of a template it
shows the new text with the facts and dates as sent. Its links lead nowhere: the customer's would act for the customer.
"""

from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse, Response

from libs.common.events.notices import NoticeKind
from libs.common.events.values import language_of
from libs.common.http.signed_links import LinkInvalidError, Purpose, SignedLinks
from libs.common.runtime.dependencies import CurrentService
from libs.common.web.headers import page_headers
from libs.common.web.languages import page_language
from services.delivery_notify.channels.channel import RenderedMessage
from services.delivery_notify.http.pages.rendering import PageRenderer
from services.delivery_notify.rendering.content import NoticeContent
from services.delivery_notify.rendering.renderer import RENDER_ERRORS, Renderer
from services.delivery_notify.store import conversations
from services.delivery_notify.store.sent_notices import read_sent_notice

MAIL_HEADERS = {
    **page_headers(),
    # The HTML part of a mail has its styles inline; everything else stays off.
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox; frame-ancestors 'none'",
}


@dataclass(frozen=True, slots=True)
class SentMailPage:
    links: SignedLinks
    mails: Renderer
    pages: PageRenderer

    def render_mail(self, row: dict[str, Any]) -> RenderedMessage:
        content = NoticeContent(
            NoticeKind(row["kind"]),
            row["order_id"],
            row["name"],
            language_of(row["language"]),
            conversations.parse_facts(str(row["facts"])),
            row["issue_id"],
            row["settled_at"],
        )
        return self.mails.render(content)


def get_sent_mail_page(request: Request) -> SentMailPage:
    page: SentMailPage = request.app.state.sent_mail_page
    return page


router = APIRouter(tags=["staff"], default_response_class=HTMLResponse)


@router.get("/staff/notices/{token}", summary="A mail as it was sent, by a link of the desk")
async def show_sent_mail(
    token: str,
    request: Request,
    service: CurrentService,
    page: Annotated[SentMailPage, Depends(get_sent_mail_page)],
    as_: Annotated[str, Query(alias="as")] = "",
) -> Response:
    try:
        notice_id, *_ = page.links.read_until(Purpose.STAFF_NOTICE, token, service.clock.now())
        async with service.pool.acquire() as conn:
            row = await read_sent_notice(conn, UUID(notice_id))
    except (LinkInvalidError, ValueError):
        row = None
    if row is None:
        return page.pages.invalid_link(request, "expired_link")
    try:
        rendered = page.render_mail(row)
    except RENDER_ERRORS:
        return page.pages.invalid_link(request, "unreadable_mail")
    if as_ == "html":
        return HTMLResponse(rendered.html, headers=MAIL_HEADERS)
    return page.pages.page(
        "sent_mail.html",
        page_language(request),
        rendered=rendered,
        notice=row,
    )
