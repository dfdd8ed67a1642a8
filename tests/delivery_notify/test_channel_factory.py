"""Channels from settings: which are created, and which settings are refused."""

from typing import Any

import pytest
from pydantic import ValidationError

from services.delivery_notify.channels.channel import Channel, DiscardChannel
from services.delivery_notify.channels.factory import customer_channels, staff_channel
from services.delivery_notify.channels.http_channel import HttpChannel
from services.delivery_notify.channels.settings import ChannelSettings
from services.delivery_notify.channels.smtp import SmtpChannel
from tests.delivery_notify.providers import SIGNING_SECRET

SMS = {"sms_webhook_url": "https://sms.example/send", "sms_webhook_secret": SIGNING_SECRET}
ZENDESK = {"zendesk_url": "https://shop.zendesk.com/", "zendesk_email": "ops@shop.example", "zendesk_token": "t"}
KINTONE = {"kintone_url": "https://shop.cybozu.com", "kintone_app": 7, "kintone_token": "t"}
SLACK_BOT = {"slack_token": "xoxb", "slack_channel": "C-ops"}
SLACK_WEBHOOK = {"slack_webhook_url": "https://hooks.slack.com/x"}


def settings(**changes: Any) -> ChannelSettings:
    return ChannelSettings.model_validate(
        {
            "database_url": "postgresql://x",
            "kafka_bootstrap_servers": "127.0.0.1:1",
            "smtp_url": "discard://",
            "mail_from": "さきだし商店 <shop@example.jp>",
            **changes,
        }
    )


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ({}, ["email"]),
        ({"line_access_token": "t"}, ["email", "line"]),
        (SMS, ["email", "sms"]),
        ({"line_access_token": "t", **SMS}, ["email", "line", "sms"]),
    ],
)
def test_a_customer_channel_exists_once_it_is_configured(given: dict[str, Any], names: list[str]) -> None:
    assert list(customer_channels(settings(**given))) == names


@pytest.mark.parametrize(
    ("url", "kind"), [("discard://", DiscardChannel), ("smtp://mx:25", SmtpChannel), ("smtps://mx", SmtpChannel)]
)
def test_the_mail_channel_follows_from_the_scheme_of_its_url(url: str, kind: type[Channel]) -> None:
    assert type(customer_channels(settings(smtp_url=url))["email"]) is kind


def test_without_a_staff_channel_there_is_none() -> None:
    assert staff_channel(settings()) is None


@pytest.mark.parametrize(
    ("given", "url", "recipient"),
    [
        ({"staff_channel": "slack", **SLACK_WEBHOOK}, "https://hooks.slack.com/x", ""),
        ({"staff_channel": "slack", **SLACK_BOT}, "https://slack.com/api/chat.postMessage", "C-ops"),
        ({"staff_channel": "slack", **SLACK_BOT, **SLACK_WEBHOOK}, "https://hooks.slack.com/x", ""),
        ({"staff_channel": "zendesk", **ZENDESK}, "https://shop.zendesk.com/api/v2/tickets.json", ""),
        ({"staff_channel": "kintone", **KINTONE}, "https://shop.cybozu.com/k/v1/record.json", ""),
    ],
)
def test_the_staff_channel_is_the_one_that_is_chosen(given: dict[str, Any], url: str, recipient: str) -> None:
    found = staff_channel(settings(**given))
    assert found is not None
    assert isinstance(found[0], HttpChannel)
    assert (found[0].url, found[1]) == (url, recipient)


@pytest.mark.parametrize(
    ("staff_mail", "address"),
    [
        ("ops@shop.example", "ops@shop.example"),
        ("Night shift <ops@shop.example>", "ops@shop.example"),
        ("運用 <ops@例え.テスト>", "ops@xn--r8jz45g.xn--zckzah"),
    ],
)
def test_staff_notices_by_mail_go_to_the_staff_address_without_its_name(staff_mail: str, address: str) -> None:
    found = staff_channel(settings(staff_channel="email", staff_mail=staff_mail))
    assert found is not None
    assert found[1] == address


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"sms_webhook_url": SMS["sms_webhook_url"]}, "SMS_WEBHOOK_URL and SMS_WEBHOOK_SECRET"),
        ({"sms_webhook_secret": SIGNING_SECRET}, "SMS_WEBHOOK_URL and SMS_WEBHOOK_SECRET"),
        ({"staff_channel": "email"}, "STAFF_CHANNEL=email requires STAFF_MAIL"),
        ({"staff_channel": "slack"}, "STAFF_CHANNEL=slack requires SLACK_WEBHOOK_URL"),
        ({"staff_channel": "slack", "slack_token": "t"}, "SLACK_TOKEN and SLACK_CHANNEL"),
        ({"staff_channel": "zendesk", **ZENDESK, "zendesk_email": None}, "requires ZENDESK_EMAIL"),
        ({"staff_channel": "kintone"}, "requires KINTONE_URL, KINTONE_APP, KINTONE_TOKEN"),
        ({"staff_channel": "pigeon"}, "staff_channel"),
        ({"smtp_url": "http://mx"}, "discard:// to send nothing"),
        ({"smtp_url": "smtp://"}, "discard:// to send nothing"),
        ({"mail_from": "Shop"}, "must be a mail address"),
        ({"mail_from": "Shop <no-reply@example.jp>"}, "REPLY_TO: mails ask for replies"),
        ({"mail_from": "noreply+orders@example.jp"}, "REPLY_TO: mails ask for replies"),
        ({"quiet_from_hour": 24}, "quiet_from_hour"),
        ({"max_messages_per_day": 0}, "max_messages_per_day"),
        ({"line_api_url": "ftp://line"}, "line_api_url"),
    ],
)
def test_incomplete_settings_are_refused_with_what_is_missing(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        settings(**given)


@pytest.mark.parametrize(
    ("mail_from", "shop_name", "sender"),
    [
        ("さきだし商店 <shop@example.jp>", None, ("さきだし商店", "shop@example.jp")),
        ("さきだし商店 <shop@example.jp>", "Sakidashi", ("Sakidashi", "shop@example.jp")),
        ("shop@example.jp", None, ("shop@example.jp", "shop@example.jp")),
    ],
)
def test_the_sender_is_the_shop(mail_from: str, shop_name: str | None, sender: tuple[str, str]) -> None:
    assert settings(mail_from=mail_from, shop_name=shop_name).sender_mailbox == sender


@pytest.mark.parametrize(
    ("given", "mailbox"),
    [
        ({}, None),
        ({"reply_to": "care@example.jp"}, ("Shop", "care@example.jp")),
        (
            {"reply_to": "Care <care@example.jp>", "mail_from": "Shop <no-reply@example.jp>"},
            ("Care", "care@example.jp"),
        ),
    ],
)
def test_replies_go_to_the_mailbox_of_the_shop(given: dict[str, str], mailbox: tuple[str, str] | None) -> None:
    assert settings(**{"mail_from": "Shop <shop@example.jp>", **given}).reply_mailbox == mailbox
