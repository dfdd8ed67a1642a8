"""The ways out over HTTP, against servers that behave as the providers' documents say."""

import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime

import pytest
from starlette.responses import JSONResponse, PlainTextResponse, Response

from libs.common.decisions.ids import derived_id
from libs.common.events.values import Language
from services.delivery_notify.channels.channel import Channel, Draft, Outcome, Verdict
from services.delivery_notify.channels.http_channel import LONGEST_WAIT
from services.delivery_notify.channels.kintone import open_kintone
from services.delivery_notify.channels.line import open_line
from services.delivery_notify.channels.slack import open_slack, open_slack_hook
from services.delivery_notify.channels.webhook import open_webhook
from services.delivery_notify.channels.zendesk import open_zendesk
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
    "line": lambda url: open_line(LINE_TOKEN, url),
    "sms": lambda url: open_webhook("sms", f"{url}/sms", [SIGNING_SECRET]),
    "slack": lambda url: open_slack(SLACK_TOKEN, "C-ops", url),
    "slack hook": lambda url: open_slack_hook(f"{url}/hook"),
    "zendesk": lambda url: open_zendesk(url, "ops@shop.example", ZENDESK_TOKEN),
    "kintone": lambda url: open_kintone(url, 7, KINTONE_TOKEN),
}
WRONG: dict[str, Open] = {
    "line": lambda url: open_line("wrong", url),
    "sms": lambda url: open_webhook("sms", f"{url}/sms", [SIGNING_SECRET[:-8] + "AAAAAAA="]),
    "slack": lambda url: open_slack("wrong", "C-ops", url),
    "zendesk": lambda url: open_zendesk(url, "ops@shop.example", "wrong"),
    "kintone": lambda url: open_kintone(url, 7, "wrong"),
}
IDEMPOTENT = [name for name in CHANNELS if "slack" not in name]
EVERY = pytest.mark.parametrize("name", CHANNELS)


@pytest.fixture
async def there() -> AsyncIterator[Providers]:
    async with providers() as found:
        yield found


async def send(channel: Channel, address: str = "U-hanako", times: int = 1) -> list[Outcome]:
    draft = Draft(KEY, "山田 花子", address, "ja", datetime(2027, 3, 1, tzinfo=UTC), RENDERED)
    outcomes = [(await channel.send([channel.write(draft)], 60.0))[0] for _ in range(times)]
    await channel.close()
    return outcomes


@EVERY
async def test_a_message_is_taken(there: Providers, name: str) -> None:
    assert [outcome.verdict for outcome in await send(CHANNELS[name](there.url))] == [Verdict.SENT]
    assert RENDERED.subject in json.dumps(there.taken, ensure_ascii=False)


@pytest.mark.parametrize("name", IDEMPOTENT)
async def test_the_same_message_again_is_one_message_to_the_provider(there: Providers, name: str) -> None:
    outcomes = await send(CHANNELS[name](there.url), times=2)
    assert ([outcome.verdict for outcome in outcomes], len(there.taken)) == ([Verdict.SENT] * 2, 1)


@pytest.mark.parametrize("name", WRONG)
async def test_refused_credentials_are_a_fault_of_the_whole_way_out(there: Providers, name: str) -> None:
    assert [outcome.verdict for outcome in await send(WRONG[name](there.url))] == [Verdict.AWAY]


@pytest.mark.parametrize("name", ["line", "sms"])
async def test_an_address_where_nobody_is_is_known_as_dead(there: Providers, name: str) -> None:
    (outcome,) = await send(CHANNELS[name](there.url), NOBODY)
    assert (outcome.verdict, outcome.dead_address) == (Verdict.REFUSED, True)


@EVERY
async def test_too_many_calls_give_the_way_out_a_rest(there: Providers, name: str) -> None:
    there.answers.append(Response(status_code=429, headers={"Retry-After": "30"}))
    assert await send(CHANNELS[name](there.url)) == [Outcome(Verdict.AWAY, "http 429", 30.0)]


@EVERY
async def test_a_fault_of_the_server_is_tried_again(there: Providers, name: str) -> None:
    there.answers.append(Response(status_code=500))
    assert [outcome.verdict for outcome in await send(CHANNELS[name](there.url))] == [Verdict.LATER]


@EVERY
async def test_a_server_that_is_not_there_is_away(name: str) -> None:
    assert [outcome.verdict for outcome in await send(CHANNELS[name]("http://127.0.0.1:1"))] == [Verdict.AWAY]


@EVERY
async def test_a_message_it_cannot_take_is_refused(there: Providers, name: str) -> None:
    there.answers.append(JSONResponse({"code": "x", "message": "no"}, 422))
    assert [outcome.verdict for outcome in await send(CHANNELS[name](there.url))] == [Verdict.REFUSED]


@EVERY
async def test_a_redirect_is_not_followed(there: Providers, name: str) -> None:
    there.answers.append(Response(status_code=307, headers={"Location": "http://169.254.169.254/"}))
    assert ([outcome.verdict for outcome in await send(CHANNELS[name](there.url))], there.calls) == ([Verdict.AWAY], 1)


async def test_a_month_whose_messages_are_used_up_is_no_matter_of_waiting(there: Providers) -> None:
    there.answers.append(JSONResponse({"message": "You have reached your monthly limit."}, 429))
    assert [outcome.verdict for outcome in await send(CHANNELS["line"](there.url))] == [Verdict.REFUSED]


@pytest.mark.parametrize(
    ("error", "verdict"),
    [("channel_not_found", Verdict.AWAY), ("msg_too_long", Verdict.REFUSED), ("internal_error", Verdict.LATER)],
)
async def test_slack_answers_200_and_says_no_in_the_body(there: Providers, error: str, verdict: Verdict) -> None:
    there.answers.append(JSONResponse({"ok": False, "error": error}))
    assert [outcome.verdict for outcome in await send(CHANNELS["slack"](there.url))] == [verdict]


async def test_another_field_that_kintone_refuses_is_no_sign_of_an_earlier_record(there: Providers) -> None:
    there.answers.append(JSONResponse({"code": "CB_VA01", "errors": {"record.subject.value": {}}}, 400))
    assert [outcome.verdict for outcome in await send(CHANNELS["kintone"](there.url))] == [Verdict.REFUSED]


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7.0), ("999999", LONGEST_WAIT), ("Thu, 01 Jan 2004 00:00:00 GMT", 0.0), ("soon", None)],
)
async def test_a_rest_is_read_as_seconds_or_as_a_date(there: Providers, header: str, seconds: float | None) -> None:
    there.answers.append(PlainTextResponse("", 429, {"Retry-After": header}))
    (outcome,) = await send(CHANNELS["sms"](there.url))
    assert outcome.retry_after == seconds


async def test_a_text_that_is_too_long_for_line_is_told_in_brief(there: Providers) -> None:
    channel = CHANNELS["line"](there.url)
    long = Draft(KEY, "", "U-1", "ja", datetime.now(UTC), RENDERER.render(letter("order delayed", name="長" * 5000)))
    assert json.loads(channel.write(long).content)["messages"][0]["text"] == long.rendered.brief
