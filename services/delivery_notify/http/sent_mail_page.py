"""Page that shows a sent mail to staff, by a short-lived link from the desk for one notice and one member of staff.

The mail is rendered again from its stored facts, in the language in which it was sent. After a change of a template it
shows the new text with the facts and dates as sent.
"""

from dataclasses import dataclass
from datetime import datetime
from html import escape
from typing import Annotated, Any
from uuid import UUID
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse, Response

from libs.common.events.notices import NoticeKind
from libs.common.events.values import Language
from libs.common.http.signed_links import LinkInvalidError, Purpose, SignedLinks
from libs.common.runtime.dependencies import CurrentService
from services.delivery_notify.channels.channel import RenderedMessage
from services.delivery_notify.rendering.content import NoticeContent
from services.delivery_notify.rendering.renderer import Renderer
from services.delivery_notify.store import conversations

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
}
_PAGE = """<!doctype html><html lang="{language}"><meta charset="utf-8"><title>{subject}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>body{{font:16px/1.6 system-ui,sans-serif;margin:1.5rem auto;max-width:44rem;padding:0 1rem}}
pre{{white-space:pre-wrap;font:inherit;border:1px solid #ccc;border-radius:8px;padding:1rem}}
p{{color:#555;margin:.2rem 0}}</style><h1>{subject}</h1><p>{status_line}</p>
<p><a href="?as=html">HTML</a></p><pre>{text}</pre></html>"""
_INVALID_LINK = "<!doctype html><p>This link no longer opens anything.</p>"


@dataclass(frozen=True, slots=True)
class SentMailPage:
    links: SignedLinks
    renderer: Renderer
    zone: ZoneInfo

    def render(self, row: dict[str, Any]) -> RenderedMessage:
        content = NoticeContent(
            NoticeKind(row["kind"]),
            row["order_id"],
            row["name"],
            Language(row["language"]),
            conversations.parse_facts(str(row["facts"])),
            row["issue_id"],
            row["settled_at"],
        )
        return self.renderer.render(content)

    def html(self, row: dict[str, Any], rendered: RenderedMessage) -> str:
        settled = row["settled_at"]
        time = settled.astimezone(self.zone).isoformat(" ", "minutes") if isinstance(settled, datetime) else "-"
        values = {
            "subject": rendered.subject,
            "status_line": f"{row['status']} · {row['channel'] or '-'} · {time} · {row['order_id']}",
            "text": rendered.text,
            "language": str(row["language"]),
        }
        return _PAGE.format_map({name: escape(value) for name, value in values.items()})


def get_sent_mail_page(request: Request) -> SentMailPage:
    page: SentMailPage = request.app.state.sent_mail_page
    return page


router = APIRouter(tags=["staff"], default_response_class=HTMLResponse)


@router.get("/staff/notices/{token}", summary="A mail as it was sent, by a link of the desk")
async def show_sent_mail(
    token: str,
    service: CurrentService,
    page: Annotated[SentMailPage, Depends(get_sent_mail_page)],
    as_: Annotated[str, Query(alias="as")] = "",
) -> Response:
    try:
        notice_id, *_ = page.links.read_until(Purpose.STAFF_NOTICE, token, service.clock.now())
        async with service.pool.acquire() as conn:
            row = await conversations.read_sent_notice(conn, UUID(notice_id))
        rendered = page.render(row) if row else None
    except (LinkInvalidError, ValueError):
        row = rendered = None
    if row is None or rendered is None:
        return HTMLResponse(_INVALID_LINK, 404, _HEADERS)
    return HTMLResponse(rendered.html if as_ == "html" else page.html(row, rendered), 200, _HEADERS)
