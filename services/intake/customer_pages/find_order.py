"""The door without a link, `/find`: order number and postcode or mail address lead to the report form of the order.

The customer has no session here. A form is bound to its browser by a signed cookie that the form repeats, and other
sites' forms are refused, so that no page elsewhere can try numbers from its visitors' browsers. A match leads to a
link of the same kind as the shop's own (`report_form`), which lives for two hours.
"""

import hmac
import secrets
from datetime import timedelta

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from libs.common.http.client_network import caller_network
from libs.common.http.signed_links import LinkInvalidError, Purpose
from libs.common.web.forms import is_cross_site, read_form
from libs.common.web.headers import page_headers
from libs.common.web.languages import next_page_query, page_language
from services.intake.customer_pages.context import CurrentPages, CustomerPages
from services.intake.customer_pages.links import ReportSubject
from services.intake.customer_pages.order_lookup import FoundOrder, TooManyLookupsError
from services.intake.domain.order_contacts import Proof

FIND_PATH = "/find"
RETRY_AFTER_SECONDS = 900
FORM_LIFETIME = timedelta(hours=12)
FOUND_LINK_LIFETIME = timedelta(hours=2)
MAX_NUMBER_LENGTH, MAX_PROOF_LENGTH = 128, 254

router = APIRouter(tags=["customers"], default_response_class=HTMLResponse)


@router.get(FIND_PATH, summary="The form that finds an order without a link; opening it changes nothing")
@router.head(FIND_PATH, include_in_schema=False)
async def show(pages: CurrentPages, request: Request) -> Response:
    return _form(pages, request)


@router.post(FIND_PATH, summary="Order number and postcode or mail address, from the page's form")
async def find(pages: CurrentPages, request: Request) -> Response:
    """Lead to the report form of the order; every wrong guess has one answer."""
    form = await read_form(request)
    number = form.get("number", "").replace("\x00", "").strip()[:MAX_NUMBER_LENGTH]
    proof = form.get("proof", "").replace("\x00", "").strip()[:MAX_PROOF_LENGTH]
    if not pages.lookup.is_open:
        return pages.renderer.invalid_link(request)
    if is_cross_site(request) or not _is_own_form(pages, request, form.get("form", "")):
        return _form(pages, request, 403, fault="form_expired", number=number)
    if not number or not proof:
        return _form(pages, request, 422, fault="find_incomplete", number=number)
    try:
        found = await pages.lookup.find(number, proof, caller_network(request))
    except TooManyLookupsError:
        answer = _form(pages, request, 429, fault="too_many_lookups", number=number)
        answer.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
        return answer
    if found is None:
        return _form(pages, request, 404, fault="no_such_order", number=number)
    return _open(pages, request, found)


def _open(pages: CustomerPages, request: Request, found: FoundOrder) -> Response:
    subject = ReportSubject(found.order_id, found.customer_id, page_language(request), found.reader)
    token = pages.links.report_token(subject, pages.now() + FOUND_LINK_LIFETIME)
    # Relative, because a proxy may serve the pages below a path.
    return RedirectResponse(f"r/{token}{next_page_query(request)}", 303, page_headers())


def _form(
    pages: CustomerPages, request: Request, status: int = 200, *, fault: str | None = None, number: str = ""
) -> HTMLResponse:
    if not pages.lookup.is_open:
        return pages.renderer.invalid_link(request)
    known = _cookie(pages, request)
    form = known if known and _is_valid(pages, known) else _new_form(pages)
    page = pages.renderer.page(
        "find.html", page_language(request), status, fault=fault, number=number, form=form,
        by_postcode=Proof.POSTCODE in pages.lookup.accepted,
    )  # fmt: skip
    page.set_cookie(_cookie_name(pages), form, httponly=True, secure=pages.secure_cookies, samesite="strict", path="/")
    return page


def _new_form(pages: CustomerPages) -> str:
    return pages.signed.token(Purpose.ORDER_LOOKUP, pages.now() + FORM_LIFETIME, secrets.token_urlsafe(16))


def _is_own_form(pages: CustomerPages, request: Request, form: str) -> bool:
    """Return whether this browser was given this form: the cookie's prefix lets no other site set it."""
    known = _cookie(pages, request)
    return bool(known) and hmac.compare_digest(known.encode(), form.encode()) and _is_valid(pages, form)


def _is_valid(pages: CustomerPages, form: str) -> bool:
    try:
        return len(pages.signed.read_until(Purpose.ORDER_LOOKUP, form, pages.now())) == 1
    except LinkInvalidError:
        return False


def _cookie(pages: CustomerPages, request: Request) -> str:
    return request.cookies.get(_cookie_name(pages), "")


def _cookie_name(pages: CustomerPages) -> str:
    return "__Host-find" if pages.secure_cookies else "find"
