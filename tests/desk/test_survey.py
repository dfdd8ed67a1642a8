"""The survey: one answer per resolution, an unhappy one waits at the desk, and nothing personal is logged."""

import logging
from datetime import UTC, datetime

import pytest

from libs.common.events.registry import decode
from libs.common.signed_links import SignedLinks
from services.intake.customer_pages.links import CustomerLinks
from tests.browser.story import PASSWORD
from tests.common.leaks import leaks
from tests.desk.conftest import Desk
from tests.running import LINK_SECRETS


async def test_an_unhappy_answer_waits_at_the_desk_with_its_reason(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.WARNING, "httpx")  # the browser of this test; serve quietens it in life
    pages = CustomerLinks("http://service", SignedLinks([LINK_SECRETS]))
    survey = pages.survey(desk.case.ids["issue_id"], datetime.now(UTC))
    early = await desk.live.client.get(survey, headers={"Accept-Language": "en"})
    assert (early.status_code, "still working on this" in early.text) == (409, True)
    await desk.case.say(desk.case.resolved())
    assert (await desk.live.client.post(survey, data={"score": "11"})).status_code == 422
    for score in ("4", "10"):
        form = {"score": score, "why": "Nobody told me. hanako@example.jp"}
        assert (await desk.live.client.post(survey, data=form)).status_code == 303
    thanks = await desk.live.client.get(survey, headers={"Accept-Language": "en"})
    assert "One of us gets in touch with you by" in thanks.text

    rows = await desk.live.service.pool.fetch("SELECT value FROM outbox ORDER BY id")
    (rated,) = [event.data for row in rows if (event := decode(row["value"])).type == "issue.rated.v1"]
    assert (rated.score, "Nobody" in str(rated)) == (4, False)  # type: ignore[attr-defined]
    await desk.case.say(rated)
    hanako = await desk.as_("hanako")
    assert "Rated 4 of 10" in (await hanako.get("/desk")).text
    assert "Nobody told me." in (await hanako.get(desk.issue)).text
    assert leaks(caplog.text, [PASSWORD]) == []


@pytest.mark.parametrize(
    "text", ["mail hanako@example.jp", "GET /s/WyJhYmNkZWZnaGlqa2xtbm9wIl0.abcdefghijk", "key ops-key-for-tests-only"]
)
def test_what_no_log_may_hold_is_found(text: str) -> None:
    assert leaks(text)
    assert leaks("POST /s/{token}/photos failed for issue 7, shop@example.jp") == []
