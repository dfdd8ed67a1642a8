"""A mail as it was sent, for the member of staff whose desk made the link: minutes, one notice, one person.

It is written again from its facts, in the language in which it was sent; nothing of it is stored twice. Where the words
have been changed since, it shows the new ones, and says so nowhere: the facts and dates are those that were told.
"""

from datetime import datetime
from html import escape
from typing import Annotated, Any
from uuid import UUID
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse, Response

from libs.common.events.notices import NoticeKind
from libs.common.events.values import Language
from libs.common.http.signed_links import LinkInvalidError, Purpose, SignedLinks
from libs.common.runtime.service import Service
from services.delivery_notify.rendering.renderer import NoticeContent, RenderedMessage, Renderer
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
p{{color:#555;margin:.2rem 0}}</style><h1>{subject}</h1><p>{head}</p>
<p><a href="?as=html">HTML</a></p><pre>{text}</pre></html>"""


def routes(service: Service, signed: SignedLinks, renderer: Renderer, zone: ZoneInfo) -> APIRouter:
    router = APIRouter(tags=["staff"], default_response_class=HTMLResponse)

    @router.get("/staff/notices/{token}", summary="A mail as it was sent, by a link of the desk")
    async def show(token: str, as_: Annotated[str, Query(alias="as")] = "") -> Response:
        try:
            notice_id, *_ = signed.read_until(Purpose.STAFF_NOTICE, token, service.clock.now())
            found = await _rendered(UUID(notice_id))
        except (LinkInvalidError, ValueError):
            found = None
        if found is None:
            return HTMLResponse("<!doctype html><p>This link no longer opens anything.</p>", 404, _HEADERS)
        row, rendered = found
        if as_ == "html":
            return HTMLResponse(rendered.html, 200, _HEADERS)
        return HTMLResponse(_page(row, rendered, zone), 200, _HEADERS)

    async def _rendered(notice_id: UUID) -> tuple[dict[str, Any], RenderedMessage] | None:
        async with service.pool.acquire() as conn:
            row = await conversations.read_sent_notice(conn, notice_id)
        if row is None:
            return None
        language = Language(row["language"])
        facts = conversations.parse_facts(str(row["facts"]))
        letter = NoticeContent(
            NoticeKind(row["kind"]), row["order_id"], row["name"], language, facts, row["issue_id"], row["settled_at"]
        )
        return row, renderer.render(letter)

    return router


def _page(row: dict[str, Any], rendered: RenderedMessage, zone: ZoneInfo) -> str:
    settled = row["settled_at"]
    when = settled.astimezone(zone).isoformat(" ", "minutes") if isinstance(settled, datetime) else "-"
    head = f"{row['status']} · {row['channel'] or '-'} · {when} · {row['order_id']}"
    values = {"subject": rendered.subject, "head": head, "text": rendered.text, "language": str(row["language"])}
    return _PAGE.format_map({name: escape(value) for name, value in values.items()})
