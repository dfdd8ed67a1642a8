"""Mails that ask for an answer: each about one issue or order has an address of its own, which intake reads."""

from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from uuid import UUID, uuid4

import pytest
from pydantic import ValidationError

from deploy.local.mailbox import Mailbox
from libs.common.http.reply_addresses import ReplyAddresses, order_digest
from services.delivery_notify.channels.channel import MessageDraft, RenderedMessage
from services.delivery_notify.channels.smtp import MailEncoder
from tests.conftest import MakeDatabase
from tests.delivery_notify.service import SECRETS, notifying, settled, take
from tests.delivery_notify.test_channel_factory import settings
from tests.delivery_notify.test_sender import later, order

ADDRESSES = ReplyAddresses(SECRETS.split(","), "reply.shop.example")


def written(issue_id: UUID | None, order_id: str | None, replies: ReplyAddresses | None = ADDRESSES) -> EmailMessage:
    encoder = MailEncoder(("Shop", "no-reply@shop.example"), ("Care", "care@shop.example"), replies)
    rendered = RenderedMessage("Your order", "text", "<p>text</p>")
    draft = MessageDraft(uuid4(), "Hanako", "h@example.jp", "ja", datetime.now(UTC), rendered, issue_id, order_id)
    return message_from_bytes(encoder.encode(draft).content, policy=policy.default)


def test_an_answer_to_a_mail_about_an_issue_goes_to_the_address_of_the_issue() -> None:
    issue_id = uuid4()
    mail = written(issue_id, "O-1")
    target = ADDRESSES.read([mail["Reply-To"]])
    assert target
    assert target.issue_id == issue_id
    assert mail["Reply-To"].addresses[0].display_name == "Care"


def test_mails_about_one_issue_are_one_thread() -> None:
    issue_id = uuid4()
    first, second = written(issue_id, "O-1"), written(issue_id, "O-1")
    assert first["References"] == second["References"] == f"<{ADDRESSES.of_issue(issue_id)}>"


def test_a_mail_about_an_order_without_an_issue_has_the_address_of_the_order() -> None:
    target = ADDRESSES.read([written(None, "O-1")["Reply-To"]])
    assert target
    assert target.order_digest == order_digest("O-1")


@pytest.mark.parametrize(
    ("order_id", "replies"), [(None, ADDRESSES), ("O-1", None)], ids=["several orders", "no domain"]
)
def test_other_mails_are_answered_to_the_mailbox_of_the_shop(
    order_id: str | None, replies: ReplyAddresses | None
) -> None:
    mail = written(None, order_id, replies)
    assert (mail["Reply-To"].addresses[0].addr_spec, mail["References"]) == ("care@shop.example", None)


async def test_a_sent_notice_has_the_address_of_its_order(database: MakeDatabase, smtp: Mailbox) -> None:
    async with notifying(await database("delivery_notify"), smtp.url, mail_reply_domain="reply.shop.example") as live:
        await take(live, order(), later())
        await settled(live)
    (mail,) = smtp.messages
    assert ADDRESSES.read([mail["Reply-To"]]) is not None


@pytest.mark.parametrize("domain", ["", "a b.example", "shop.example\r\nBcc: x@y.jp"])
def test_what_is_no_domain_is_refused(domain: str) -> None:
    with pytest.raises(ValidationError, match="must be a domain"):
        settings(mail_reply_domain=domain)
