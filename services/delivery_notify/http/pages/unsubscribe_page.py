"""Unsubscribe page: withdraws consent to advertising by the signed link in each such message.

A POST withdraws, with one click, as mail programs send it (RFC 8058) and as the page's button does; opening the page
changes nothing, so mail scanners may follow the link. No sign-in, no question, and it counts for every channel.
"""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, Response

from libs.common.http.signed_links import LinkInvalidError
from libs.common.runtime.dependencies import CurrentService
from libs.common.web.languages import page_language
from services.delivery_notify.domain.consents import Unsubscribe
from services.delivery_notify.http.pages.rendering import PageRenderer
from services.delivery_notify.rendering.links import NoticeLinks
from services.delivery_notify.store.consents import Consents


@dataclass(frozen=True, slots=True)
class UnsubscribePage:
    consents: Consents
    links: NoticeLinks
    renderer: PageRenderer


def get_unsubscribe_page(request: Request) -> UnsubscribePage:
    page: UnsubscribePage = request.app.state.unsubscribe_page
    return page


Page = Annotated[UnsubscribePage, Depends(get_unsubscribe_page)]

router = APIRouter(tags=["customers"], default_response_class=HTMLResponse)


@router.head("/c/unsubscribe/{token}", include_in_schema=False)
@router.get("/c/unsubscribe/{token}", summary="The page of a link to unsubscribe; opening it changes nothing")
async def show_unsubscribe(token: str, request: Request, service: CurrentService, page: Page) -> Response:
    try:
        page.links.read_unsubscribe(token, service.clock.now())
    except LinkInvalidError:
        return page.renderer.invalid_link(request, "bad_link")
    return page.renderer.page("unsubscribe.html", page_language(request), done=False)


@router.post("/c/unsubscribe/{token}", summary="Withdraw consent to advertising, on every channel; may be repeated")
async def unsubscribe(token: str, request: Request, service: CurrentService, page: Page) -> Response:
    try:
        customer_id, purpose = page.links.read_unsubscribe(token, service.clock.now())
    except LinkInvalidError:
        return page.renderer.invalid_link(request, "bad_link")
    await service.execute(page.consents, service.event(Unsubscribe(customer_id=customer_id, purpose=purpose)))
    return page.renderer.page("unsubscribe.html", page_language(request), done=True)
