"""Forms that a customer reaches late in a story, with odd input: choice page, survey, collection window.

Never a 5xx answer, and no text of a form comes back as markup. Each form is seen to be tried.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from services.intake.app import create_app
from services.intake.settings import IntakeSettings
from tests.conftest import MakeDatabase
from tests.delivery_notify.service import notifying
from tests.delivery_notify.test_choice_page import ask
from tests.intake.issue_states import open_case
from tests.intake.test_status_page import LINKS, address, in_transit
from tests.running import Live, running
from tests.security.test_forms import SAME_ORIGIN, Explorer, Fields, variants

MARKUP = '"><script>alert(1)</script>'


def path_of(url: str) -> str:
    return urlsplit(url).path


async def explored(live: Live, link: str, start: str) -> Explorer:
    explorer = Explorer(live.client, start)
    await explorer.explore(f"http://service{path_of(link)}", pages=10)
    return explorer


async def test_the_choice_page_answers_odd_forms_without_a_surprise(database: MakeDatabase) -> None:
    async with notifying(await database("delivery_notify")) as live:
        explorer = await explored(live, await ask(live), "/c/")
    assert explorer.surprises == []
    assert any("'choice'" in form and "'street'" in form for form in explorer.sent)


@pytest.mark.parametrize("field", ["choice", "change", "requested_date", "requested_sku", "name", "street", "country"])
async def test_the_choice_page_shows_what_was_entered_as_text_only(field: str, database: MakeDatabase) -> None:
    async with notifying(await database("delivery_notify")) as live:
        link = await ask(live)
        entered = {"choice": "change", "change": "address", field: MARKUP}
        answer = await live.client.post(path_of(link), data=entered, headers=SAME_ORIGIN)
    assert (answer.status_code, "<script>alert" in answer.text) == (422, False)


async def test_a_survey_that_is_open_answers_odd_forms_without_a_surprise(
    database: MakeDatabase, tmp_path: Path
) -> None:
    async with running(create_app, IntakeSettings, database=await database("intake"), evidence_dir=tmp_path) as live:
        case = await open_case(live, "SD-1")
        await case.publish(case.resolved())
        link = LINKS.survey(case.ids["issue_id"], datetime.now(UTC))
        explorer = await explored(live, link, "/v/")
        rated = await live.client.post(path_of(link), data={"score": "9", "comment": MARKUP})
        shown = await live.client.get(path_of(link))
    assert explorer.surprises == []
    assert any("'score'" in form for form in explorer.sent)
    assert (rated.status_code, "<script>alert" in shown.text) == (303, False)


async def test_a_collection_window_answers_odd_forms_without_a_surprise(database: MakeDatabase, tmp_path: Path) -> None:
    async with running(create_app, IntakeSettings, database=await database("intake"), evidence_dir=tmp_path) as live:
        case = await in_transit(live)
        explorer = await explored(live, address(case), "/s/")
    assert explorer.surprises == []
    assert any("/window" in form for form in explorer.sent)


def test_every_field_of_a_form_is_made_odd_alone() -> None:
    fields: Fields = [("csrf", "t"), ("a", "1"), ("b", "2")]
    changed: Iterator[set[str]] = ({name for name, _ in set(each) ^ set(fields)} for each in variants(fields))
    assert {frozenset(each) for each in changed if each} == {frozenset({"a"}), frozenset({"b"})}
