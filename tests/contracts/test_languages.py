"""A language is a set of files: every language has all of them with the same keys, and a new one needs nothing else."""

import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from libs.common.events.values import Contact, Language, language_of
from libs.common.locales import LOCALES, LocaleFileError, read_locale

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = "en"
PLURALS = {"points", "ordinal", "working", "calendar"}
"""Tables with one entry per plural form; languages differ in their forms."""


def files_of(language: str, root: Path = ROOT) -> dict[str, Path]:
    """Return the files of a language by their path with the language left out."""
    language = str(language)  # pathlib refuses members of an enumeration
    named = [file for folder in ("libs", "services") for file in (root / folder).rglob(f"{language}.toml")]
    inside = [file for folder in (root / "services").rglob(language) for file in folder.glob("*.*") if folder.is_dir()]
    parts = re.compile(rf"(?<=/){language}(?=[/.])")
    return {parts.sub("*", str(file.relative_to(root))): file for file in (*named, *inside)}


def keys_of(table: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from () if key in PLURALS else keys_of(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", str(value)


def blanks_of(file: Path) -> dict[str, set[str]]:
    table = tomllib.loads(file.read_text("utf-8"))
    return {key: set(re.findall(r"{(\w+)}", text)) for key, text in keys_of(table)}


OTHERS = [language for language in Language if language != REFERENCE]
SHARED = [path for path in files_of(REFERENCE) if path.endswith(".toml") and not re.search("lint|locales", path)]


def test_the_reference_has_templates_phrases_and_pages() -> None:
    assert len(files_of(REFERENCE)) > 40
    assert len(SHARED) >= 6


@pytest.mark.parametrize("language", OTHERS)
def test_every_language_has_the_same_files(language: Language) -> None:
    assert sorted(files_of(language)) == sorted(files_of(REFERENCE))


@pytest.mark.parametrize("language", OTHERS)
@pytest.mark.parametrize("path", SHARED)
def test_every_language_has_the_same_keys_with_the_same_blanks(path: str, language: Language) -> None:
    assert blanks_of(files_of(language)[path]) == blanks_of(files_of(REFERENCE)[path])


@pytest.mark.parametrize("language", OTHERS)
def test_every_template_fills_the_same_blocks(language: Language) -> None:
    def blocks(file: Path) -> set[str]:
        return set(re.findall(r"{% block (\w+) %}", file.read_text("utf-8")))

    templates = {path: file for path, file in files_of(REFERENCE).items() if path.endswith(".jinja")}
    found = files_of(language)
    assert [path for path, file in templates.items() if blocks(found[path]) != blocks(file)] == []


@pytest.mark.parametrize(
    ("tag", "language"),
    [
        ("de", "de"),
        ("de-AT", "de"),
        ("de_CH", "de"),
        ("DE-Latn-DE-1996", "de"),
        ("deu", "de"),
        ("ja-JP", "ja"),
        ("en-GB", "en"),
        ("fr-CA", "en"),
        ("den", "en"),
        ("", "ja"),
    ],
)
def test_a_tag_finds_its_language_or_english(tag: str, language: str) -> None:
    assert language_of(tag) == Contact(language=tag).language == language


def test_an_incomplete_locale_is_refused_with_all_its_faults(tmp_path: Path) -> None:
    file = tmp_path / "xx.toml"
    file.write_text('name = "X"\ncolour = "red"\naddress = ["name"]\n', encoding="utf-8")
    with pytest.raises(LocaleFileError, match=r"xx\.toml: date: missing.*locale: missing.*colour: unknown.*address"):
        read_locale(file)


def test_no_module_names_a_language_but_the_defaults() -> None:
    named = re.compile("|".join(rf"[\"']{code}[\"']" for code in LOCALES if code not in ("ja", "en")))
    modules = [file for folder in ("libs", "services") for file in (ROOT / folder).rglob("*.py")]
    assert [str(file) for file in modules if named.search(file.read_text("utf-8"))] == []


CHECK = """
from libs.common.decisions.shop_calendar import ShopCalendar
from libs.common.events.values import Language, language_of
from libs.common.web.brand import Brand
from services.delivery_notify.http.pages.rendering import open_renderer
from services.delivery_notify.rendering.links import NoticeLinks
from services.delivery_notify.rendering.renderer import Renderer
from services.delivery_notify.rendering.shop import Shop
from services.delivery_notify.rendering.template_lint import lint
from services.delivery_notify.rendering.template_samples import sample_content
from services.intake.customer_pages.rendering import TRANSLATIONS_FOLDER
from services.loyalty.http.entry_texts import entry_text
from libs.common.web.translations import read_translations
from zoneinfo import ZoneInfo

calendar = ShopCalendar(ZoneInfo("Europe/Paris"), "FR")
links = NoticeLinks("https://shop.example", ["a-secret-for-tests-only"], "https://shop.example")
renderer = Renderer(calendar, links, Shop("Shop"))
french = language_of("fr-CA")
print(french, [str(fault) for fault in lint(renderer)])
print("vendredi 12 mars 2027" in renderer.render(sample_content("promised", french)).text)
print(read_translations(TRANSLATIONS_FOLDER).text("report.send", french), entry_text("expired", french))
open_renderer("https://shop.example", Brand("Shop"), calendar.zone)
"""


def test_a_language_is_added_by_files_alone(tmp_path: Path) -> None:
    for folder in ("libs", "services"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for path, file in files_of(REFERENCE, tmp_path).items():
        copy = tmp_path / path.replace("*", "fr")
        copy.parent.mkdir(exist_ok=True)
        shutil.copy(file, copy)
    locale = tmp_path / "libs/common/locales/fr.toml"
    french = {"en_US": "fr_FR", "EEEE, d MMMM y": "EEEE d MMMM y", '"eng"': '"fra"', "English": "Français"}
    text = locale.read_text("utf-8")
    for english, other in french.items():
        text = text.replace(english, other)
    locale.write_text(text, encoding="utf-8")
    done = subprocess.run([sys.executable, "-c", CHECK], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("fr []\nTrue\nSend Expired\n", "")
