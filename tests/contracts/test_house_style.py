"""Pages and desk use the words of the mails: one word per thing, whatever the customer reads."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from libs.common.events.values import Language
from services.delivery_notify.rendering import template_lint
from services.delivery_notify.rendering.template_lint import style_patterns
from services.delivery_notify.rendering.texts import legal, phrases, staff

ROOT = Path(__file__).parents[2]
TRANSLATIONS = sorted((ROOT / "services").glob("*/**/translations.toml"))
MODULES = [Path(module.__file__) for module in (legal, phrases, staff) if module.__file__]


def _texts(table: dict[str, Any], language: Language) -> Iterator[str]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _texts(value, language)
        elif key == language and isinstance(value, str):
            yield value


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize("file", TRANSLATIONS, ids=lambda file: "/".join(file.parts[-3:-1]))
def test_translations_of_pages_use_the_words_of_the_mails(file: Path, language: Language) -> None:
    texts = list(_texts(tomllib.loads(file.read_text("utf-8")), language))
    assert len(texts) > 10
    assert [text for text in texts for pattern in style_patterns(language).values() if pattern.search(text)] == []


@pytest.mark.parametrize("file", MODULES, ids=lambda file: file.stem)
def test_texts_in_modules_use_the_words_of_the_mails(file: Path) -> None:
    text = file.read_text("utf-8")
    patterns = [pattern for language in Language for pattern in style_patterns(language).values()]
    assert [match.group() for pattern in patterns for match in pattern.finditer(text)] == []


def test_the_style_is_a_list_of_its_own_that_shops_need_not_follow() -> None:
    rules = tomllib.loads(template_lint.FILE.read_text("utf-8"))
    assert not set(rules["style"]["ja"]) & set(rules["ja"])
    assert re.search(style_patterns(Language.JA)["spelling"], "お客さま")
