"""Channels over HTTP against servers that follow the documents of the providers."""

import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime

import httpx
import pytest
from starlette.responses import JSONResponse, PlainTextResponse, Response

from libs.common.decisions.ids import derived_id
from libs.common.events.values import Language
from services.delivery_notify.channels.channel import Channel, MessageDraft, RenderedMessage, SendOutcome, SendStatus
from services.delivery_notify.channels.http_channel import MAX_RETRY_AFTER, classify_response
from services.delivery_notify.channels.kintone import kintone_channel
from services.delivery_notify.channels.line import line_channel
from services.delivery_notify.channels.slack import slack_bot_channel, slack_webhook_channel
from services.delivery_notify.channels.webhook import webhook_channel
from services.delivery_notify.channels.zendesk import zendesk_channel
from tests.delivery_notify.providers import (
    KINTONE_TOKEN,
    LINE_TOKEN,
    SIGNING_SECRET,
    SLACK_TOKEN,
    UNKNOWN_USER,
    ZENDESK_TOKEN,
    Providers,
    providers,
)
from tests.delivery_notify.rendered_notices import RENDERER, sample_notice

KEY = derived_id("notice", "http")
RENDERED = RENDERER.render(sample_notice("order delayed", Language.JA))

Open = Callable[[str], Channel]
CHANNELS: dict[str, Open] = {
    "line": lambda url: line_channel(LINE_TOKEN, url),
    "sms": lambda url: webhook_channel("sms", f"{url}/sms", [SIGNING_SECRET]),
    "slack": lambda url: slack_bot_channel(SLACK_TOKEN, "C-ops", url),
    "slack hook": lambda url: slack_webhook_channel(f"{url}/hook"),
    "zendesk": lambda url: zendesk_channel(url, "ops@shop.example", ZENDESK_TOKEN),
    "kintone": lambda url: kintone_channel(url, 7, KINTONE_TOKEN),
}
WRONG: dict[str, Open] = {
    "line": lambda url: line_channel("wrong", url),
    "sms": lambda url: webhook_channel("sms", f"{url}/sms", [SIGNING_SECRET[:-8] + "AAAAAAA="]),
    "slack": lambda url: slack_bot_channel("wrong", "C-ops", url),
    "zendesk": lambda url: zendesk_channel(url, "ops@shop.example", "wrong"),
    "kintone": lambda url: kintone_channel(url, 7, "wrong"),
}
IDEMPOTENT = [name for name in CHANNELS if "slack" not in name]
EVERY = pytest.mark.parametrize("name", CHANNELS)


@pytest.fixture
async def there() -> AsyncIterator[Providers]:
    async with providers() as found:
        yield found


async def send(channel: Channel, address: str = "U-hanako", times: int = 1) -> list[SendOutcome]:
    draft = MessageDraft(KEY, "山田 花子", address, "ja", datetime(2027, 3, 1, tzinfo=UTC), RENDERED)
    outcomes = [(await channel.send([channel.encode(draft)], 60.0))[0] for _ in range(times)]
    await channel.close()
    return outcomes


@EVERY
async def test_a_message_is_accepted(there: Providers, name: str) -> None:
    assert [outcome.status for outcome in await send(CHANNELS[name](there.url))] == [SendStatus.SENT]
    assert "発送日が2027年3月12日(金)に変わりました" in json.dumps(there.accepted, ensure_ascii=False)


@pytest.mark.parametrize("name", IDEMPOTENT)
async def test_the_same_message_again_is_one_message_to_the_provider(there: Providers, name: str) -> None:
    outcomes = await send(CHANNELS[name](there.url), times=2)
    assert ([outcome.status for outcome in outcomes], len(there.accepted)) == ([SendStatus.SENT] * 2, 1)


@pytest.mark.parametrize("name", WRONG)
async def test_refused_credentials_make_the_channel_unavailable(there: Providers, name: str) -> None:
    assert [outcome.status for outcome in await send(WRONG[name](there.url))] == [SendStatus.CHANNEL_UNAVAILABLE]


@pytest.mark.parametrize("name", ["line", "sms"])
async def test_an_unknown_recipient_is_an_invalid_address(there: Providers, name: str) -> None:
    (outcome,) = await send(CHANNELS[name](there.url), UNKNOWN_USER)
    assert (outcome.status, outcome.invalid_address) == (SendStatus.PERMANENT_FAILURE, True)


@EVERY
async def test_a_rate_limit_makes_the_channel_unavailable_for_a_while(there: Providers, name: str) -> None:
    there.answers.append(Response(status_code=429, headers={"Retry-After": "30"}))
    assert await send(CHANNELS[name](there.url)) == [SendOutcome(SendStatus.CHANNEL_UNAVAILABLE, "http 429", 30.0)]


@EVERY
async def test_a_server_error_is_retried(there: Providers, name: str) -> None:
    there.answers.append(Response(status_code=500))
    assert [outcome.status for outcome in await send(CHANNELS[name](there.url))] == [SendStatus.TEMPORARY_FAILURE]


@EVERY
async def test_an_unreachable_server_makes_the_channel_unavailable(name: str) -> None:
    assert [outcome.status for outcome in await send(CHANNELS[name]("http://127.0.0.1:1"))] == [
        SendStatus.CHANNEL_UNAVAILABLE
    ]


@EVERY
async def test_an_invalid_message_is_a_permanent_failure(there: Providers, name: str) -> None:
    there.answers.append(JSONResponse({"code": "x", "message": "no"}, 422))
    assert [outcome.status for outcome in await send(CHANNELS[name](there.url))] == [SendStatus.PERMANENT_FAILURE]


@EVERY
async def test_a_redirect_is_not_followed(there: Providers, name: str) -> None:
    there.answers.append(Response(status_code=307, headers={"Location": "http://169.254.169.254/"}))
    assert ([outcome.status for outcome in await send(CHANNELS[name](there.url))], there.calls) == (
        [SendStatus.CHANNEL_UNAVAILABLE],
        1,
    )


async def test_an_exhausted_monthly_quota_of_line_is_a_permanent_failure(there: Providers) -> None:
    there.answers.append(JSONResponse({"message": "You have reached your monthly limit."}, 429))
    assert [outcome.status for outcome in await send(CHANNELS["line"](there.url))] == [SendStatus.PERMANENT_FAILURE]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        ("channel_not_found", SendStatus.CHANNEL_UNAVAILABLE),
        ("msg_too_long", SendStatus.PERMANENT_FAILURE),
        ("internal_error", SendStatus.TEMPORARY_FAILURE),
    ],
)
async def test_an_error_of_slack_is_read_from_the_body(there: Providers, error: str, status: SendStatus) -> None:
    there.answers.append(JSONResponse({"ok": False, "error": error}))
    assert [outcome.status for outcome in await send(CHANNELS["slack"](there.url))] == [status]


async def test_another_invalid_field_of_kintone_is_no_duplicate(there: Providers) -> None:
    there.answers.append(JSONResponse({"code": "CB_VA01", "errors": {"record.subject.value": {}}}, 400))
    assert [outcome.status for outcome in await send(CHANNELS["kintone"](there.url))] == [SendStatus.PERMANENT_FAILURE]


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7.0), ("999999", MAX_RETRY_AFTER), ("Thu, 01 Jan 2004 00:00:00 GMT", 0.0), ("soon", None)],
)
async def test_retry_after_is_read_as_seconds_or_as_a_date(
    there: Providers, header: str, seconds: float | None
) -> None:
    there.answers.append(PlainTextResponse("", 429, {"Retry-After": header}))
    (outcome,) = await send(CHANNELS["sms"](there.url))
    assert outcome.retry_after == seconds


async def test_a_text_over_the_limit_of_line_is_replaced_by_the_brief(there: Providers) -> None:
    rendered = RENDERER.render(sample_notice("order delayed", recipient_name="長" * 5000))
    message = CHANNELS["line"](there.url).encode(MessageDraft(KEY, "", "U-1", "ja", datetime.now(UTC), rendered))
    assert json.loads(message.content)["messages"][0]["text"] == rendered.brief


@pytest.mark.parametrize(
    ("code", "headers", "status"),
    [
        (200, {}, SendStatus.SENT),
        (204, {}, SendStatus.SENT),
        (301, {}, SendStatus.CHANNEL_UNAVAILABLE),
        (400, {}, SendStatus.PERMANENT_FAILURE),
        (401, {}, SendStatus.CHANNEL_UNAVAILABLE),
        (403, {}, SendStatus.CHANNEL_UNAVAILABLE),
        (404, {}, SendStatus.CHANNEL_UNAVAILABLE),
        (408, {}, SendStatus.TEMPORARY_FAILURE),
        (409, {}, SendStatus.PERMANENT_FAILURE),
        (410, {}, SendStatus.CHANNEL_UNAVAILABLE),
        (422, {}, SendStatus.PERMANENT_FAILURE),
        (425, {}, SendStatus.TEMPORARY_FAILURE),
        (429, {}, SendStatus.CHANNEL_UNAVAILABLE),
        (500, {}, SendStatus.TEMPORARY_FAILURE),
        (503, {}, SendStatus.TEMPORARY_FAILURE),
        (503, {"Retry-After": "5"}, SendStatus.CHANNEL_UNAVAILABLE),
    ],
)
def test_each_status_code_has_one_meaning(code: int, headers: dict[str, str], status: SendStatus) -> None:
    assert classify_response(httpx.Response(code, headers=headers)).status is status


@pytest.mark.parametrize("body", ["[]", "null", '"text"', "no json", '{"errors": null, "code": "CB_VA01"}'])
async def test_a_malformed_answer_of_kintone_is_a_refusal(there: Providers, body: str) -> None:
    there.answers.append(PlainTextResponse(body, 400))
    assert [outcome.status for outcome in await send(CHANNELS["kintone"](there.url))] == [SendStatus.PERMANENT_FAILURE]


@pytest.mark.parametrize("body", ["[]", "null", '"text"', "no json"])
async def test_a_malformed_answer_of_slack_is_retried(there: Providers, body: str) -> None:
    there.answers.append(PlainTextResponse(body, 200))
    assert [outcome.status for outcome in await send(CHANNELS["slack"](there.url))] == [SendStatus.TEMPORARY_FAILURE]


async def test_a_slack_message_escapes_control_characters_and_is_cut_at_its_limit() -> None:
    rendered = RenderedMessage("<b> & c", "x" * 9000, "")
    draft = MessageDraft(KEY, "", "", "ja", datetime.now(UTC), rendered)
    text = json.loads(CHANNELS["slack hook"]("http://x").encode(draft).content)["text"]
    assert (text.startswith("*&lt;b&gt; &amp; c*"), len(text)) == (True, 4000)
