"""HTML of the choice page: the question, its answer or why it is closed. No script."""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from libs.common.decisions.shop_calendar import ShopCalendar
from libs.common.events.notices import ChangeSubject
from libs.common.events.values import Choice, Language
from services.delivery_notify.domain.conversation import Question, QuestionStatus
from services.delivery_notify.domain.customer_questions import MAX_DATE_AHEAD
from services.delivery_notify.domain.notices import NoticeFacts
from services.delivery_notify.http.choice_page_texts import (
    BAD_LINK,
    BAD_LINK_TITLE,
    CHOICE_PAGE_TEXTS,
    ChoicePageTexts,
)
from services.delivery_notify.rendering.texts import phrases


@dataclass(frozen=True, slots=True)
class ChoiceView:
    """Current state of a question, and the facts of the notice that asked it."""

    order_id: str
    question: Question
    facts: NoticeFacts
    language: Language
    market: str = "JP"

    @property
    def texts(self) -> ChoicePageTexts:
        return CHOICE_PAGE_TEXTS[self.language]

    def is_open(self, now: datetime) -> bool:
        return self.question.open and now < self.question.due_at


@dataclass(frozen=True, slots=True)
class Submission:
    """Input of a refused form, shown again with the reason as `alert`."""

    alert: str | None = None
    chosen: Choice | None = None
    entered: Mapping[str, str] = field(default_factory=dict)


class ChoicePageRenderer:
    """`headers` go with every response of the page."""

    def __init__(self, shop: str, calendar: ShopCalendar) -> None:
        self._shop, self._calendar = shop, calendar
        loader = PackageLoader("services.delivery_notify.rendering", "templates/page")
        environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, auto_reload=False)
        css = loader.get_source(environment, "page.css")[0]
        self._css = Markup(css)  # noqa: S704 - our own file
        self._template = environment.get_template("choice.html")
        digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
        self.headers = {
            "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{digest}'; form-action 'self'; "
            "frame-ancestors 'none'; base-uri 'none'",
            "Referrer-Policy": "no-referrer",
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
            "X-Robots-Tag": "noindex",
        }

    def page(
        self, view: ChoiceView, now: datetime, status: int = 200, submission: Submission | None = None
    ) -> HTMLResponse:
        question, texts, today = view.question, view.texts, self._calendar.day(now)
        title, lines = _heading(view, now)
        labels = phrases.PHRASES[view.language].options
        submission = submission or Submission()
        return self._html(
            status,
            language=view.language,
            title=title,
            lines=lines,
            alert=submission.alert,
            rows=_rows(view),
            texts=texts,
            options=[(option, labels[option]) for option in question.options] if view.is_open(now) else [],
            chosen=submission.chosen,
            changes=_changes(question, texts),
            entered=submission.entered,
            country=view.market,
            first_day=(today + timedelta(days=1)).isoformat(),
            last_day=(today + MAX_DATE_AHEAD).isoformat(),
            note=phrases.choice_note(question.due_at, question.default, self._calendar.zone, view.language),
        )

    def bad_link(self) -> HTMLResponse:
        return self._html(404, language=Language.JA, title=BAD_LINK_TITLE, lines=BAD_LINK, alert=None, rows=[])

    def _html(self, status: int, **variables: object) -> HTMLResponse:
        variables = {"options": [], "shop": self._shop, "css": self._css, **variables}
        return HTMLResponse(self._template.render(variables), status, self.headers)


def _heading(view: ChoiceView, now: datetime) -> tuple[str, list[str]]:
    """Return title and sentences for the state of the question."""
    question, texts = view.question, view.texts
    if question.status == QuestionStatus.ANSWERED and question.answer and not question.by_default:
        thanks = texts.thanks_change[question.change] if question.change else texts.thanks[question.answer]
        return texts.thanks_title, [thanks]
    if question.status == QuestionStatus.CLOSED:
        return texts.closed_title, [texts.closed.get(question.closed_by or "", texts.closed_other)]
    if not view.is_open(now):
        return texts.deadline_passed_title, [texts.deadline_passed]
    return texts.question_title, []


def _rows(view: ChoiceView) -> list[tuple[str, str]]:
    question, texts, facts = view.question, view.texts, view.facts
    items = [phrases.item_with_quantity(line.name, line.quantity) for line in facts.lines]
    rows = [(texts.order, view.order_id)]
    rows += [(texts.items, phrases.join_items(items, view.language))] if items else []
    rows += [(label, phrases.localized_date(day, view.language)) for label, day in _dates(view) if day]
    if question.answer and question.change is None:
        rows.append((texts.your_answer, phrases.PHRASES[view.language].options[question.answer]))
    return rows


def _dates(view: ChoiceView) -> list[tuple[str, date | None]]:
    question, texts, facts = view.question, view.texts, view.facts
    about_issue = question.issue_id is not None
    overdue = facts.next_update_by is not None and not about_issue
    return [
        (texts.previous_date, facts.previous_day),
        (texts.ship_date, None if overdue or about_issue or question.requested_date else facts.day),
        (texts.restock, facts.day if facts.plan == "restock" else None),
        (texts.next_update, facts.next_update_by if overdue else None),
        (texts.chosen_date, question.requested_date),
    ]


def _changes(question: Question, texts: ChoicePageTexts) -> list[tuple[ChangeSubject, str]]:
    """Return the possible changes: of an order all, of a replacement the date."""
    if question.issue_id:
        return [(ChangeSubject.DATE, texts.changes[ChangeSubject.DATE])]
    return list(texts.changes.items())
