"""Renderer of notices, in the customer's language, as text and as HTML.

A notice's template fills the blocks of a layout, which exists once as text and once as HTML. An undefined variable is
an error, not a blank.

Templates of a shop run in jinja's sandbox: they reach the variables of their notice and the allowed filters, and
neither attributes of Python objects nor functions. The linter, which renders every sample at the start, names a breach.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cache, partial
from pathlib import Path
from typing import Any

from jinja2 import (
    ChoiceLoader,
    FileSystemLoader,
    PackageLoader,
    StrictUndefined,
    Template,
    TemplateError,
    nodes,
)
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup

from libs.common.decisions.shop_calendar import ShopCalendar
from libs.common.events.notices import NoticeKind
from services.delivery_notify.channels.channel import RenderedMessage
from services.delivery_notify.domain.notices import NoticeFacts, NoticeLine
from services.delivery_notify.rendering import layout_filters
from services.delivery_notify.rendering.content import NoticeContent
from services.delivery_notify.rendering.links import NoticeLinks
from services.delivery_notify.rendering.shop import Shop
from services.delivery_notify.rendering.template_blocks import RenderedBlocks
from services.delivery_notify.rendering.template_variables import TemplateVariables
from services.delivery_notify.rendering.texts import phrases
from services.delivery_notify.rendering.texts.phrases import Phrases

_SUBJECT_END = "\n===\n"

RENDER_ERRORS = (TemplateError, KeyError, TypeError, ValueError)
"""Errors of a template that does not fit the facts of its notice."""

ALLOWED_FILTERS = (
    "capitalize",
    "default",
    "escape",
    "e",
    "first",
    "int",
    "join",
    "last",
    "length",
    "list",
    "lower",
    "replace",
    "round",
    "safe",
    "sort",
    "string",
    "title",
    "trim",
    "truncate",
    "upper",
    "wordcount",
)


_READABLE_FIELDS = {
    kind: frozenset(each.name for each in fields(kind) if not each.name.startswith("_"))
    for kind in (NoticeFacts, NoticeLine, Phrases)
}
"""Public fields of the plain data that templates read."""


class TemplateSandbox(ImmutableSandboxedEnvironment):
    """Jinja's sandbox, without the attributes of `layout`: they lead to the environment and its loader."""

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Return a field of the facts and phrases at once: jinja's checks of it took a fifth of the rendering time."""
        if attribute in _READABLE_FIELDS.get(type(obj), ()):
            return getattr(obj, attribute)
        return super().getattr(obj, attribute)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        return not isinstance(obj, Template) and super().is_safe_attribute(obj, attr, value)


@dataclass(frozen=True, slots=True)
class Wording:
    """Inputs of every rendered text: the shop, and its own template files with their content."""

    shop: Shop
    own_files: frozenset[tuple[str, bytes]]


class Renderer:
    """`folder` holds the shop's own versions of files of `templates`."""

    def __init__(self, calendar: ShopCalendar, links: NoticeLinks, shop: Shop, folder: Path | None = None) -> None:
        self.shop, self._folder = shop, folder
        self._variables = TemplateVariables(calendar, links, shop)
        defaults = PackageLoader("services.delivery_notify.rendering", "templates")
        loader = ChoiceLoader([FileSystemLoader(folder), defaults]) if folder else defaults
        new = partial(
            TemplateSandbox,
            loader=loader,
            undefined=StrictUndefined,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._text, self._html = new(autoescape=False), new(autoescape=True)
        for environment in (self._text, self._html):
            environment.globals.clear()
            environment.filters = {name: environment.filters[name] for name in ALLOWED_FILTERS}
        self._text.filters |= {"paragraphs": layout_filters.text_paragraphs, "rows": layout_filters.text_rows}
        self._html.filters |= {"paragraphs": layout_filters.html_paragraphs, "rows": layout_filters.html_rows}
        # Cached by name alone: jinja's own cache lookup costs as much as rendering a short template.
        self._text_of, self._html_of = cache(self._text.get_template), cache(self._html.get_template)

    def wording(self) -> Wording:
        files = [path for path in self._folder.rglob("*") if path.is_file()] if self._folder else []
        own = frozenset((str(path.relative_to(self._folder or path)), path.read_bytes()) for path in files)
        return Wording(self.shop, own)

    def is_overridden(self, name: str) -> bool:
        """Return whether the shop has its own version of this template."""
        return self._folder is not None and (self._folder / name).is_file()

    def template_names(self) -> list[str]:
        """Return the names of all notice templates and layouts, the shop's own included."""
        return self._text.list_templates()

    def parse(self, name: str) -> nodes.Template:
        """Raises `jinja2.TemplateError` for invalid syntax."""
        source, _, _ = self._text.loader.get_source(self._text, name)  # type: ignore[union-attr]
        return self._text.parse(source, name)

    def render(self, content: NoticeContent) -> RenderedMessage:
        """Raises one of `RENDER_ERRORS` if a fact that the template uses is missing."""
        variables = self._variables.of(content)
        blocks = RenderedBlocks(self._template(content), self._text_of("layout.txt"), variables)
        subject, _, text = blocks.text.partition(_SUBJECT_END)
        variables["subject"] = heading = " ".join(subject.split())
        variables["preheader"] = layout_filters.first_paragraph(blocks.text_of("body"))
        html = blocks.html(self._html_of("layout.html"))
        unsubscribe_url = variables["unsubscribe_link"]
        words = content.facts.reply if content.kind == NoticeKind.STAFF_REPLY else heading  # the words are the message
        brief = " ".join(filter(None, (f"[{self.shop.name}]", words, variables["link"], unsubscribe_url)))
        subject = phrases.mail_subject(self.shop.name, heading, variables["subject_order_id"], content.language)
        return RenderedMessage(subject, _collapse_empty_lines(text), html, brief, unsubscribe_url)

    def render_group(self, contents: Sequence[NoticeContent]) -> RenderedMessage:
        """Render several notices to one customer as one message, each under its own heading."""
        variables = self._variables.of(contents[0])
        heading = phrases.group_subject(len(contents), variables["language"])
        text, html = zip(*map(self._section, contents), strict=True)
        preheader = " / ".join(section_heading for section_heading, _ in text)
        variables |= {"subject": heading, "preheader": preheader, "link": "", "status_link": ""}
        return RenderedMessage(
            phrases.mail_subject(self.shop.name, heading, "", variables["language"]),
            _collapse_empty_lines(self._text_of("group.txt").render(variables, sections=text)),
            self._html_of("group.html").render(variables, sections=html),
            f"[{self.shop.name}] {heading}",
        )

    def _section(self, content: NoticeContent) -> tuple[tuple[str, str], tuple[Markup, Markup]]:
        """Render heading and body of a notice within a group, as text and as HTML."""
        blocks = RenderedBlocks(self._template(content), self._text_of("section.txt"), self._variables.of(content))
        heading, _, body = blocks.text.partition(_SUBJECT_END)
        html_heading, _, html_body = blocks.html(self._html_of("section.html")).partition(_SUBJECT_END)
        return (heading.strip(), body), (Markup(html_heading.strip()), Markup(html_body))  # noqa: S704

    def _template(self, content: NoticeContent) -> Template:
        return self._text_of(f"{content.language}/{content.kind}.jinja")


def _collapse_empty_lines(text: str) -> str:
    while "\n\n\n" in text:
        text = text.replace("\n\n\n", "\n\n")
    return text.strip() + "\n"
