"""Replies of staff: their words reach the customer as one notice, in every state of the issue, until an erasure."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from deploy.local.mailbox import Mailbox
from libs.common.decisions.ids import derived_id
from libs.common.events import issues as ev
from libs.common.events.messages import MessageReplied
from libs.common.events.notices import NoticeKind
from libs.common.events.values import Language
from libs.common.http.signed_links import Purpose, SignedLinks
from libs.common.privacy.erasure import Erasure
from services.delivery_notify.domain.notices import NoticeCreated, NoticeFacts, ReplyTextRecorded
from services.delivery_notify.rendering.content import NoticeContent
from services.delivery_notify.store.erasure import erase, sweeps
from tests.conftest import MakeDatabase, execute_as_owner
from tests.delivery_notify.conversation_driver import CUSTOMER, ISSUE, MONDAY, ORDER, drive, issue, of, placed, reasons
from tests.delivery_notify.rendered_notices import RENDERER
from tests.delivery_notify.service import SECRETS, notifying, published, settled, take
from tests.delivery_notify.test_gifts import ALL, OWN, gift
from tests.delivery_notify.test_sender import order

WORDS = "蓋は無事です。\n<b>12 cm</b> & 300 ml"


def replied(**more: Any) -> MessageReplied:
    known = {"message_id": derived_id("reply", 1), "issue_id": ISSUE, "order_id": ORDER, "customer_id": CUSTOMER}
    return MessageReplied.model_validate({**known, "body": WORDS, "replied_at": MONDAY, **more})


def created(*events: Any) -> list[NoticeCreated]:
    notices = of(drive(*events).facts, NoticeCreated)
    return [notice for notice in notices if notice.kind == NoticeKind.STAFF_REPLY]


def test_a_reply_is_one_notice_however_often_it_is_read() -> None:
    assert len(created(placed(), issue(ev.IssueAccepted), replied(), replied())) == 1


def test_each_reply_is_a_notice_of_its_own() -> None:
    second = replied(message_id=derived_id("reply", 2), body="もう一通")
    assert len(created(placed(), issue(ev.IssueAccepted), replied(), second)) == 2


@pytest.mark.parametrize("end", [ev.IssueResolved, ev.IssueCancelled, ev.IssueRejected])
def test_a_reply_is_sent_also_after_the_issue_has_ended(end: type[Any]) -> None:
    assert len(created(placed(), issue(ev.IssueAccepted), issue(end), replied())) == 1


def test_a_reply_about_an_order_that_is_not_known_yet_waits_for_its_contact() -> None:
    assert len(created(replied())) == 1


def test_words_for_another_account_than_the_orders_are_not_sent() -> None:
    driver = drive(placed(), issue(ev.IssueAccepted))
    facts = driver.handle(replied(customer_id="C-2"))
    assert (of(facts, NoticeCreated), reasons(facts)) == ([], ["issue_of_another_customer"])


def test_the_words_are_not_among_the_facts_of_the_notice() -> None:
    driver = drive(placed(), issue(ev.IssueAccepted), replied())
    (notice,) = [each for each in of(driver.facts, NoticeCreated) if each.kind == NoticeKind.STAFF_REPLY]
    assert of(driver.facts, ReplyTextRecorded) == [ReplyTextRecorded(notice.notice_id, WORDS)]
    assert "12 cm" not in repr((driver.state, notice))


@pytest.mark.parametrize("recipient_notices", [OWN, ALL])
def test_a_reply_about_a_gift_goes_to_the_customer_whom_the_desk_shows(recipient_notices: Any) -> None:
    driver = gift(replied(), recipient_notices=recipient_notices)
    (notice,) = [each for each in of(driver.facts, NoticeCreated) if each.kind == NoticeKind.STAFF_REPLY]
    assert not notice.facts.for_recipient


def test_a_text_message_brings_the_words_themselves() -> None:
    content = NoticeContent(NoticeKind.STAFF_REPLY, ORDER, "山田 花子", Language.JA, NoticeFacts(reply=WORDS))
    assert WORDS in RENDERER.render(content).brief


@pytest.mark.parametrize("language", Language)
async def test_the_words_stand_in_both_parts_of_the_mail_and_on_the_page_for_staff(
    language: Language, database: MakeDatabase, smtp: Mailbox
) -> None:
    async with notifying(await database("delivery_notify"), smtp.url) as live:
        await take(live, order(language), replied())
        (mail,) = await smtp.wait_for(1)
        (notice,) = await settled(live)
        token = SignedLinks([SECRETS.partition(",")[0]]).token(
            Purpose.STAFF_NOTICE, datetime.now(UTC) + timedelta(minutes=5), str(notice["notice_id"])
        )
        page = await live.client.get(f"/staff/notices/{token}?as=html")
    text, html = (part.get_content() for part in mail.iter_parts())
    assert "蓋は無事です。\n\n<b>12 cm</b> & 300 ml\n" in text.replace("\r\n", "\n")
    for shown in (html, page.text):
        assert "&lt;b&gt;12 cm&lt;/b&gt; &amp; 300 ml" in shown


async def test_a_reply_whose_words_are_gone_is_not_sent_empty(database: MakeDatabase, smtp: Mailbox) -> None:
    lost = "CREATE TRIGGER lost BEFORE INSERT ON reply_texts FOR EACH ROW EXECUTE FUNCTION suppress_insert()"
    function = """
        CREATE FUNCTION suppress_insert() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;"""
    async with notifying(await database("delivery_notify"), smtp.url) as live:
        await execute_as_owner(live.service.settings.database_url, function + lost)
        await take(live, order(), replied())
        (notice,) = await settled(live)
        assert await published(live) == ["notice.failed.v1"]
    assert (notice["status"], smtp.messages) == ("failed", [])


async def test_the_words_are_deleted_with_the_customer(database: MakeDatabase) -> None:
    async with notifying(await database("delivery_notify")) as live:
        await take(live, order(), replied())
        await settled(live)
        async with live.service.transaction() as tx:
            assert await tx.conn.fetchval("SELECT count(*) FROM reply_texts") == 1
            await erase(tx.conn, Erasure(CUSTOMER, derived_id("erasure"), datetime.now(UTC) + timedelta(days=1)))
            assert await tx.conn.fetchval("SELECT count(*) FROM reply_texts") == 0


async def test_the_words_are_deleted_after_the_period_for_free_text(database: MakeDatabase) -> None:
    (sweep,) = [each for each in sweeps(400, 400, 30) if each.name == "words of replies"]
    async with notifying(await database("delivery_notify")) as live:
        await take(live, order(), replied())
        await settled(live)
        async with live.service.transaction() as tx:
            for at, left in ((datetime.now(UTC) - timedelta(days=1), 1), (datetime.now(UTC) + timedelta(days=1), 0)):
                await tx.conn.execute(sweep.statement, at, 100)
                assert await tx.conn.fetchval("SELECT count(*) FROM reply_texts") == left
