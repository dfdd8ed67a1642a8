"""Choice page: opened by a signed link, answered by a plain form.

Opening the page changes nothing, so mail scanners may follow the link. An answer is decided by `decide` like any event,
and the page then shows the stored state, so that a late or repeated answer sees the decision that holds.
"""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from libs.common.decisions.facts import Anomaly, Facts, Ignored
from libs.common.decisions.shop_calendar import ShopCalendar
from libs.common.http.problems import Answer
from libs.common.http.signed_links import LinkInvalidError
from libs.common.runtime.dependencies import CurrentService
from libs.common.runtime.service import Service
from libs.common.web.forms import read_form
from libs.common.web.headers import page_headers
from libs.common.web.languages import next_page_query, page_language
from services.delivery_notify.domain.conversation import Question
from services.delivery_notify.domain.customer_questions import CustomerAnswered
from services.delivery_notify.domain.notices import NoticeFacts
from services.delivery_notify.http.pages.choice_form import ChoiceForm, one_line, parse_form
from services.delivery_notify.http.pages.choice_view import ChoiceView, Submission, choice_page
from services.delivery_notify.http.pages.rendering import PageRenderer
from services.delivery_notify.rendering.links import NoticeLinks
from services.delivery_notify.store import conversations
from services.delivery_notify.store.conversations import Conversations


@dataclass(frozen=True, slots=True)
class ChoicePage:
    conversations: Conversations
    links: NoticeLinks
    renderer: PageRenderer
    calendar: ShopCalendar


INCOMPLETE = ("date_not_possible", "date_closed", "item_missing", "variant_missing", "address_missing", "not_an_option")
"""Refusals that the customer can correct in the form."""


def get_choice_page(request: Request) -> ChoicePage:
    page: ChoicePage = request.app.state.choice_page
    return page


ChoicePageDependency = Annotated[ChoicePage, Depends(get_choice_page)]

router = APIRouter(tags=["customers"], default_response_class=HTMLResponse)


@router.head("/c/{token}", include_in_schema=False)
@router.get("/c/{token}", summary="The question of a signed link; opening it changes nothing")
async def show_choice(token: str, request: Request, service: CurrentService, page: ChoicePageDependency) -> Response:
    view = await _load(service, page, request, token)
    return _page(page, view, service) if view else page.renderer.invalid_link(request, "bad_link")


@router.post("/c/{token}", summary="The customer's answer, from the page's form")
async def post_choice(token: str, request: Request, service: CurrentService, page: ChoicePageDependency) -> Response:
    form, view = parse_form(await read_form(request)), await _load(service, page, request, token)
    if view is None:
        return page.renderer.invalid_link(request, "bad_link")
    if form.choice is None:
        return _page(page, view, service, 422, Submission("not_an_option", entered=form.entered))
    refusal = await _decide(service, page, view, form)
    if refusal is None:
        # Relative, because a proxy may serve the page below a path.
        return RedirectResponse(token + next_page_query(request), 303, page_headers())
    status, submission = _refused(refusal, form)
    return _page(page, await _load(service, page, request, token) or view, service, status, submission)


def _page(
    page: ChoicePage, view: ChoiceView, service: Service, status: int = 200, submission: Submission | None = None
) -> Response:
    return choice_page(page.renderer, page.calendar, view, service.clock.now(), status, submission)


async def _load(service: Service, page: ChoicePage, request: Request, token: str) -> ChoiceView | None:
    """Load the question of a link; None for an invalid or expired link, or an unknown question."""
    try:
        link = page.links.read_choice(token)
    except LinkInvalidError:
        return None
    if link.expires_at <= service.clock.now():
        return None
    async with service.pool.acquire() as conn:
        row = await conversations.read_conversation(conn, link.order_id)
        question = row[0].question(link.choice_id) if row else None
        if row is None or question is None:
            return None
        facts = await conversations.read_notice_facts(conn, question.notice_id) or NoticeFacts()
    conversation, contact = row
    language = page_language(request, contact.language if contact else None)
    request_ = conversation.request(question.choice_id)
    return ChoiceView(link.order_id, question, facts, language, conversation.market, request_)


async def _decide(service: Service, page: ChoicePage, view: ChoiceView, form: ChoiceForm) -> str | None:
    """Execute the answer; return the refusal code, or None if it was accepted."""
    command = CustomerAnswered(
        order_id=view.order_id,
        choice_id=view.question.choice_id,
        choice=form.choice,
        change=form.change,
        requested_date=form.requested_date,
        requested_sku=_requested_sku(view.question, form),
        address=form.address,
    )
    answer = await service.execute(page.conversations, service.event(command), answer=_answer)
    return None if answer.status == 200 else str(answer.body["refused"])


def _requested_sku(question: Question, form: ChoiceForm) -> str | None:
    """Return the requested item; that of a variant as the warehouse writes it, which a form cuts and trims."""
    entered = form.requested_sku
    return next((variant.sku for variant in question.variants if one_line(variant.sku) == entered), entered)


def _answer(facts: Facts) -> Answer:
    for fact in facts:
        if isinstance(fact, Ignored | Anomaly):
            return Answer(409, {"refused": fact.reason})
    return Answer(200, {})


def _refused(refusal: str, form: ChoiceForm) -> tuple[int, Submission]:
    """Return 422 with the input for an incomplete form, 409 for a question that takes no answer any more."""
    if refusal in INCOMPLETE:
        return 422, Submission(refusal, form.choice, form.entered)
    return 409, Submission(refusal if refusal == "answered_before" else None)
