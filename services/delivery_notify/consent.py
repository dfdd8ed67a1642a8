"""The consent clock: what a market's law makes of a customer's silence when goods are late, and what a notice must say.

The mode is computed from the slip and the law (`consent.toml`), never chosen: nobody can send a question that is kinder
to the shop than the law. Pure: rules are data that were read at the start.
"""

import tomllib
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any

from libs.common.events.notices import NoticeKind

FILE = Path(__file__).with_name("consent.toml")


class Silence(StrEnum):
    """What it means that a customer does not answer."""

    CONSENTS = "consents"
    CANCELS = "cancels"


class Element(StrEnum):
    """Something that a notice must say. Templates are checked for it (`required_elements`)."""

    OLD_DATE = "old_date"
    NEW_DATE = "new_date"
    NO_DATE = "no_date"
    NEXT_WORD = "next_word"
    RIGHT_TO_CANCEL = "right_to_cancel"
    PROMPT_REFUND = "prompt_refund"
    WHAT_SILENCE_MEANS = "what_silence_means"
    CONTINUING_RIGHT = "continuing_right"
    HOW_TO_ANSWER = "how_to_answer"
    ADDITIONAL_PERIOD = "additional_period"
    REIMBURSEMENT = "reimbursement"
    REFUND_BY = "refund_by"
    ACCEPTANCE = "acceptance"
    SELLER = "seller"
    AMOUNT_RECEIVED = "amount_received"
    RECEIVED_ON = "received_on"
    PRODUCT = "product"
    QUANTITY = "quantity"
    DELIVERY_TIME = "delivery_time"


@dataclass(frozen=True, slots=True)
class Terms:
    """Under which terms a question is asked: what a notice tells beside its dates. Times are in the notice's facts.

    `refund_days` are working or calendar days from the day on which the right to a refund begins.
    """

    market: str
    version: str
    silence: Silence = Silence.CONSENTS
    refund_days: int = 7
    refund_days_are: str = "working"
    repeated: bool = False
    undated: bool = False
    essential: bool = False


@dataclass(frozen=True, slots=True)
class Law:
    """One market's rules, as `consent.toml` has them."""

    name: str
    version: str
    source: str
    refund_days: int
    refund_days_are: str
    silence: Silence | None = None
    answer_days: int = 7
    unstated_days: int | None = None
    consent_days: int | None = None
    renewed_answer_days: int = 3
    acceptance: bool = False
    requires: dict[NoticeKind, frozenset[Element]] = field(default_factory=dict)


@cache
def laws() -> dict[str, Law]:
    """By country; `""` is the house's own, for every other country."""
    read = tomllib.loads(FILE.read_text(encoding="utf-8"))
    found = {"": _law("house", read["house"], read["version"])}
    for name, entry in read["markets"].items():
        law = _law(name, entry, read["version"])
        found |= dict.fromkeys(entry.get("countries", [name]), law)
    return found


def law_of(market: str) -> Law:
    return laws().get(market) or laws()[""]


def _law(name: str, entry: dict[str, Any], version: str) -> Law:
    requires = {NoticeKind(kind): frozenset(map(Element, each)) for kind, each in entry.get("requires", {}).items()}
    silence = Silence(entry["silence"]) if "silence" in entry else None
    known = {key: value for key, value in entry.items() if key not in ("url", "countries", "requires", "silence")}
    return Law(name=name, version=version, silence=silence, requires=requires, **known)


def required_elements(market: str, kind: NoticeKind) -> frozenset[Element]:
    """What a notice of this kind must say in this market, whatever else it says."""
    return law_of(market).requires.get(kind, frozenset())
