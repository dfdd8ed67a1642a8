"""Translations: every key that a template names exists, and every value of the contract has a text."""

import ast
import re
from pathlib import Path

import pytest

from deploy.local.paths import ROOT
from libs.common.events.notices import NoticeKind
from libs.common.events.values import Choice, Language, Reason, Remedy, Reporter, StaffAction
from libs.common.messaging.anomaly_reports import REPORTED_FIELDS
from libs.common.web.translations import Translations, TranslationsError
from services.delivery_notify.http.pages import rendering as notice_rendering
from services.intake.customer_pages import rendering as customer_rendering
from services.intake.desk import rendering as desk_rendering
from services.intake.desk.timeline_rows import SHOWN_FIELDS
from services.intake.domain.projections.issue_status import IssueStatus
from services.intake.domain.projections.timeline import SUBSCRIBES
from services.intake.domain.projections.work_items import WorkKind, WorkStep
from services.intake.store.desk import Section
from services.returns.domain.anomalies import REVIEWED
from services.returns.domain.decide import HANDLERS
from services.returns.domain.handlers.staff_decisions import REFUSALS
from services.returns.domain.state.review_causes import ReviewCause

DESK, CUSTOMER = Translations(desk_rendering.TRANSLATIONS_FILE), Translations(customer_rendering.TRANSLATIONS_FOLDER)
CASE_REPORTS = [event for event in HANDLERS if hasattr(event, "TOPIC") and not event.TYPE.startswith("issue.")]
NOTICES = Translations(notice_rendering.TRANSLATIONS_FOLDER)
LITERAL = re.compile(r"""\bt\(['"]([a-z0-9_.]+)['"][,)]""")


@pytest.mark.parametrize(
    ("translations", "folder"),
    [
        (DESK, desk_rendering.TEMPLATES_FOLDER),
        (CUSTOMER, customer_rendering.TEMPLATES_FOLDER),
        (NOTICES, notice_rendering.TEMPLATES_FOLDER),
    ],
    ids=["desk", "customer", "notices"],
)
def test_every_text_that_a_template_names_is_there(translations: Translations, folder: Path) -> None:
    named = {key for file in folder.glob("*.html") for key in LITERAL.findall(file.read_text(encoding="utf-8"))}
    assert len(named) > 10
    assert sorted(named - translations.keys) == []


def test_the_desk_has_words_for_what_the_contract_can_say() -> None:
    wanted = [f"status.{member}" for member in IssueStatus] + [f"reason.{member}" for member in Reason]
    wanted += [f"remedy.{member}" for member in Remedy] + [f"action.{member}" for member in StaffAction]
    wanted += [f"cause.{member}" for member in ReviewCause] + [f"step.{member}" for member in WorkStep]
    wanted += [f"section.{section}.{part}" for section in Section for part in ("title", "short", "why")]
    wanted += [f"next.{step}.{part}" for step in WorkStep for part in ("what", "why", "then")]
    wanted += [f"next.{kind}.what" for kind in WorkKind if kind is not WorkKind.PROGRESS]
    wanted += [f"report.{event.TYPE.rpartition('.v')[0]}" for event in CASE_REPORTS]
    wanted += [f"notice.{kind}" for kind in NoticeKind] + [f"choice.{choice}" for choice in Choice]
    wanted += [
        f"event.{event.TYPE.rpartition('.v')[0]}" for event in SUBSCRIBES if not event.TYPE.startswith("points.")
    ]
    wanted += [f"field.{field}" for field in SHOWN_FIELDS] + [f"reporter.{reporter}" for reporter in Reporter]
    assert [key for key in wanted if key not in DESK] == []


def anomalies_in_the_code() -> set[str]:
    """Return the codes of all anomalies that a service names as literals, but those that a review shows."""
    found: set[str] = set()
    for file in (ROOT / "services").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(
                    func=ast.Name(id="Anomaly") | ast.Attribute(attr="anomaly"), args=[ast.Constant(value=code), *_]
                ):
                    found.add(str(code))
    return found - REVIEWED


def test_every_anomaly_has_a_name_and_a_remedy() -> None:
    codes = sorted(anomalies_in_the_code() | {"shipped_unknown_line", "delivered_unknown_line"})
    assert len(codes) > 30
    assert [f"{table}.{code}" for code in codes for table in ("anomaly", "anomaly_remedy")
            if f"{table}.{code}" not in DESK] == []  # fmt: skip


def test_every_field_of_a_report_has_a_name() -> None:
    assert [field for field in REPORTED_FIELDS if f"reported.{field}" not in DESK] == []


def test_every_refusal_of_a_box_has_a_text() -> None:
    codes = ("unknown_case", *(code for code in REFUSALS if "count" in code))
    assert [code for code in codes if f"box_refusal.{code}" not in DESK] == []


def test_the_customers_pages_have_words_for_every_status_and_reason() -> None:
    wanted = [f"{table}.{member}" for table in ("status", "status_more") for member in IssueStatus]
    wanted += [f"{table}.{member}" for table in ("reason", "reason_choice") for member in Reason]
    assert [key for key in wanted if key not in CUSTOMER] == []


@pytest.mark.parametrize("translations", [DESK, CUSTOMER, NOTICES], ids=["desk", "customer", "notices"])
def test_all_languages_fill_the_same_blanks(translations: Translations) -> None:
    def blanks(key: str, language: Language) -> set[str]:
        return set(re.findall(r"{(\w+)}", translations.text(key, language)))

    others = [language for language in translations.languages if language != Language.EN]
    pairs = [(key, language) for key in sorted(translations.keys) for language in others]
    assert [pair for pair in pairs if blanks(*pair) != blanks(pair[0], Language.EN)] == []


@pytest.mark.parametrize("text", ['a = "x"', 'a = { ja = "x" }', 'a = { ja = "x", en = "y", xx = "z" }'])
def test_a_text_in_one_language_only_is_refused_at_start(text: str, tmp_path: Path) -> None:
    file = tmp_path / "texts.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(TranslationsError, match=r"texts\.toml: "):
        Translations(file)


def test_a_value_that_is_newer_than_our_words_is_shown_as_it_is() -> None:
    assert DESK.label("cause", "a_new_cause", Language.EN) == "a new cause"
