"""Choice page: opened by a signed link, answered by a plain form.

Opening the page changes nothing, so mail scanners may follow the link. An answer is decided by `decide` like any event,
and the page then shows the stored state, so that a late or repeated answer sees the decision that holds.
"""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from libs.common.decisions.facts import Anomaly, Facts, Ignored
from libs.common.events.values import Language
from libs.common.http.problems import Answer
from libs.common.http.signed_links import LinkInvalidError
from libs.common.runtime.dependencies import CurrentService
from libs.common.runtime.service import Service
from services.delivery_notify.domain.customer_questions import CustomerAnswered
from services.delivery_notify.domain.notices import NoticeFacts
from services.delivery_notify.http.choice_form import ChoiceForm, parse_form
from services.delivery_notify.http.choice_page_texts import ChoicePageTexts
from services.delivery_notify.http.choice_view import ChoicePageRenderer, ChoiceView, Submission
from services.delivery_notify.rendering.links import NoticeLinks
from services.delivery_notify.store import conversations
from services.delivery_notify.store.conversations import Conversations


@dataclass(frozen=True, slots=True)
class ChoicePage:
    conversations: Conversations
    links: NoticeLinks
    renderer: ChoicePageRenderer


def get_choice_page(request: Request) -> ChoicePage:
    page: ChoicePage = request.app.state.choice_page
    return page


ChoicePageDependency = Annotated[ChoicePage, Depends(get_choice_page)]

router = APIRouter(tags=["customers"], default_response_class=HTMLResponse)


@router.head("/c/{token}", include_in_schema=False)
@router.get("/c/{token}", summary="The question of a signed link; opening it changes nothing")
async def show_choice(token: str, service: CurrentService, page: ChoicePageDependency) -> Response:
    view = await _load(service, page, token)
    return page.renderer.page(view, service.clock.now()) if view else page.renderer.bad_link()


@router.post("/c/{token}", summary="The customer's answer, from the page's form")
async def post_choice(token: str, request: Request, service: CurrentService, page: ChoicePageDependency) -> Response:
    form, view = parse_form(await request.body()), await _load(service, page, token)
    if view is None:
        return page.renderer.bad_link()
    if form.choice is None:
        invalid = Submission(view.texts.invalid_choice, entered=form.entered)
        return page.renderer.page(view, service.clock.now(), 422, invalid)
    refusal = await _decide(service, page, view, form)
    if refusal is None:
        return RedirectResponse(token, 303, page.renderer.headers)  # relative: a proxy may add a path prefix
    status, submission = _refused(refusal, form, view.texts)
    return page.renderer.page(await _load(service, page, token) or view, service.clock.now(), status, submission)


async def _load(service: Service, page: ChoicePage, token: str) -> ChoiceView | None:
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
    language = contact.language if contact else Language.JA
    return ChoiceView(link.order_id, question, facts, language, conversation.market)


async def _decide(service: Service, page: ChoicePage, view: ChoiceView, form: ChoiceForm) -> str | None:
    """Execute the answer; return the refusal code, or None if it was accepted."""
    command = CustomerAnswered(
        order_id=view.order_id,
        choice_id=view.question.choice_id,
        choice=form.choice,
        change=form.change,
        requested_date=form.requested_date,
        requested_sku=form.requested_sku,
        address=form.address,
    )
    answer = await service.execute(page.conversations, service.event(command), answer=_answer)
    return None if answer.status == 200 else str(answer.body["refused"])


def _answer(facts: Facts) -> Answer:
    for fact in facts:
        if isinstance(fact, Ignored | Anomaly):
            return Answer(409, {"refused": fact.reason})
    return Answer(200, {})


def _refused(refusal: str, form: ChoiceForm, texts: ChoicePageTexts) -> tuple[int, Submission]:
    """Return 422 with the input for an incomplete form, 409 for a question that takes no answer any more."""
    incomplete = {
        "date_not_possible": texts.invalid_date,
        "item_missing": texts.missing_item,
        "address_missing": texts.missing_address,
        "not_an_option": texts.invalid_choice,
    }
    if refusal in incomplete:
        return 422, Submission(incomplete[refusal], form.choice, form.entered)
    return 409, Submission(texts.already_answered if refusal == "answered_before" else None)
