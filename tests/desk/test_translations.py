"""What pages say: every text that a template names is there, and what the contract can say has words."""

import re
from pathlib import Path

import pytest

from libs.common.events.values import Language, Reason, Remedy, StaffAction
from libs.common.web.translations import Translations, TranslationsError
from services.intake.customer_pages import rendering as customer_rendering
from services.intake.desk import rendering as desk_rendering
from services.intake.projections.issue_status import IssueStatus
from services.intake.projections.timeline import SUBSCRIBES
from services.intake.projections.work_items import WorkKind, WorkStep
from services.intake.store.desk import Section
from services.returns.domain.review_causes import ReviewCause

DESK, CUSTOMER = Translations(desk_rendering.TRANSLATIONS_FILE), Translations(customer_rendering.TRANSLATIONS_FILE)
LITERAL = re.compile(r"""\bt\(['"]([a-z0-9_.]+)['"][,)]""")


@pytest.mark.parametrize(
    ("translations", "folder"),
    [(DESK, desk_rendering.TEMPLATES_FOLDER), (CUSTOMER, customer_rendering.TEMPLATES_FOLDER)],
    ids=["desk", "customer"],
)
def test_every_text_that_a_template_names_is_there(translations: Translations, folder: Path) -> None:
    named = {key for file in folder.glob("*.html") for key in LITERAL.findall(file.read_text(encoding="utf-8"))}
    assert len(named) > 20
    assert sorted(named - translations.keys) == []


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
    wanted += [f"{table}.{one}" for table in ("reason", "reason_choice") for one in Reason]
    assert [key for key in wanted if key not in CUSTOMER] == []


@pytest.mark.parametrize("translations", [DESK, CUSTOMER], ids=["desk", "customer"])
def test_both_languages_fill_the_same_blanks(translations: Translations) -> None:
    def blanks(key: str, language: Language) -> set[str]:
        return set(re.findall(r"{(\w+)}", translations.text(key, language)))

    assert [key for key in translations.keys if blanks(key, Language.JA) != blanks(key, Language.EN)] == []


@pytest.mark.parametrize("text", ['a = "x"', 'a = { ja = "x" }', 'a = { ja = "x", en = "y", de = "z" }'])
def test_a_text_in_one_language_only_is_refused_at_start(text: str, tmp_path: Path) -> None:
    file = tmp_path / "texts.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(TranslationsError, match=r"texts\.toml: a"):
        Translations(file)


def test_a_value_that_is_newer_than_our_words_is_shown_as_it_is() -> None:
    assert DESK.label("cause", "a_new_cause", Language.EN) == "a new cause"
