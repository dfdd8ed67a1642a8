"""Template linter: runs in the tests, and at every start of a service with templates of the shop's own.

Renders every template with every sample in every language, as text and as HTML, and under the law of every market.
The patterns that no notice may contain are in `texts/<language>/lint.toml`. A fault names the file and the problem; the
service does not start with one. Without templates of the shop only its name and signature differ from what the tests
have rendered, and rendering all of it again was half of the CPU time of a start.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import ClassVar

from jinja2 import TemplateError, meta, nodes
from markupsafe import escape
from pydantic import ConfigDict

from libs.common.events.notices import NoticeKind
from libs.common.events.values import Language
from services.delivery_notify.channels.channel import RenderedMessage
from services.delivery_notify.domain.loyalty_news import ADVERTISING
from services.delivery_notify.domain.notices import NoticeFacts
from services.delivery_notify.policy.consent_law import DelayTerms, Element, laws
from services.delivery_notify.rendering.content import NoticeContent
from services.delivery_notify.rendering.renderer import RENDER_ERRORS, Renderer, Wording
from services.delivery_notify.rendering.required_texts import texts_of_element
from services.delivery_notify.rendering.template_samples import RECIPIENT_NAME, SAMPLES, sample_content
from services.delivery_notify.rendering.template_variables import VARIABLES
from services.delivery_notify.rendering.texts import legal, phrases
from services.delivery_notify.rendering.texts.reading import read_texts


@dataclass(frozen=True, slots=True)
class LintRules:
    """Patterns by rule: those that no notice may contain, and those of the house style for built-in templates."""

    __pydantic_config__: ClassVar = ConfigDict(extra="forbid")

    forbidden: Mapping[str, str]
    style: Mapping[str, str]


RULES = read_texts(LintRules, "lint")


class InvalidTemplatesError(SystemExit):
    """Templates are invalid; the message names each file and problem."""


@dataclass(frozen=True, slots=True)
class TemplateFault:
    """`file` is relative to the shop's folder or to `templates`."""

    file: str
    problem: str

    def __str__(self) -> str:
        return f"{self.file}: {self.problem}"


ADVERTISING_RULES = frozenset({"advertising", "unsubscribe"})
"""Rules that hold for all notices but those that need consent."""

_passed: set[Wording] = set()


def check(renderer: Renderer) -> None:
    """Raises `InvalidTemplatesError` if templates of the shop are invalid. Each wording is checked once per process."""
    wording = renderer.wording()
    if not wording.own_files or wording in _passed:
        return
    if faults := sorted({str(fault) for fault in lint(renderer)}):
        raise InvalidTemplatesError("Templates are invalid:\n" + "\n".join(f"  {fault}" for fault in faults))
    _passed.add(wording)


def lint(renderer: Renderer) -> list[TemplateFault]:
    """All faults; where a shop replaces nothing but notices, only those of its notices are looked for."""
    names = _names_to_check(renderer)
    if faults := list(_static_faults(renderer, names)):
        return faults
    for case, (kind, _) in SAMPLES.items():
        for language in _languages(kind, names):
            faults += _sample_faults(renderer, case, language)
    for market, law in laws().items():
        for kind, elements in law.requires.items():
            for language in _languages(kind, names):
                faults += _law_faults(renderer, market, kind, elements, language)
    return faults


def _names_to_check(renderer: Renderer) -> frozenset[str]:
    """Return the shop's own templates if they are all notices, since no notice contains another; else all templates."""
    own = frozenset(name for name, _ in renderer.wording().own_files)
    notices = {_file_of(kind, language) for kind in NoticeKind for language in Language}
    return own if own and own <= notices else frozenset(renderer.template_names())


def _languages(kind: NoticeKind, names: frozenset[str]) -> list[Language]:
    return [language for language in Language if _file_of(kind, language) in names]


def _file_of(kind: NoticeKind, language: Language) -> str:
    return f"{language}/{kind}.jinja"


def _static_faults(renderer: Renderer, names: frozenset[str]) -> Iterator[TemplateFault]:
    """Report syntax errors and unknown names, also in branches that no sample reaches."""
    for name in sorted(names):
        try:
            tree = renderer.parse(name)
            used = meta.find_undeclared_variables(tree)
        except TemplateError as error:
            yield TemplateFault(name, f"cannot be read: {error}")
            continue
        for variable in sorted(used - VARIABLES):
            yield TemplateFault(name, f"unknown variable {variable!r}")
        for field in sorted(_fact_names(tree) - set(NoticeFacts.__dataclass_fields__)):
            yield TemplateFault(name, f"unknown fact 'f.{field}'")


def _fact_names(tree: nodes.Template) -> set[str]:
    """Return the facts that a template uses, as `f.<field>`."""
    attributes = tree.find_all(nodes.Getattr)
    return {node.attr for node in attributes if isinstance(node.node, nodes.Name) and node.node.name == "f"}


def _sample_faults(renderer: Renderer, case: str, language: Language) -> Iterator[TemplateFault]:
    content = sample_content(case, language)
    file = _file_of(content.kind, language)
    try:
        rendered = renderer.render(content)
    except RENDER_ERRORS as error:
        yield TemplateFault(file, f"cannot be rendered ({case}): {type(error).__name__}: {error}")
        return
    is_advertising = content.kind in ADVERTISING
    for rule, pattern in _forbidden_patterns(language, style=not renderer.is_overridden(file)).items():
        if is_advertising and rule in ADVERTISING_RULES:
            continue
        if match := pattern.search(f"{rendered.subject}\n{rendered.text}"):
            yield TemplateFault(file, f"forbidden ({rule}): {match.group()!r}")
    for element, text in _required_everywhere(content, renderer.shop.legal_seller):
        if not _contains(rendered, text):
            yield TemplateFault(file, f"missing {element} ({case}): {text!r}")


def _required_everywhere(content: NoticeContent, seller: str) -> Iterator[tuple[str, str]]:
    facts, language = content.facts, content.language
    yield "greeting", phrases.greeting(RECIPIENT_NAME, language)
    if facts.day:
        yield "definite date", phrases.localized_date(facts.day, language)
    for text in legal.withdrawal_sentences(facts.withdrawal_days, language) if facts.withdrawal_days else ():
        yield "right of withdrawal", text
    if content.kind in ADVERTISING:
        yield "link to unsubscribe", phrases.PHRASES[language].unsubscribe
        yield "consent", phrases.PHRASES[language].why_advertised
        yield "seller", seller
    if facts.choice_id and facts.answer_by:
        yield "options", phrases.PHRASES[language].options[facts.options[0]]


def _law_faults(
    renderer: Renderer, market: str, kind: NoticeKind, elements: frozenset[Element], language: Language
) -> Iterator[TemplateFault]:
    case = next(name for name, (sample_kind, _) in SAMPLES.items() if sample_kind is kind)
    content = sample_content(case, language)
    content = replace(content, facts=replace(content.facts, terms=DelayTerms(market, "lint")))
    try:
        rendered = renderer.render(content)
    except RENDER_ERRORS:
        return  # reported by `_sample_faults`
    for element in sorted(elements):
        for text in texts_of_element(element, content, renderer.shop.legal_seller):
            if not _contains(rendered, text):
                where = market or "every market"
                yield TemplateFault(_file_of(kind, language), f"required element {element} of {where}: {text!r}")


def _contains(rendered: RenderedMessage, text: str) -> bool:
    """Return true if both parts contain the text; in HTML as the environment escapes it, with any kind of blank."""
    return text in rendered.text and _plain_blanks(str(escape(text))) in _plain_blanks(rendered.html)


def _plain_blanks(html: str) -> str:
    return html.replace("\u00a0", " ")


@cache
def _forbidden_patterns(language: Language, *, style: bool) -> dict[str, re.Pattern[str]]:
    """Return the patterns by rule; with those of the house style for built-in templates."""
    rules = RULES[language]
    patterns = {**rules.forbidden, **(rules.style if style else {})}
    return {name: re.compile(pattern, re.IGNORECASE) for name, pattern in patterns.items()}


def style_patterns(language: Language) -> dict[str, re.Pattern[str]]:
    """Return the patterns of the house style alone; pages and desk are checked against them by the tests."""
    general = _forbidden_patterns(language, style=False)
    return {name: found for name, found in _forbidden_patterns(language, style=True).items() if name not in general}
