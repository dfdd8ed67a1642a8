"""The choice page: opened by a signed link, answered by a plain form, no script.

Opening it changes nothing, so a mail scanner may follow every link. An answer goes through `decide` like any event;
what the page says afterwards is read from the state, so that a late or a second answer gets the truth.
"""

import base64
import hashlib
from dataclasses import dataclass
from datetime import date, timedelta
from urllib.parse import parse_qs

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from pydantic import ValidationError

from libs.common.decisions.facts import Anomaly, Facts, Ignored
from libs.common.events.notices import Change
from libs.common.events.values import Address, Choice, Language
from libs.common.http.problems import Answer
from libs.common.runtime.service import Service
from services.delivery_notify.domain.conversation import Question, QuestionStatus
from services.delivery_notify.domain.customer_questions import MAX_DATE_AHEAD, CustomerAnswered
from services.delivery_notify.domain.notices import NoticeFacts
from services.delivery_notify.http.choice_page_texts import BAD_LINK, BAD_LINK_TITLE, CHOICE_PAGE_TEXTS, ChoicePageTexts
from services.delivery_notify.rendering.links import ChoiceLink, CustomerLinks, LinkInvalidError
from services.delivery_notify.rendering.texts import phrases
from services.delivery_notify.store import conversations as store
from services.delivery_notify.store.conversations import Conversations


@dataclass(frozen=True, slots=True)
class ChoiceView:
    """What the page shows: the question as it stands, and the facts of the notice that asked it."""

    order_id: str
    question: Question
    facts: NoticeFacts
    language: Language
    market: str = "JP"


class ChoicePage:
    def __init__(self, service: Service, conversations: Conversations, links: CustomerLinks, shop: str) -> None:
        self._service, self._conversations, self._links, self._shop = service, conversations, links, shop
        loader = PackageLoader("services.delivery_notify.rendering", "templates/page")
        environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, auto_reload=False)
        css = environment.loader.get_source(environment, "page.css")[0] if environment.loader else ""
        self._css = Markup(css)  # noqa: S704 - our own file
        self._template = environment.get_template("choice.html")
        digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
        self._headers = {
            "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{digest}'; form-action 'self'; "
            "frame-ancestors 'none'; base-uri 'none'",
            "Referrer-Policy": "no-referrer",
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
            "X-Robots-Tag": "noindex",
        }

    async def show(self, token: str) -> Response:
        view = await self._look_up(token)
        return self._page(view) if view else self._bad_link()

    async def take(self, token: str, form: dict[str, str]) -> Response:
        """Take an answer; then show, by GET, what became of it."""
        view = await self._look_up(token)
        if view is None:
            return self._bad_link()
        choice, given = _choice(form.get("choice")), _given(form)
        if choice is None:
            return self._page(view, 422, CHOICE_PAGE_TEXTS[view.language].wrong_choice, given=given)
        command = CustomerAnswered(
            order_id=view.order_id,
            choice_id=view.question.choice_id,
            choice=choice,
            change=_change(form.get("change")),
            requested_date=_day(form.get("requested_date")),
            requested_sku=given.get("requested_sku"),
            address=_address(given),
        )
        answer = await self._service.execute(self._conversations, self._service.event(command), answer=_refusal)
        if answer.status == 200:
            return RedirectResponse(token, 303, self._headers)  # relative: a proxy may serve us below a path
        return self._refused(await self._look_up(token) or view, choice, str(answer.body["refused"]), given)

    def _refused(self, view: ChoiceView, choice: Choice, refusal: str, given: dict[str, str]) -> Response:
        said = CHOICE_PAGE_TEXTS[view.language]
        incomplete = {
            "date_not_possible": said.wrong_day,
            "item_missing": said.wrong_item,
            "address_missing": said.wrong_address,
            "not_an_option": said.wrong_choice,
        }
        if refusal in incomplete:
            return self._page(view, 422, incomplete[refusal], choice, given)
        return self._page(view, 409, said.first_stands if refusal == "answered_before" else None)

    async def _look_up(self, token: str) -> ChoiceView | None:
        try:
            link: ChoiceLink = self._links.read_choice(token)
        except LinkInvalidError:
            return None
        if link.expires_at <= self._service.clock.now():
            return None
        async with self._service.pool.acquire() as conn:
            found = await store.read_conversation(conn, link.order_id)
            question = found[0].question(link.choice_id) if found else None
            if found is None or question is None:
                return None
            facts = await store.read_notice_facts(conn, question.notice_id) or NoticeFacts()
        language = found[1].language if found[1] else Language.JA
        return ChoiceView(link.order_id, question, facts, language, found[0].market)

    def _page(
        self,
        view: ChoiceView,
        status: int = 200,
        alert: str | None = None,
        chosen: Choice | None = None,
        given: dict[str, str] | None = None,
    ) -> HTMLResponse:
        title, lines, asking = self._state(view)
        said, today = CHOICE_PAGE_TEXTS[view.language], self._conversations.calendar.day(self._service.clock.now())
        labels = phrases.PHRASES[view.language].options
        question, zone = view.question, self._conversations.calendar.zone
        return self._html(
            status,
            language=view.language,
            title=title,
            lines=lines,
            alert=alert,
            rows=self._rows(view),
            words=said,
            options=[(option, labels[option]) for option in question.options] if asking else [],
            chosen=chosen,
            changes=_changes(question, said),
            given=given or {},
            country=view.market,
            first_day=(today + timedelta(days=1)).isoformat(),
            last_day=(today + MAX_DATE_AHEAD).isoformat(),
            note=phrases.choice_note(question.due_at, question.default, zone, view.language),
        )

    def _state(self, view: ChoiceView) -> tuple[str, list[str], bool]:
        """Title, sentences, and whether there is still something to choose."""
        question, said = view.question, CHOICE_PAGE_TEXTS[view.language]
        if question.status is QuestionStatus.ANSWERED and question.answer and not question.by_default:
            thanks = said.thanks_change[question.change] if question.change else said.thanks[question.answer]
            return said.thanks_title, [thanks], False
        if question.status is QuestionStatus.CLOSED:
            return said.closed_title, [said.closed.get(question.closed_by or "", said.closed_else)], False
        if not question.open or self._service.clock.now() >= question.due_at:
            return said.late_title, [said.late], False
        return said.ask_title, [], True

    def _rows(self, view: ChoiceView) -> list[tuple[str, str]]:
        facts, question, said = view.facts, view.question, CHOICE_PAGE_TEXTS[view.language]
        overdue, about_issue = facts.next_update_by is not None and not question.issue_id, question.issue_id is not None
        items = [phrases.item_with_quantity(thing.name, thing.quantity) for thing in facts.lines]
        dates: list[tuple[str, date | None]] = [
            (said.previous_date, facts.previous_day),
            (said.ship_date, None if overdue or about_issue or question.requested_date else facts.day),
            (said.restock, facts.day if facts.plan == "restock" else None),
            (said.next_word, facts.next_update_by if overdue else None),
            (said.wished, question.requested_date),
        ]
        rows = [(said.order, view.order_id)]
        rows += [(said.items, phrases.join_items(items, view.language))] if items else []
        rows += [(label, phrases.localized_date(day, view.language)) for label, day in dates if day]
        if question.answer and question.change is None:
            rows.append((said.your_answer, phrases.PHRASES[view.language].options[question.answer]))
        return rows

    def _bad_link(self) -> HTMLResponse:
        return self._html(404, language=Language.JA, title=BAD_LINK_TITLE, lines=BAD_LINK, alert=None, rows=[])

    def _html(self, status: int, **values: object) -> HTMLResponse:
        values = {"options": [], "shop": self._shop, "css": self._css, **values}
        return HTMLResponse(self._template.render(values), status, self._headers)


def _refusal(facts: Facts) -> Answer:
    for fact in facts:
        if isinstance(fact, Ignored | Anomaly):
            return Answer(409, {"refused": fact.reason})
    return Answer(200, {})


def _form(body: bytes) -> dict[str, str]:
    try:
        fields = parse_qs(body.decode(), max_num_fields=20)
    except ValueError:
        return {}
    return {name: values[0] for name, values in fields.items()}


def _choice(value: str | None) -> Choice | None:
    return Choice(value) if value in set(Choice) else None


def _changes(question: Question, said: ChoicePageTexts) -> list[tuple[Change, str]]:
    """What can be changed: of an order all of it, of a replacement the day."""
    return [(change, label) for change, label in said.changes.items() if change is Change.DATE or not question.issue_id]


def _change(value: str | None) -> Change:
    return Change(value) if value in set(Change) else Change.DATE


_FIELDS = ("change", "requested_date", "requested_sku", *Address.model_fields)
LONGEST_FIELD = 120
"""Characters of one field of the form; what is longer is cut, and shown so before it is sent again."""


def _given(form: dict[str, str]) -> dict[str, str]:
    """What was filled in, on one line each."""
    lines = {name: " ".join(form.get(name, "").split())[:LONGEST_FIELD] for name in _FIELDS}
    return {name: line for name, line in lines.items() if line}


def _address(given: dict[str, str]) -> Address | None:
    fields = {**given, "country": given.get("country", "").upper()}
    try:
        return Address.model_validate(fields)
    except ValidationError:
        return None


def _day(value: str | None) -> date | None:
    try:
        return date.fromisoformat(value) if value else None
    except ValueError:
        return None


def routes(service: Service, conversations: Conversations, links: CustomerLinks, shop: str) -> APIRouter:
    router = APIRouter(tags=["customers"], default_response_class=HTMLResponse)
    page = ChoicePage(service, conversations, links, shop)

    @router.get("/c/{token}", summary="The question that a signed link leads to; opening it changes nothing")
    async def show(token: str) -> Response:
        return await page.show(token)

    @router.head("/c/{token}", include_in_schema=False)
    async def peek(token: str) -> Response:
        return await page.show(token)

    @router.post("/c/{token}", summary="The customer's answer, from the page's form")
    async def take(token: str, request: Request) -> Response:
        return await page.take(token, _form(await request.body()))

    return router
