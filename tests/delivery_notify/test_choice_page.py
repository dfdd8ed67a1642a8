"""Choice page: mail scanners, repeated answers, incomplete forms, invalid links."""

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from libs.common.events.values import Language
from libs.common.http.signed_links import LinkInvalidError
from services.delivery_notify.rendering.links import NoticeLinks
from tests.conftest import MakeDatabase
from tests.delivery_notify.conversation_driver import ORDER
from tests.delivery_notify.service import notifying, published, settled, take
from tests.delivery_notify.test_sender import later, order, soon
from tests.running import STOREFRONT, Live

LINKS = NoticeLinks("http://service", ["the-newest-secret-for-tests"])


@pytest.fixture
async def live(database: MakeDatabase) -> AsyncIterator[Live]:
    async with notifying(await database("delivery_notify")) as live:
        yield live


async def ask(live: Live, language: Language = Language.JA) -> str:
    """Send a question by mail and return the path of its link."""
    await take(live, order(language), later())
    (row,) = await settled(live)
    choice_id = re.search(r'"choice_id": "([0-9a-f-]+)"', row["facts"])
    assert choice_id

    return "/c/" + LINKS.choice_token(ORDER, UUID(choice_id[1]), datetime.now(UTC) + timedelta(days=7))


async def decisions(live: Live) -> list[str]:
    rows = await live.service.pool.fetch(
        "SELECT convert_from(value, 'utf8')::jsonb AS event FROM outbox_records ORDER BY id, n"
    )
    return [row["event"] for row in rows if "customer.decided" in row["event"]]


async def test_the_page_shows_the_order_and_asks(live: Live) -> None:
    page = await live.client.get(await ask(live))
    assert (page.status_code, ORDER in page.text, 'value="cancel"' in page.text) == (200, True, True)


async def test_the_page_is_in_the_language_of_the_customer(live: Live) -> None:
    page = await live.client.get(await ask(live, Language.EN))
    assert "How would you like us to proceed?" in page.text


async def test_opening_the_link_changes_nothing(live: Live) -> None:
    link = await ask(live)
    for _ in range(3):
        await live.client.get(link)
    await live.client.head(link)
    assert await published(live) == ["notice.sent.v1"]


async def test_an_answer_becomes_a_decision(live: Live) -> None:
    link = await ask(live)
    answer = await live.client.post(link, data={"choice": "cancel"})
    assert (answer.status_code, await published(live)) == (303, ["notice.sent.v1", "customer.decided.v1"])


async def test_the_page_thanks_for_the_answer_and_asks_no_more(live: Live) -> None:
    link = await ask(live)
    page = await live.client.post(link, data={"choice": "cancel"}, follow_redirects=True)
    assert ("ご希望を承りました" in page.text, "<form" in page.text) == (True, False)


async def test_another_day_is_taken_with_its_date(live: Live) -> None:
    requested = live.app.state.choice_page.calendar.next_open(soon(30)).isoformat()
    link = await ask(live)
    await live.client.post(link, data={"choice": "change", "requested_date": requested})
    assert [requested in event for event in await decisions(live)] == [True]


@pytest.mark.parametrize("requested", ["", "2020-01-01", "soon"])
async def test_a_day_that_is_not_possible_is_asked_for_again(live: Live, requested: str) -> None:
    page = await live.client.post(await ask(live), data={"choice": "change", "requested_date": requested})
    assert (page.status_code, "明日から1年以内" in page.text, "<form" in page.text) == (422, True, True)


@pytest.mark.parametrize("form", [{}, {"choice": "explode"}, {"choice": "refund"}])
async def test_an_invalid_option_is_asked_for_again(live: Live, form: dict[str, str]) -> None:
    page = await live.client.post(await ask(live), data=form)
    assert (page.status_code, await decisions(live)) == (422, [])


async def test_a_second_answer_is_refused_with_the_first_one(live: Live) -> None:
    link = await ask(live)
    await live.client.post(link, data={"choice": "wait"})
    second = await live.client.post(link, data={"choice": "cancel"})
    assert (second.status_code, "先にお選びいただいた内容" in second.text) == (409, True)
    assert len(await decisions(live)) == 1


async def test_a_superseded_question_is_closed(live: Live) -> None:
    link = await ask(live)
    await take(live, later().model_copy(update={"promised_ship_date": soon(20)}))
    page = await live.client.post(link, data={"choice": "cancel"})
    assert (page.status_code, "最新のメールのリンク" in page.text) == (409, True)


@pytest.mark.parametrize("token", ["nonsense", "WyJPLTEiXQ.aaaa", "a" * 3000])
async def test_a_link_that_is_not_ours_opens_nothing(live: Live, token: str) -> None:
    assert (await live.client.get(f"/c/{token}")).status_code == 404


async def test_a_link_that_is_too_old_opens_nothing(live: Live) -> None:
    await ask(live)
    question = (await live.service.pool.fetchval("SELECT facts ->> 'choice_id' FROM notices")) or ""

    token = LINKS.choice_token(ORDER, UUID(question), datetime.now(UTC) - timedelta(days=31))
    assert (await live.client.get(f"/c/{token}")).status_code == 404


async def test_the_page_is_not_stored_framed_or_followed(live: Live) -> None:
    headers = (await live.client.get(await ask(live))).headers
    assert (headers["cache-control"], headers["referrer-policy"]) == ("no-store", "same-origin")
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]


def test_a_link_signed_with_an_older_secret_still_opens() -> None:

    choice_id = uuid4()
    old = NoticeLinks("http://service", ["an-older-secret-for-tests"]).choice_token("O-1", choice_id, datetime.now(UTC))
    both = NoticeLinks("http://service", ["the-newest-secret-for-tests", "an-older-secret-for-tests"])
    assert both.read_choice(old).choice_id == choice_id


def test_a_link_signed_with_a_secret_that_was_dropped_is_refused() -> None:

    old = NoticeLinks("http://service", ["an-older-secret-for-tests"]).choice_token("O-1", uuid4(), datetime.now(UTC))
    with pytest.raises(LinkInvalidError):
        LINKS.read_choice(old)


HOME = {
    "name": "山田 花子",
    "postal_code": "5300001",
    "country": "jp",
    "city": "大阪市",
    "street": "梅田 1-1",
}


async def test_another_address_is_taken_and_never_published(live: Live) -> None:
    link = await ask(live)
    page = await live.client.post(link, data={"choice": "change", "change": "address", **HOME}, follow_redirects=True)
    assert "新しいお届け先を受け付けました" in page.text
    (event,) = await decisions(live)
    assert ('"address"' in event, "梅田" in event) == (True, False)
    choice_id = re.search(r'"choice_id": ?"([0-9a-f-]+)"', event)
    assert choice_id
    asked = await live.client.get(f"/v1/orders/{ORDER}/choices/{choice_id[1]}/address", headers=STOREFRONT)
    assert (asked.json()["street"], asked.json()["country"]) == ("梅田 1-1", "JP")


async def test_an_address_that_lacks_something_is_asked_for_again_as_it_was_filled_in(live: Live) -> None:
    form = {"choice": "change", "change": "address", **HOME, "street": ""}
    page = await live.client.post(await ask(live), data=form)
    assert (page.status_code, "番地をお書きください" in page.text, 'value="大阪市"' in page.text) == (422, True, True)
    assert await decisions(live) == []


async def test_another_item_is_taken(live: Live) -> None:
    link = await ask(live, Language.EN)
    form = {"choice": "change", "change": "item", "requested_sku": "the blue one"}
    page = await live.client.post(link, data=form, follow_redirects=True)
    assert "We have noted the item" in page.text
    assert ["the blue one" in event for event in await decisions(live)] == [True]


async def test_an_item_that_is_not_named_is_asked_for(live: Live) -> None:
    page = await live.client.post(await ask(live), data={"choice": "change", "change": "item"})
    assert (page.status_code, "お品を、商品名か品番で" in page.text) == (422, True)


async def test_what_was_filled_in_is_text_and_never_markup(live: Live) -> None:
    form = {"choice": "change", "change": "address", "name": '"><script>alert(1)</script>'}
    page = await live.client.post(await ask(live), data=form)
    assert "<script" not in page.text
