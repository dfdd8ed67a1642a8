"""The survey: one answer per resolution, an unhappy one waits at the desk."""

from datetime import UTC, datetime

from libs.common.events.registry import decode
from libs.common.http.signed_links import SignedLinks
from services.intake.customer_pages.links import CustomerPageLinks
from tests.intake.desk.conftest import Desk
from tests.running import LINK_SECRETS


async def test_an_unhappy_answer_waits_at_the_desk_with_its_reason(desk: Desk) -> None:
    pages = CustomerPageLinks("http://service", SignedLinks([LINK_SECRETS]))
    survey = pages.survey(desk.case.ids["issue_id"], datetime.now(UTC))
    early = await desk.live.client.get(survey, headers={"Accept-Language": "en"})
    assert (early.status_code, "still working on this" in early.text) == (409, True)
    await desk.case.publish(desk.case.resolved())
    assert (await desk.live.client.post(survey, data={"score": "11"})).status_code == 422
    for score in ("4", "10"):
        form = {"score": score, "comment": "Nobody told me. hanako@example.jp"}
        assert (await desk.live.client.post(survey, data=form)).status_code == 303
    thanks = await desk.live.client.get(survey, headers={"Accept-Language": "en"})
    assert "A member of our team will contact you by" in thanks.text

    rows = await desk.live.service.pool.fetch("SELECT value FROM outbox_records ORDER BY id, n")
    (rated,) = [event.data for row in rows if (event := decode(row["value"])).type == "issue.rated.v1"]
    assert (rated.score, "Nobody" in str(rated)) == (4, False)  # type: ignore[attr-defined]
    await desk.case.publish(rated)
    hanako = await desk.as_("hanako")
    assert "Rated 4 of 10" in (await hanako.get("/desk")).text
    assert "Nobody told me." in (await hanako.get(desk.issue)).text
