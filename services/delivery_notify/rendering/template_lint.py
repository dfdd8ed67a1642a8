"""The linter of templates: runs in the tests, and at every start, where a shop's own templates are read.

Every template is rendered with every sample, in both languages, as text and as HTML; and under every market's law, with
what that law requires. A fault names the file and what is wrong with it, and the service does not start with one.
"""

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from jinja2 import TemplateError, meta
from markupsafe import escape

from libs.common.events.notices import NoticeKind
from libs.common.events.values import Language
from services.delivery_notify.domain.notices import NoticeFacts
from services.delivery_notify.policy.consent_law import DelayTerms, Element, laws
from services.delivery_notify.rendering.renderer import NoticeContent, Renderer
from services.delivery_notify.rendering.template_samples import RECIPIENT_NAME, SAMPLES, sample_content
from services.delivery_notify.rendering.texts import legal
from services.delivery_notify.rendering.texts import phrases as words

FILE = Path(__file__).with_name("template_lint.toml")

_RENDER_ERRORS = (TemplateError, KeyError, TypeError, ValueError)


class InvalidTemplatesError(SystemExit):
    """Templates are wrong; the message names each file and element."""


@dataclass(frozen=True, slots=True)
class TemplateFault:
    """`file` as the renderer looks for it, below the shop's folder or our own."""

    file: str
    problem: str

    def __str__(self) -> str:
        return f"{self.file}: {self.problem}"


def check(renderer: Renderer) -> None:
    """Raises `TemplatesError` where a template is wrong."""
    if faults := sorted({str(fault) for fault in lint(renderer)}):
        raise InvalidTemplatesError("Templates are wrong:\n" + "\n".join(f"  {fault}" for fault in faults))


def lint(renderer: Renderer) -> list[TemplateFault]:
    unreadable = [*_unknown_variables(renderer)]
    if unreadable:
        return unreadable
    found = [fault for case in SAMPLES for language in Language for fault in _sample_faults(renderer, case, language)]
    for market, law in laws().items():
        for kind, elements in law.requires.items():
            found += [f for language in Language for f in _law_faults(renderer, market, kind, elements, language)]
    return found


def _unknown_variables(renderer: Renderer) -> Iterator[TemplateFault]:
    """A misspelt variable is a fault here, also where no sample leads to it."""
    for name in renderer.template_names():
        try:
            tree = renderer.parse(name)
        except TemplateError as error:
            yield TemplateFault(name, f"cannot be read: {error}")
            continue
        for variable in sorted(meta.find_undeclared_variables(tree) - renderer.VARIABLES):
            yield TemplateFault(name, f"unknown variable {variable!r}")
        for field in sorted(renderer.fields_of_facts(tree) - set(NoticeFacts.__dataclass_fields__)):
            yield TemplateFault(name, f"unknown fact 'f.{field}'")


def _sample_faults(renderer: Renderer, case: str, language: Language) -> Iterator[TemplateFault]:
    letter = sample_content(case, language)
    name = f"{language}/{letter.kind}.jinja"
    try:
        rendered = renderer.render(letter)
    except _RENDER_ERRORS as error:
        yield TemplateFault(name, f"cannot be rendered ({case}): {type(error).__name__}: {error}")
        return
    said = f"{rendered.subject}\n{rendered.text}"
    for what, pattern in _forbidden_patterns()[language].items():
        if match := pattern.search(said):
            yield TemplateFault(name, f"forbidden ({what}): {match.group()!r}")
    for what, needed in _required_everywhere(letter):
        if needed not in rendered.text or _escape(needed) not in rendered.html:
            yield TemplateFault(name, f"does not say the {what} ({case}): {needed!r}")


def _required_everywhere(letter: NoticeContent) -> Iterator[tuple[str, str]]:
    facts, language = letter.facts, letter.language
    yield "greeting", words.greeting(RECIPIENT_NAME, language)
    if facts.day:
        yield "definite date", words.localized_date(facts.day, language)
    if facts.choice_id and facts.answer_by:
        yield "options", words.PHRASES[language].options[facts.options[0]]


def _law_faults(
    renderer: Renderer, market: str, kind: NoticeKind, elements: frozenset[Element], language: Language
) -> Iterator[TemplateFault]:
    case = next(name for name, (known, _) in SAMPLES.items() if known is kind)
    letter = sample_content(case, language)
    letter = replace(letter, facts=replace(letter.facts, terms=DelayTerms(market, "lint")))
    try:
        rendered = renderer.render(letter)
    except _RENDER_ERRORS:
        return  # said of the sample already
    for element in sorted(elements):
        for needed in _required_texts(element, letter, renderer.seller):
            if needed not in rendered.text or _escape(needed) not in rendered.html:
                where = market or "every market"
                yield TemplateFault(f"{language}/{kind}.jinja", f"required element {element} of {where}: {needed!r}")


def _required_texts(element: Element, letter: NoticeContent, seller: str) -> list[str]:
    """What must be readable in a notice that has this element."""
    facts, language = letter.facts, letter.language
    if element in legal.SENTENCES[language]:
        return [legal.sentence(element, facts, language)]
    days = {
        Element.OLD_DATE: facts.previous_day,
        Element.NEW_DATE: facts.day,
        Element.NO_DATE: facts.next_update_by,
        Element.NEXT_UPDATE: facts.next_update_by,
        Element.REFUND_BY: facts.refund_by,
        Element.RECEIVED_ON: facts.received_on,
        Element.DELIVERY_TIME: facts.day or facts.next_update_by,
    }
    if element in days:
        day = days[element]
        return [words.localized_date(day, language)] if day else []
    phrases = words.PHRASES[language]
    match element:
        case Element.WHAT_SILENCE_MEANS:
            return [phrases.default_notes[facts.default]] if facts.default else []
        case Element.HOW_TO_ANSWER:
            return [phrases.choose]
        case Element.SELLER:
            return [seller]
        case Element.AMOUNT_RECEIVED if facts.amount is not None and facts.currency:
            return [words.localized_money(facts.amount, facts.currency, language)]
        case Element.PRODUCT:
            return [thing.name for thing in facts.lines[:1]]
        case Element.QUANTITY:
            return [words.counted_item(thing.name, thing.quantity) for thing in facts.lines[:1]]
    return []


def _escape(text: str) -> str:
    """As the environment of the HTML part writes it."""
    return str(escape(text))


@cache
def _forbidden_patterns() -> dict[Language, dict[str, re.Pattern[str]]]:
    read = tomllib.loads(FILE.read_text(encoding="utf-8"))
    return {
        Language(language): {what: re.compile(pattern, re.IGNORECASE) for what, pattern in entry.items()}
        for language, entry in read.items()
    }
