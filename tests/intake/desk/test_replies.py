"""Replies of staff to a customer: shown before they are sent, published once, and the end of the work of a message."""

import re
from typing import Any
from uuid import uuid4

import httpx
import pytest

from libs.common.events.messages import MessageReplied
from libs.common.events.notices import NoticeFailed, NoticeSuppressed
from libs.common.events.registry import decode
from tests.intake.desk.conftest import Desk, Staff
from tests.intake.desk.test_customer_mail import ADDRESSES, receive
from tests.intake.mail.mails import SHAPES, Mail
from tests.outbox import take_events
from tests.running import OPS

WORDS = "蓋は無事です。\n<b>12 cm</b> & 300 ml"


def fields(page: httpx.Response) -> dict[str, Any]:
    """Return the hidden fields of the preview."""
    found = re.findall(r'name="(message_id|version)" value="([^"]*)"', page.text)
    return {**dict(found), "reply": WORDS}


async def preview(desk: Desk, staff: Staff, text: str = WORDS) -> httpx.Response:
    return await staff.post(f"{desk.issue}/reply", reply=text)


async def replies(desk: Desk) -> list[MessageReplied]:
    rows = await desk.live.service.pool.fetch("SELECT value FROM outbox_records ORDER BY id, n")
    events = [decode(row["value"]).data for row in rows]
    return [event for event in events if isinstance(event, MessageReplied)]


async def customer_wrote(desk: Desk) -> None:
    await receive(desk, Mail(SHAPES["outlook"], to=ADDRESSES.of_issue(desk.case.ids["issue_id"])))


async def open_messages(desk: Desk) -> int:
    query = "SELECT count(*) FROM work_queue WHERE kind = 'message'"
    return int(await desk.live.service.pool.fetchval(query))


async def test_a_reply_is_shown_with_its_recipient_and_sent_when_confirmed(desk: Desk) -> None:
    hanako = await desk.as_("hanako")
    page = await preview(desk, hanako)
    assert (page.status_code, await replies(desk)) == (200, [])
    assert "&lt;b&gt;12 cm&lt;/b&gt; &amp; 300 ml" in page.text
    done = await hanako.post(f"{desk.issue}/reply/send", **fields(page))
    assert done.headers["location"] == f"{desk.issue}?done=reply"
    (reply,) = await replies(desk)
    assert (reply.body, str(reply.issue_id), reply.order_id) == (WORDS, str(desk.case.ids["issue_id"]), "SD-1")


async def test_the_work_of_all_messages_ends_with_the_reply(desk: Desk) -> None:
    await customer_wrote(desk)
    assert await open_messages(desk) == 1
    hanako = await desk.as_("hanako")
    await hanako.post(f"{desk.issue}/reply/send", **fields(await preview(desk, hanako)))
    assert await open_messages(desk) == 0
    page = (await hanako.get(desk.issue)).text
    assert "Our reply" in page
    assert "&lt;b&gt;12 cm&lt;/b&gt;" in page


async def test_a_button_pressed_twice_sends_one_reply(desk: Desk) -> None:
    hanako = await desk.as_("hanako")
    sent = fields(await preview(desk, hanako))
    for _ in range(2):
        assert (await hanako.post(f"{desk.issue}/reply/send", **sent)).status_code == 303
    assert len(await replies(desk)) == 1


async def test_a_reply_is_not_sent_where_the_customer_wrote_again_meanwhile(desk: Desk) -> None:
    hanako = await desk.as_("hanako")
    sent = fields(await preview(desk, hanako))
    await customer_wrote(desk)
    assert (await hanako.post(f"{desk.issue}/reply/send", **sent)).status_code == 409
    assert (await replies(desk), await open_messages(desk)) == ([], 1)


async def test_two_people_do_not_reply_at_the_same_time(desk: Desk) -> None:
    await preview(desk, await desk.as_("hanako"))
    assert (await preview(desk, await desk.as_("taro"))).status_code == 409


@pytest.mark.parametrize("text", ["", "  \n "])
async def test_an_empty_reply_is_asked_for_again(desk: Desk, text: str) -> None:
    page = await preview(desk, await desk.as_("hanako"), text)
    assert (page.status_code, "Please write the reply." in page.text) == (422, True)


async def test_a_character_that_no_database_stores_is_refused(desk: Desk) -> None:
    hanako = await desk.as_("hanako")
    sent = fields(await preview(desk, hanako)) | {"reply": "お返事\0です"}
    assert (await hanako.post(f"{desk.issue}/reply/send", **sent)).status_code == 422
    assert await replies(desk) == []


async def test_a_canned_response_is_filled_in_and_not_sent(desk: Desk) -> None:
    page = (await (await desk.as_("hanako")).get(f"{desk.issue}?response=en:thanks_for_photo")).text
    draft = page.partition('name="reply"')[2].partition("</textarea>")[0]
    assert "SD-1" in draft
    assert "$" not in draft
    assert await replies(desk) == []


@pytest.mark.parametrize("key", ["en:nothing", "xx:thanks_for_photo", "thanks_for_photo", ":"])
async def test_an_unknown_response_leaves_the_text_empty(desk: Desk, key: str) -> None:
    page = await (await desk.as_("hanako")).client.get(desk.issue, params={"response": key})
    assert page.status_code == 200
    assert "required></textarea>" in page.text


async def test_a_viewer_sees_no_form_to_reply(desk: Desk) -> None:
    assert "/reply" not in (await (await desk.as_("vera")).get(desk.issue)).text


async def test_a_help_desk_replies_over_http_once_per_key(desk: Desk) -> None:
    await customer_wrote(desk)
    path, key = f"/v1/issues/{desk.case.ids['issue_id']}/replies", {**OPS, "Idempotency-Key": "ticket-7"}
    written = await desk.live.service.pool.fetchval("SELECT message_id::text FROM customer_messages")
    body = {"staff": "zendesk", "text": WORDS, "answers": [written]}
    first, again = [await desk.live.client.post(path, json=body, headers=key) for _ in range(2)]
    assert (first.status_code, again.json()) == (202, first.json())
    assert len(await replies(desk)) == 1
    assert await open_messages(desk) == 0


async def test_a_reply_over_http_ends_the_work_of_no_message_that_it_does_not_answer(desk: Desk) -> None:
    await customer_wrote(desk)
    path, key = f"/v1/issues/{desk.case.ids['issue_id']}/replies", {**OPS, "Idempotency-Key": "ticket-9"}
    await desk.live.client.post(path, json={"staff": "zendesk", "text": WORDS}, headers=key)
    assert (len(await replies(desk)), await open_messages(desk)) == (1, 1)


async def mail_before_its_event(desk: Desk) -> None:
    """Receive a mail whose event nobody has read yet."""
    mail = Mail(SHAPES["outlook"], to=ADDRESSES.of_issue(desk.case.ids["issue_id"]))
    assert (await desk.live.client.post("/v1/mail", content=mail.render(), headers=OPS)).status_code == 202


async def read_events(desk: Desk) -> None:
    service = desk.live.service
    for event in await take_events(service.pool):
        if event.type == "issue.customer_wrote.v1":
            await service.execute(service.aggregates["timeline"], event)


async def test_a_mail_that_came_after_the_preview_stops_the_reply_before_its_event_is_read(desk: Desk) -> None:
    hanako = await desk.as_("hanako")
    sent = fields(await preview(desk, hanako))
    await mail_before_its_event(desk)
    page = await hanako.post(f"{desk.issue}/reply/send", **sent)
    assert (page.status_code, "12 cm" in page.text) == (409, True)


async def test_a_message_that_was_answered_does_not_become_work_when_its_event_is_read(desk: Desk) -> None:
    await mail_before_its_event(desk)
    hanako = await desk.as_("hanako")
    await hanako.post(f"{desk.issue}/reply/send", **fields(await preview(desk, hanako)))
    await read_events(desk)
    assert await open_messages(desk) == 0


@pytest.mark.parametrize("kind", ["failed", "suppressed"])
async def test_a_reply_that_did_not_arrive_is_work_until_staff_have_dealt_with_it(desk: Desk, kind: str) -> None:
    known = {"notice_id": uuid4(), "kind": "staff_reply", "order_id": "SD-1", "customer_id": "C-1"}
    about: dict[str, Any] = {**known, "issue_id": desk.case.ids["issue_id"], "cause": "no_channel_left"}
    now = desk.live.service.clock.now()
    fact = (
        NoticeFailed(**about, channel="email", failed_at=now)
        if kind == "failed"
        else NoticeSuppressed(**about, suppressed_at=now)
    )
    service = desk.live.service
    await service.execute(service.aggregates["timeline"], service.event(fact))
    hanako = await desk.as_("hanako")
    assert "A reply that did not arrive" in (await hanako.get("/desk/work/messages")).text
    assert "A reply that did not arrive" in (await hanako.get(desk.issue)).text
    await hanako.post(f"{desk.issue}/reply/send", **fields(await preview(desk, hanako)))
    assert await open_messages(desk) == 0


async def test_faults_of_a_reply_over_http_are_named(desk: Desk) -> None:
    key = {**OPS, "Idempotency-Key": "ticket-8"}
    unknown = await desk.live.client.post(
        f"/v1/issues/{uuid4()}/replies", json={"staff": "zendesk", "text": WORDS}, headers=key
    )
    assert (unknown.status_code, unknown.json()["code"]) == (404, "unknown_issue")
    path = f"/v1/issues/{desk.case.ids['issue_id']}/replies"
    faults = await desk.live.client.post(path, json={"text": " ", "to": "x"}, headers=key)
    assert faults.status_code == 422
    for field in ("staff", "text", "to"):
        assert field in faults.text
