"""From a notice's facts to a message, in the customer's language, as text and as HTML.

Text and HTML are rendered from the same words, so they can never say two things: a notice's template fills the blocks
of a layout, which exists once as text and once as HTML. The blocks are filled once, as text; in HTML they are escaped:
a template is words, and never markup. A variable that is not there is an error, not a blank.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import Any
from uuid import UUID

from jinja2 import ChoiceLoader, Environment, FileSystemLoader, PackageLoader, StrictUndefined, Template, nodes
from jinja2.runtime import Context
from markupsafe import Markup, escape

from libs.common.decisions.fast_replace import replace
from libs.common.decisions.shop_calendar import ShopCalendar
from libs.common.events.notices import NoticeKind
from libs.common.events.values import Language
from services.delivery_notify.domain.notices import NoticeFacts, NoticeLine
from services.delivery_notify.rendering.links import CustomerLinks
from services.delivery_notify.rendering.texts import legal
from services.delivery_notify.rendering.texts import phrases as words

_BETWEEN_BLOCKS = re.compile(r"\n\s*\n")

_PARAGRAPH = '<p style="margin:0 0 16px">'
_TABLE = '<table role="presentation" style="border-collapse:collapse;width:100%;margin:20px 0;font-size:15px">'
_LABEL = '<td style="padding:9px 12px 9px 0;border-top:1px solid #e6e2da;color:#6b6861;vertical-align:top;width:34%">'
_VALUE = '<td style="padding:9px 0;border-top:1px solid #e6e2da;vertical-align:top;font-weight:600">'


@dataclass(frozen=True, slots=True)
class RenderedMessage:
    """`brief` is for ways out with room for a sentence or two: the subject names the fact and its date."""

    subject: str
    text: str
    html: str
    brief: str = ""


@dataclass(frozen=True, slots=True)
class NoticeContent:
    """What a message is made from: facts, and the person it goes to. `at` is the moment of writing."""

    kind: NoticeKind
    order_id: str
    recipient_name: str
    language: Language
    facts: NoticeFacts
    issue_id: UUID | None = None
    written_at: datetime | None = None
    last_purchased_item: str | None = None


class Renderer:
    """`folder` holds what a shop words in its own way: any file of `templates`, under the same name. `seller` is who
    sells, with address and telephone."""

    # fmt: off
    VARIABLES = frozenset({
        "f", "language", "shop", "order_id", "greeting", "thanks", "words", "date", "item", "items",
        "counted", "stage", "missing", "link", "options", "choice_note", "rights", "status_link",
        "survey_link", "day", "previous_day", "next_update_by", "money", "points", "layout", "subject",
        "sections", "seller",
    })
    # fmt: on

    def __init__(
        self, calendar: ShopCalendar, links: CustomerLinks, shop: str, folder: Path | None = None, seller: str = ""
    ) -> None:
        self._calendar, self._links, self.shop = calendar, links, shop
        self.seller = seller or shop
        ours = PackageLoader("services.delivery_notify.rendering", "templates")
        loader = ChoiceLoader([FileSystemLoader(folder), ours]) if folder else ours
        new = partial(Environment, loader=loader, undefined=StrictUndefined, lstrip_blocks=True, auto_reload=False)
        self._text, self._html = new(autoescape=False), new(autoescape=True)
        self._text.filters |= {"paragraphs": _text_paragraphs, "rows": _text_rows}
        self._html.filters |= {"paragraphs": _html_paragraphs, "rows": _html_rows}
        # Kept by name alone: jinja's own memory of templates costs as much as filling in a short one.
        self._text_of, self._html_of = cache(self._text.get_template), cache(self._html.get_template)

    def template_names(self) -> list[str]:
        """Every template of a notice and every layout, the shop's own among them."""
        return [name for name in self._text.list_templates() if not name.startswith("page/")]

    def parse(self, name: str) -> nodes.Template:
        """Raises `jinja2.TemplateError` where it cannot be read."""
        source, _, _ = self._text.loader.get_source(self._text, name)  # type: ignore[union-attr]
        return self._text.parse(source, name)

    def fields_of_facts(self, tree: nodes.Template) -> set[str]:
        """The facts that a template names, as `f.<field>`."""
        found = tree.find_all(nodes.Getattr)
        return {node.attr for node in found if isinstance(node.node, nodes.Name) and node.node.name == "f"}

    def render(self, content: NoticeContent) -> RenderedMessage:
        """Raises `jinja2.UndefinedError` or `KeyError` where a fact that the words need is not there."""
        values = self._values(content)
        filled = _Filled(self._template(content), self._text_of("layout.txt"), values)
        subject, _, text = filled.text.partition("\n===\n")
        values["subject"] = subject = " ".join(subject.split())
        html = filled.html(self._html_of("layout.html"))
        brief = " ".join(filter(None, (f"[{self.shop}]", subject, values["link"])))
        return RenderedMessage(subject, _tidy(text), html, brief)

    def render_group(self, contents: Sequence[NoticeContent]) -> RenderedMessage:
        """Several notices to one customer as one message, each under its own heading."""
        values = self._values(contents[0])
        subject = words.group_subject(len(contents), values["language"])
        whole = {**values, "subject": subject, "link": ""}
        text, html = zip(*map(self._section, contents), strict=True)
        return RenderedMessage(
            subject,
            _tidy(self._text_of("together.txt").render(whole, sections=text)),
            self._html_of("together.html").render(whole, sections=html),
            f"[{self.shop}] {subject}",
        )

    def _section(self, letter: NoticeContent) -> tuple[tuple[str, str], tuple[Markup, Markup]]:
        """Its heading and its body as text and as HTML, by layouts that have nothing else."""
        filled = _Filled(self._template(letter), self._text_of("section.txt"), self._values(letter))
        heading, _, body = filled.text.partition("\n===\n")
        html_heading, _, html_body = filled.html(self._html_of("section.html")).partition("\n===\n")
        return (heading.strip(), body), (Markup(html_heading.strip()), Markup(html_body))  # noqa: S704

    def _template(self, letter: NoticeContent) -> Template:
        return self._text_of(f"{letter.language}/{letter.kind}.jinja")

    def _values(self, letter: NoticeContent) -> dict[str, Any]:
        language = letter.language
        facts = _clean_facts(letter.facts)
        phrases = words.PHRASES[language]
        said = partial(_date, language)
        values = {
            "f": facts,
            "language": language,
            "shop": self.shop,
            "seller": self.seller,
            "order_id": _clean(letter.order_id),
            "greeting": words.greeting(_clean(letter.recipient_name), language),
            "thanks": _thanks(letter),
            "points": partial(_points, language),
            "rights": legal.required_sentences(letter.kind, facts, language),
            "words": phrases,
            "date": said,
            "item": _item,
            "stage": partial(_stage, phrases),
            "items": words.join_items([_item(thing) for thing in facts.lines], language),
            "counted": words.join_items([words.counted_item(t.name, t.quantity) for t in facts.lines], language),
            "missing": [words.MISSING_DETAILS[language].get(each, each) for each in facts.missing],
            "link": "",
            **self._pages(letter),
            **self._choice(letter, phrases),
        }
        dated = {"day": facts.day, "previous_day": facts.previous_day, "next_update_by": facts.next_update_by}
        values |= {name: said(day) for name, day in dated.items() if day}
        if facts.amount is not None and facts.currency:
            values["money"] = words.localized_money(facts.amount, facts.currency, language)
        return values

    def _pages(self, letter: NoticeContent) -> dict[str, str]:
        """Where the customer sees how an issue stands and, once it is over, says how it was."""
        over = letter.kind is NoticeKind.ISSUE_RESOLVED
        issue_id = letter.issue_id
        if issue_id is None or letter.written_at is None:
            return {"status_link": "", "survey_link": ""}
        return {
            "status_link": self._links.status_url(issue_id, letter.written_at),
            "survey_link": self._links.survey_url(issue_id, letter.written_at) if over else "",
        }

    def _choice(self, letter: NoticeContent, phrases: words.Phrases) -> dict[str, Any]:
        facts = letter.facts
        if facts.choice_id is None or facts.answer_by is None or facts.default is None:
            return {}
        return {
            "link": self._links.choice_url(letter.order_id, facts.choice_id, facts.answer_by),
            "options": [phrases.options[option] for option in facts.options],
            "choice_note": words.choice_note(facts.answer_by, facts.default, self._calendar.zone, letter.language),
        }


class _Block:
    """A block of a notice's template, filled in once and as text. Equal to what fills it in, so that jinja finds what
    `super()` means in it."""

    def __init__(self, fill: Callable[[Context], Iterator[str]]) -> None:
        self._fill, self.text = fill, ""

    def __call__(self, context: Context) -> Iterator[str]:
        self.text = self.text or "".join(self._fill(context))
        yield self.text

    def __eq__(self, other: object) -> bool:
        return other is self or other is self._fill

    __hash__ = None  # type: ignore[assignment]


class _Filled:
    """A notice's template with its blocks, within a layout as text, then within one as HTML."""

    def __init__(self, template: Template, layout: Template, values: dict[str, Any]) -> None:
        values["layout"], self._values = layout, values
        self._context = _context(template, values)
        self._blocks = {name: _Block(fill) for name, fill in template.blocks.items()}
        for name, block in self._blocks.items():
            self._context.blocks[name] = [block]
        self.text = _render(template, self._context)

    def html(self, layout: Template) -> str:
        context = _context(layout, self._values)
        for name, block in self._blocks.items():
            context.blocks[name] = [partial(self._escaped, block)]
        return _render(layout, context)

    def _escaped(self, block: _Block, _: Context) -> Iterator[str]:
        for said in block(self._context):
            yield escape(said)


def _context(template: Template, values: dict[str, Any]) -> Context:
    """As `template.new_context`, but without jinja's globals, which the linter forbids, and a copy of the values."""
    return Context(template.environment, values, template.name, template.blocks)


def _render(template: Template, context: Context) -> str:
    """As `template.render`, in a context of ours."""
    try:
        return template.environment.concat(template.root_render_func(context))
    except Exception:
        template.environment.handle_exception()


def _tidy(text: str) -> str:
    """With one empty line where there are several."""
    while "\n\n\n" in text:
        text = text.replace("\n\n\n", "\n\n")
    return text.strip() + "\n"


def _clean(text: str) -> str:
    """Text from outside on one line, without what our own layout means something by."""
    return " ".join(text.replace("|", "/").split())


def _clean_facts(facts: NoticeFacts) -> NoticeFacts:
    things = tuple(map(_clean_thing, facts.lines))
    return facts if things == facts.lines else replace(facts, lines=things)


def _clean_thing(thing: NoticeLine) -> NoticeLine:
    name, stage, detail = _clean(thing.name), _clean(thing.stage or ""), _clean(thing.stage_detail or "")
    if (name, stage, detail) == (thing.name, thing.stage or "", thing.stage_detail or ""):
        return thing
    return replace(thing, name=name, stage=stage or None, stage_detail=detail or None)


def _date(language: Language, day: date | None) -> str:
    """Babel writes today where there is no day: for us that is a fact that is missing."""
    if day is None:
        raise ValueError("date: the fact is not there")
    return words.localized_date(day, language)


def _points(language: Language, points: int | None) -> str:
    if points is None:
        raise ValueError("points: the fact is not there")
    return words.localized_points(points, language)


def _thanks(letter: NoticeContent) -> str:
    """Of an order where there is one; what expires is about none."""
    of_no_order = letter.kind is NoticeKind.POINTS_EXPIRING
    before = None if of_no_order else letter.last_purchased_item
    return words.thanks(letter.facts.purchase_count, letter.language, before)


def _item(thing: NoticeLine) -> str:
    return words.item_with_quantity(thing.name, thing.quantity)


def _stage(phrases: words.Phrases, thing: NoticeLine) -> str:
    """A stage in the customer's words; one we have no words for is told by its detail, or as it was named."""
    stage = thing.stage or ""
    return phrases.stages.get(stage) or thing.stage_detail or stage


# The last one is kept, for the HTML part is written of the same words right after the text.
@lru_cache(maxsize=1)
def _blocks(text: str) -> list[str]:
    return [said for block in _BETWEEN_BLOCKS.split(text) if (said := " ".join(block.split()))]


@lru_cache(maxsize=1)
def _pairs(text: str) -> list[tuple[str, str]]:
    lines = [line.strip().partition("|") for line in text.splitlines() if "|" in line]
    return [(label, value) for label, _, value in lines]


def _text_paragraphs(text: str) -> str:
    return "\n\n".join(_blocks(text))


def _text_rows(text: str) -> str:
    return "\n".join(f"{label}: {value}" for label, value in _pairs(text))


def _html_paragraphs(text: str) -> Markup:
    return Markup("".join(f"{_PARAGRAPH}{block}</p>\n" for block in _blocks(_markup(text))))  # noqa: S704


def _html_rows(text: str) -> Markup:
    rows = (f"<tr>{_LABEL}{label}</td>{_VALUE}{value}</td></tr>\n" for label, value in _pairs(_markup(text)))
    return Markup(f"{_TABLE}\n{''.join(rows)}</table>")  # noqa: S704


def _markup(text: str) -> str:
    """What a block gave: escaped by the environment already, or text, which is escaped now."""
    return str(text) if isinstance(text, Markup) else str(escape(text))
