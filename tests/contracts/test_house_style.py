"""Pages and desk use the words of the mails: one word per thing, whatever the customer reads."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from libs.common.events.values import Language
from services.delivery_notify.rendering.template_lint import RULES, style_patterns

ROOT = Path(__file__).parents[2]
DESK = ROOT / "services/intake/desk/translations.toml"
TEXTS = sorted(file for name in ("translations", "texts") for file in (ROOT / "services").glob(f"*/**/{name}/*.toml"))
PHRASES = [file for file in sorted((ROOT / "services").glob("*/**/texts/*/*.toml")) if file.name != "lint.toml"]


def _texts(table: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _texts(value)
        else:
            yield key, value


def _breaches(texts: list[str], language: str) -> list[str]:
    patterns = style_patterns(Language(language)).values()
    return [text for text in texts for pattern in patterns if pattern.search(text)]


@pytest.mark.parametrize("language", ["ja", "en"])
def test_the_desk_uses_the_words_of_the_mails(language: str) -> None:
    texts = [text for key, text in _texts(tomllib.loads(DESK.read_text("utf-8"))) if key == language]
    assert len(texts) > 100
    assert _breaches(texts, language) == []


@pytest.mark.parametrize("file", TEXTS, ids=lambda file: "/".join(file.parts[-3:]))
def test_pages_use_the_words_of_the_mails(file: Path) -> None:
    texts = [text for _, text in _texts(tomllib.loads(file.read_text("utf-8")))]
    assert len(texts) > 10
    assert _breaches(texts, file.stem) == []


@pytest.mark.parametrize("file", PHRASES, ids=lambda file: "/".join(file.parts[-2:]))
def test_phrases_use_the_words_of_the_mails(file: Path) -> None:
    texts = [text for _, text in _texts(tomllib.loads(file.read_text("utf-8")))]
    assert len(texts) > 10
    assert _breaches(texts, file.parent.name) == []


def test_the_style_is_a_list_of_its_own_that_shops_need_not_follow() -> None:
    assert not set(RULES[Language.JA].style) & set(RULES[Language.JA].forbidden)
    assert re.search(style_patterns(Language.JA)["spelling"], "お客さま")
