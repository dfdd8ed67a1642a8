"""What pages say: every text that a template names is there, and what the contract can say has words."""

import re
from pathlib import Path

import pytest

from libs.common.events.values import Language, Reason, Remedy, StaffAction
from services.intake.customer_pages import rendering as customer_face
from services.intake.desk import rendering as desk_face
from services.intake.projections.issue_status import IssueStatus
from services.intake.projections.timeline import SUBSCRIBES
from services.intake.projections.work_items import WorkKind, WorkStep
from services.intake.store.desk import Section
from services.intake.web.translations import Words, WordsError
from services.returns.domain.review_causes import ReviewCause

DESK, CUSTOMER = Words(desk_face.WORDS), Words(customer_face.WORDS)
LITERAL = re.compile(r"""\bt\(['"]([a-z0-9_.]+)['"][,)]""")


@pytest.mark.parametrize(
    ("words", "folder"), [(DESK, desk_face.TEMPLATES), (CUSTOMER, customer_face.TEMPLATES)], ids=["desk", "customer"]
)
def test_every_text_that_a_template_names_is_there(words: Words, folder: Path) -> None:
    named = {key for file in folder.glob("*.html") for key in LITERAL.findall(file.read_text(encoding="utf-8"))}
    assert len(named) > 20
    assert sorted(named - words.keys) == []


def test_the_desk_has_words_for_what_the_contract_can_say() -> None:
    wanted = [f"status.{one}" for one in IssueStatus] + [f"reason.{one}" for one in Reason]
    wanted += [f"remedy.{one}" for one in Remedy] + [f"action.{one}" for one in StaffAction]
    wanted += [f"cause.{one}" for one in ReviewCause] + [f"step.{one}" for one in WorkStep]
    wanted += [f"section.{one}.{part}" for one in Section for part in ("title", "short", "why")]
    wanted += [f"next.{one}.{part}" for one in WorkStep for part in ("what", "why", "then")]
    wanted += [f"next.{one}.what" for one in WorkKind if one is not WorkKind.PROGRESS]
    wanted += [f"fact.{one.TYPE.rpartition('.v')[0]}" for one in SUBSCRIBES if not one.TYPE.startswith("points.")]
    assert [key for key in wanted if key not in DESK] == []


def test_the_customers_pages_have_words_for_every_status_and_reason() -> None:
    wanted = [f"{table}.{one}" for table in ("status", "status_more") for one in IssueStatus]
    wanted += [f"{table}.{one}" for table in ("reason", "said") for one in Reason]
    assert [key for key in wanted if key not in CUSTOMER] == []


@pytest.mark.parametrize("words", [DESK, CUSTOMER], ids=["desk", "customer"])
def test_both_languages_fill_the_same_blanks(words: Words) -> None:
    def blanks(key: str, language: Language) -> set[str]:
        return set(re.findall(r"{(\w+)}", words.say(key, language)))

    assert [key for key in words.keys if blanks(key, Language.JA) != blanks(key, Language.EN)] == []


@pytest.mark.parametrize("text", ['a = "x"', 'a = { ja = "x" }', 'a = { ja = "x", en = "y", de = "z" }'])
def test_a_text_in_one_language_only_is_refused_at_start(text: str, tmp_path: Path) -> None:
    file = tmp_path / "words.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(WordsError, match=r"words\.toml: a"):
        Words(file)


def test_a_value_that_is_newer_than_our_words_is_shown_as_it_is() -> None:
    assert DESK.name("cause", "a_new_cause", Language.EN) == "a new cause"
