"""Contents of the choice page: the question, its answer, or why it is closed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from fastapi.responses import HTMLResponse

from libs.common.decisions.shop_calendar import ShopCalendar
from libs.common.events.values import Choice, Language
from libs.common.locales import LOCALES
from services.delivery_notify.domain.change_request import ChangeRequest
from services.delivery_notify.domain.conversation import Question, QuestionStatus
from services.delivery_notify.domain.customer_questions import MAX_DATE_AHEAD, changes_of
from services.delivery_notify.domain.notices import NoticeFacts
from services.delivery_notify.http.pages.rendering import PageRenderer
from services.delivery_notify.rendering.texts import phrases


@dataclass(frozen=True, slots=True)
class ChoiceView:
    """Current state of a question, and the facts of the notice that asked it."""

    order_id: str
    question: Question
    facts: NoticeFacts
    language: Language
    market: str = "JP"
    request: ChangeRequest | None = None

    def is_open(self, now: datetime) -> bool:
        return self.question.open and now < self.question.due_at


@dataclass(frozen=True, slots=True)
class Submission:
    """Input of a refused form, shown again with the code of the refusal."""

    refusal: str | None = None
    chosen: Choice | None = None
    entered: Mapping[str, str] = field(default_factory=dict)


def choice_page(
    renderer: PageRenderer,
    calendar: ShopCalendar,
    view: ChoiceView,
    now: datetime,
    status: int = 200,
    submission: Submission | None = None,
) -> HTMLResponse:
    question, today = view.question, calendar.day(now)
    title, sentence = _heading(renderer, view, now)
    submission = submission or Submission()
    return renderer.page(
        "choice.html",
        view.language,
        status,
        title=title,
        sentence=sentence,
        refusal=submission.refusal,
        rows=_rows(view, calendar),
        options=_options(view) if view.is_open(now) else [],
        chosen=submission.chosen,
        changes=changes_of(question),
        variants=question.variants,
        entered=submission.entered,
        address_fields=LOCALES[view.language].address,
        country=view.market,
        first_day=(today + timedelta(days=1)).isoformat(),
        last_day=(today + MAX_DATE_AHEAD).isoformat(),
        note=phrases.choice_note(question.due_at, question.default, calendar.zone, view.language),
    )


def _heading(renderer: PageRenderer, view: ChoiceView, now: datetime) -> tuple[str, str | None]:
    """Return the keys of title and sentence for the state of the question."""
    question = view.question
    if question.status == QuestionStatus.ANSWERED and question.answer and not question.by_default:
        return "title.answered", _answered(view)
    if question.status == QuestionStatus.CLOSED:
        cause = f"closed.{question.closed_by}"
        return "title.closed", cause if cause in renderer.translations else "closed.other"
    return ("title.question", None) if view.is_open(now) else ("title.overdue", "closed.overdue")


def _answered(view: ChoiceView) -> str:
    """Return the key of the outcome of a settled request; before that, of what was received."""
    question = view.question
    if view.request and not view.request.open:
        return f"outcome.{view.request.status}"
    if question.change is None:
        return f"answered.{question.answer}"
    return "answered_change.variant" if question.variants else f"answered_change.{question.change}"


def _rows(view: ChoiceView, calendar: ShopCalendar) -> list[tuple[str, str]]:
    """Return the keys of labels with their values; dates are written as in the mail that links to the page."""
    question, facts = view.question, view.facts
    items = [phrases.item_with_quantity(line.name, line.quantity) for line in facts.lines]
    rows = [("choice.order", view.order_id)]
    rows += [("choice.items", phrases.join_items(items, view.language))] if items else []
    rows += [(label, phrases.localized_date(day, view.language)) for label, day in shown_dates(view) if day]
    if question.answer and question.change is None:
        rows.append(("choice.your_answer", phrases.PHRASES[view.language].options[question.answer]))
    if view.request and view.request.answer_by and not view.request.is_promised:
        day = calendar.day(view.request.answer_by)
        rows.append(("choice.result_by", phrases.localized_date(day, view.language)))
    return rows


NOT_SHIPPING = "not_shipping"
"""Cause of a choice about stock that is there and does not leave."""


def shown_dates(view: ChoiceView) -> list[tuple[str, date | None]]:
    """Return the keys of labels with the dates of the page; None for one that it does not show."""
    question, facts = view.question, view.facts
    about_issue = question.issue_id is not None
    overdue = facts.next_update_by is not None and not about_issue
    restock = facts.day if facts.plan == "restock" else None
    return [
        ("choice.previous_date", facts.previous_day),
        ("choice.ship_date", None if overdue or about_issue or question.requested_date else facts.day),
        ("choice.ship_date" if facts.code == NOT_SHIPPING else "choice.restock", restock),
        ("choice.next_update", facts.next_update_by if overdue else None),
        ("choice.chosen_date", question.requested_date),
    ]


def _options(view: ChoiceView) -> list[tuple[Choice, str]]:
    names = [variant.name for variant in view.question.variants]
    return [(option, phrases.option_label(option, names, view.language)) for option in view.question.options]
