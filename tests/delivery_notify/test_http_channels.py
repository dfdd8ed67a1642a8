"""The ways out over HTTP, against servers that behave as the providers' documents say."""

import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime

import pytest
from starlette.responses import JSONResponse, PlainTextResponse, Response

from libs.common.decisions.ids import derived_id
from libs.common.events.values import Language
from services.delivery_notify.channels.channel import Channel, MessageDraft, SendOutcome, SendStatus
from services.delivery_notify.channels.http_channel import MAX_RETRY_AFTER
from services.delivery_notify.channels.kintone import kintone_channel
from services.delivery_notify.channels.line import line_channel
from services.delivery_notify.channels.slack import slack_bot_channel, slack_webhook_channel
from services.delivery_notify.channels.webhook import webhook_channel
from services.delivery_notify.channels.zendesk import zendesk_channel
from tests.delivery_notify.providers import (
    KINTONE_TOKEN,
    LINE_TOKEN,
    NOBODY,
    SIGNING_SECRET,
    SLACK_TOKEN,
    ZENDESK_TOKEN,
    Providers,
    providers,
)
from tests.delivery_notify.rendered_notices import RENDERER, letter

KEY = derived_id("notice", "http")
RENDERED = RENDERER.render(letter("order delayed", Language.JA))

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
async def test_a_message_is_taken(there: Providers, name: str) -> None:
    assert [outcome.status for outcome in await send(CHANNELS[name](there.url))] == [SendStatus.SENT]
    assert RENDERED.subject in json.dumps(there.taken, ensure_ascii=False)


@pytest.mark.parametrize("name", IDEMPOTENT)
async def test_the_same_message_again_is_one_message_to_the_provider(there: Providers, name: str) -> None:
    outcomes = await send(CHANNELS[name](there.url), times=2)
    assert ([outcome.status for outcome in outcomes], len(there.taken)) == ([SendStatus.SENT] * 2, 1)


@pytest.mark.parametrize("name", WRONG)
async def test_refused_credentials_are_a_fault_of_the_whole_way_out(there: Providers, name: str) -> None:
    assert [outcome.status for outcome in await send(WRONG[name](there.url))] == [SendStatus.CHANNEL_UNAVAILABLE]


@pytest.mark.parametrize("name", ["line", "sms"])
async def test_an_address_where_nobody_is_is_known_as_dead(there: Providers, name: str) -> None:
    (outcome,) = await send(CHANNELS[name](there.url), NOBODY)
    assert (outcome.status, outcome.invalid_address) == (SendStatus.PERMANENT_FAILURE, True)


@EVERY
async def test_too_many_calls_give_the_way_out_a_rest(there: Providers, name: str) -> None:
    there.answers.append(Response(status_code=429, headers={"Retry-After": "30"}))
    assert await send(CHANNELS[name](there.url)) == [SendOutcome(SendStatus.CHANNEL_UNAVAILABLE, "http 429", 30.0)]


@EVERY
async def test_a_fault_of_the_server_is_tried_again(there: Providers, name: str) -> None:
    there.answers.append(Response(status_code=500))
    assert [outcome.status for outcome in await send(CHANNELS[name](there.url))] == [SendStatus.TEMPORARY_FAILURE]


@EVERY
async def test_a_server_that_is_not_there_is_away(name: str) -> None:
    assert [outcome.status for outcome in await send(CHANNELS[name]("http://127.0.0.1:1"))] == [
        SendStatus.CHANNEL_UNAVAILABLE
    ]


@EVERY
async def test_a_message_it_cannot_take_is_refused(there: Providers, name: str) -> None:
    there.answers.append(JSONResponse({"code": "x", "message": "no"}, 422))
    assert [outcome.status for outcome in await send(CHANNELS[name](there.url))] == [SendStatus.PERMANENT_FAILURE]


@EVERY
async def test_a_redirect_is_not_followed(there: Providers, name: str) -> None:
    there.answers.append(Response(status_code=307, headers={"Location": "http://169.254.169.254/"}))
    assert ([outcome.status for outcome in await send(CHANNELS[name](there.url))], there.calls) == (
        [SendStatus.CHANNEL_UNAVAILABLE],
        1,
    )


async def test_a_month_whose_messages_are_used_up_is_no_matter_of_waiting(there: Providers) -> None:
    there.answers.append(JSONResponse({"message": "You have reached your monthly limit."}, 429))
    assert [outcome.status for outcome in await send(CHANNELS["line"](there.url))] == [SendStatus.PERMANENT_FAILURE]


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        ("channel_not_found", SendStatus.CHANNEL_UNAVAILABLE),
        ("msg_too_long", SendStatus.PERMANENT_FAILURE),
        ("internal_error", SendStatus.TEMPORARY_FAILURE),
    ],
)
async def test_slack_answers_200_and_says_no_in_the_body(there: Providers, error: str, verdict: SendStatus) -> None:
    there.answers.append(JSONResponse({"ok": False, "error": error}))
    assert [outcome.status for outcome in await send(CHANNELS["slack"](there.url))] == [verdict]


async def test_another_field_that_kintone_refuses_is_no_sign_of_an_earlier_record(there: Providers) -> None:
    there.answers.append(JSONResponse({"code": "CB_VA01", "errors": {"record.subject.value": {}}}, 400))
    assert [outcome.status for outcome in await send(CHANNELS["kintone"](there.url))] == [SendStatus.PERMANENT_FAILURE]


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7.0), ("999999", MAX_RETRY_AFTER), ("Thu, 01 Jan 2004 00:00:00 GMT", 0.0), ("soon", None)],
)
async def test_a_rest_is_read_as_seconds_or_as_a_date(there: Providers, header: str, seconds: float | None) -> None:
    there.answers.append(PlainTextResponse("", 429, {"Retry-After": header}))
    (outcome,) = await send(CHANNELS["sms"](there.url))
    assert outcome.retry_after == seconds


async def test_a_text_that_is_too_long_for_line_is_told_in_brief(there: Providers) -> None:
    channel = CHANNELS["line"](there.url)
    long = MessageDraft(
        KEY, "", "U-1", "ja", datetime.now(UTC), RENDERER.render(letter("order delayed", name="長" * 5000))
    )
    assert json.loads(channel.encode(long).content)["messages"][0]["text"] == long.rendered.brief
