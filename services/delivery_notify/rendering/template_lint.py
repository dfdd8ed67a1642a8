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
from services.delivery_notify.policy.consent_law import Element, Terms, laws
from services.delivery_notify.rendering.renderer import Letter, Renderer, Wording
from services.delivery_notify.rendering.template_samples import PERSON, SAMPLES, sample
from services.delivery_notify.rendering.texts import legal
from services.delivery_notify.rendering.texts import phrases as words

FILE = Path(__file__).with_name("template_lint.toml")

_UNRENDERED = (TemplateError, KeyError, TypeError, ValueError)


class TemplatesError(SystemExit):
    """Templates are wrong; the message names each file and element."""


@dataclass(frozen=True, slots=True)
class Fault:
    """`file` as the renderer looks for it, below the shop's folder or our own."""

    file: str
    what: str

    def __str__(self) -> str:
        return f"{self.file}: {self.what}"


_passed: set[Wording] = set()


def check(renderer: Renderer) -> None:
    """Raises `TemplatesError` where a template is wrong. What has passed is not held up a second time."""
    wording = renderer.wording()
    if wording in _passed:
        return
    if faults := sorted({str(fault) for fault in lint(renderer)}):
        raise TemplatesError("Templates are wrong:\n" + "\n".join(f"  {fault}" for fault in faults))
    _passed.add(wording)


def lint(renderer: Renderer) -> list[Fault]:
    unreadable = [*_unknown_variables(renderer)]
    if unreadable:
        return unreadable
    found = [fault for case in SAMPLES for language in Language for fault in _of_sample(renderer, case, language)]
    for market, law in laws().items():
        for kind, elements in law.requires.items():
            found += [f for language in Language for f in _of_law(renderer, market, kind, elements, language)]
    return found


def _unknown_variables(renderer: Renderer) -> Iterator[Fault]:
    """A misspelt variable is a fault here, also where no sample leads to it."""
    for name in renderer.template_names():
        try:
            tree = renderer.parse(name)
        except TemplateError as error:
            yield Fault(name, f"cannot be read: {error}")
            continue
        for variable in sorted(meta.find_undeclared_variables(tree) - renderer.VARIABLES):
            yield Fault(name, f"unknown variable {variable!r}")
        for field in sorted(renderer.fields_of_facts(tree) - set(NoticeFacts.__dataclass_fields__)):
            yield Fault(name, f"unknown fact 'f.{field}'")


def _of_sample(renderer: Renderer, case: str, language: Language) -> Iterator[Fault]:
    letter = sample(case, language)
    name = f"{language}/{letter.kind}.jinja"
    try:
        rendered = renderer.render(letter)
    except _UNRENDERED as error:
        yield Fault(name, f"cannot be rendered ({case}): {type(error).__name__}: {error}")
        return
    said = f"{rendered.subject}\n{rendered.text}"
    for what, pattern in _forbidden()[language].items():
        if match := pattern.search(said):
            yield Fault(name, f"forbidden ({what}): {match.group()!r}")
    for what, needed in _always(letter):
        if needed not in rendered.text or _escaped(needed) not in rendered.html:
            yield Fault(name, f"does not say the {what} ({case}): {needed!r}")


def _always(letter: Letter) -> Iterator[tuple[str, str]]:
    facts, language = letter.facts, letter.language
    yield "greeting", words.greet(PERSON, language)
    if facts.day:
        yield "definite date", words.say_date(facts.day, language)
    if facts.choice_id and facts.answer_by:
        yield "options", words.PHRASES[language].options[facts.options[0]]


def _of_law(
    renderer: Renderer, market: str, kind: NoticeKind, elements: frozenset[Element], language: Language
) -> Iterator[Fault]:
    case = next(name for name, (known, _) in SAMPLES.items() if known is kind)
    letter = sample(case, language)
    letter = replace(letter, facts=replace(letter.facts, terms=Terms(market, "lint")))
    try:
        rendered = renderer.render(letter)
    except _UNRENDERED:
        return  # said of the sample already
    for element in sorted(elements):
        for needed in _needed(element, letter, renderer.seller):
            if needed not in rendered.text or _escaped(needed) not in rendered.html:
                where = market or "every market"
                yield Fault(f"{language}/{kind}.jinja", f"required element {element} of {where}: {needed!r}")


def _needed(element: Element, letter: Letter, seller: str) -> list[str]:
    """What must be readable in a notice that has this element."""
    facts, language = letter.facts, letter.language
    if element in legal.SENTENCES[language]:
        return [legal.sentence(element, facts, language)]
    days = {
        Element.OLD_DATE: facts.previous_day,
        Element.NEW_DATE: facts.day,
        Element.NO_DATE: facts.next_word,
        Element.NEXT_WORD: facts.next_word,
        Element.REFUND_BY: facts.refund_by,
        Element.RECEIVED_ON: facts.received_on,
        Element.DELIVERY_TIME: facts.day or facts.next_word,
    }
    if element in days:
        day = days[element]
        return [words.say_date(day, language)] if day else []
    phrases = words.PHRASES[language]
    match element:
        case Element.WHAT_SILENCE_MEANS:
            return [phrases.by_default[facts.default]] if facts.default else []
        case Element.HOW_TO_ANSWER:
            return [phrases.choose]
        case Element.SELLER:
            return [seller]
        case Element.AMOUNT_RECEIVED if facts.amount is not None and facts.currency:
            return [words.say_money(facts.amount, facts.currency, language)]
        case Element.PRODUCT:
            return [thing.name for thing in facts.things[:1]]
        case Element.QUANTITY:
            return [words.count_item(thing.name, thing.quantity) for thing in facts.things[:1]]
    return []


def _escaped(text: str) -> str:
    """As the environment of the HTML part writes it."""
    return str(escape(text))


@cache
def _forbidden() -> dict[Language, dict[str, re.Pattern[str]]]:
    read = tomllib.loads(FILE.read_text(encoding="utf-8"))
    return {
        Language(language): {what: re.compile(pattern, re.IGNORECASE) for what, pattern in entry.items()}
        for language, entry in read.items()
    }
