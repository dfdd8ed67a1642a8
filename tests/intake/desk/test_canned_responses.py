"""Canned responses: read from the shop's file, with all faults named at start."""

from pathlib import Path

import pytest

from libs.common.events.values import Language
from services.intake.policy.canned_responses import BUNDLED_RESPONSES, CannedResponsesError, read_canned_responses


def test_every_bundled_response_is_there_in_every_language_of_customers() -> None:
    responses = read_canned_responses(BUNDLED_RESPONSES)
    titles = responses.titles(Language.JA)
    for language in Language:
        assert set(titles[language]) == {f"{language}:{name}" for name in responses.responses}
        for key in titles[language]:
            text = responses.fill(key, "SD-1", ["急須", "湯呑み"])
            assert "$" not in text
            assert "急須" in text


def test_several_items_are_joined_as_the_language_does() -> None:
    responses = read_canned_responses(BUNDLED_RESPONSES)
    assert "急須、湯呑み" in responses.fill("ja:which_part", "SD-1", ["急須", "湯呑み"])
    assert "Teapot, Cup" in responses.fill("en:which_part", "SD-1", ["Teapot", "Cup"])


def test_all_faults_of_a_file_are_named(tmp_path: Path) -> None:
    file = tmp_path / "responses.toml"
    file.write_text(
        '[a]\ntitle = { ja = "a" }\ntexts = { en = "Hello $name" }\n'
        '[b]\ntitle = { ja = "b", en = "b" }\ntexts = { tlh = "nuqneH", en = "5 $ off" }\n'
    )
    with pytest.raises(CannedResponsesError) as error:
        read_canned_responses(file)
    for part in ("a.title.en", "a.texts.en", "$name", "b.texts", "write $$"):
        assert part in str(error.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CannedResponsesError, match=r"nowhere\.toml"):
        read_canned_responses(tmp_path / "nowhere.toml")
