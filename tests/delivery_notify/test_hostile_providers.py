"""Providers that answer anything: each message has an outcome with a short cause, and nothing raises."""

import json
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.utils import format_datetime
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.decisions.ids import derived_id
from services.delivery_notify.channels.channel import MessageDraft, RenderedMessage, SendOutcome, SendStatus
from services.delivery_notify.channels.http_channel import MAX_RETRY_AFTER, HttpChannel, parse_retry_after
from services.delivery_notify.channels.mail_answers import classify_answer, report_code
from services.delivery_notify.channels.smtp import MailEncoder
from tests.delivery_notify.test_http_channels import CHANNELS

EVERY = pytest.mark.parametrize("name", CHANNELS)
KEY = derived_id("notice", "hostile")
NOW = datetime(2027, 3, 1, tzinfo=UTC)


def channel_of(name: str) -> HttpChannel:
    channel = CHANNELS[name]("https://provider.example")
    assert isinstance(channel, HttpChannel)
    return channel


def classify(name: str, status: int, content: bytes, headers: dict[str, str] | None = None) -> SendOutcome:
    return channel_of(name).classify(httpx.Response(status, content=content, headers=headers))


def draft(**more: Any) -> MessageDraft:
    known = {"recipient_name": "山田 花子", "address": "hanako@example.jp", "language": "ja"}
    rendered = RenderedMessage("件名", "本文\n", "<p>本文</p>", "要約")
    return MessageDraft(**{"idempotency_key": KEY, "written_at": NOW, "rendered": rendered, **known, **more})


NESTED = b'{"errors": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
BODIES = [
    b"",
    b"\xff\xfe\x00",
    b"[" * 100_000,
    NESTED,
    b'{"code": "CB_VA01", "errors": 5}',
    b'{"code": "CB_VA01", "errors": [["a"]]}',
    b'{"code": ["CB_VA01"], "errors": {"record.notice_id.value": {}}}',
    b'{"ok": false, "error": {"a": 1}}',
    b'{"ok": false, "error": null}',
    b'{"ok": 1}',
]


@EVERY
@pytest.mark.parametrize("status", [200, 400, 409, 422, 429, 500])
def test_a_body_of_any_content_has_an_outcome(name: str, status: int) -> None:
    for body in BODIES:
        assert isinstance(classify(name, status, body), SendOutcome), body[:40]


@EVERY
@given(
    status=st.integers(200, 599), body=st.binary(max_size=60), wait=st.text(st.characters(codec="ascii"), max_size=20)
)
def test_an_answer_of_any_kind_has_an_outcome(name: str, status: int, body: bytes, wait: str) -> None:
    found = classify(name, status, body, {"Retry-After": wait.replace("\r", "").replace("\n", "")})
    assert found.retry_after is None or 0 <= found.retry_after <= MAX_RETRY_AFTER


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["ok", "error", "code", "errors", "message"]), inner, max_size=4)
    ),
)


@EVERY
@given(status=st.sampled_from([200, 400, 409, 429]), answer=_json)
def test_json_of_any_shape_has_an_outcome_with_a_short_cause(name: str, status: int, answer: Any) -> None:
    cause = classify(name, status, json.dumps(answer).encode()).cause or ""
    assert (len(cause) <= 100, cause.isprintable()) == (True, True)


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        ("channel_not_found", "slack: channel_not_found"),
        ("\u0000", "slack: unknown"),
        ("<@everyone> failed", "slack: unknown"),
        ("x" * 500, "slack: unknown"),
        (None, "slack: unknown"),
    ],
)
def test_an_error_of_slack_that_is_no_code_is_not_recorded(error: str | None, cause: str) -> None:
    assert classify("slack", 200, json.dumps({"ok": False, "error": error}).encode()).cause == cause


def test_an_error_about_another_shape_of_kintone_is_a_refusal() -> None:
    found = classify("kintone", 400, b'{"code": "CB_VA01", "errors": 5}')
    assert (found.status, found.cause) == (SendStatus.PERMANENT_FAILURE, "http 400")


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("0", 0.0),
        ("1.5", 1.5),
        ("-5", None),
        ("3600", 3600.0),
        ("3601", 3600.0),
        ("1e999", 3600.0),
        ("\u00b2".encode("latin-1").decode("latin-1"), None),
        ("", None),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 3600.0),
        ("Fri, 31 Dec 99999 23:59:59 GMT", None),
        ("Mon, 32 Foo 2027 99:99:99", None),
        ("Mon", None),
    ],
)
def test_a_wait_is_never_negative_and_never_longer_than_an_hour(header: str, seconds: float | None) -> None:
    assert parse_retry_after(httpx.Response(429, headers=[(b"Retry-After", header.encode("latin-1"))])) == seconds


def test_a_wait_until_a_date_is_counted_from_now() -> None:
    value = format_datetime(datetime.now(UTC) + timedelta(minutes=10), usegmt=True)
    found = parse_retry_after(httpx.Response(503, headers={"Retry-After": value}))
    assert found is not None
    assert 590 < found <= 600


@pytest.mark.parametrize(
    ("raised", "status"),
    [
        (httpx.ConnectError("refused"), SendStatus.CHANNEL_UNAVAILABLE),
        (httpx.ConnectTimeout("slow"), SendStatus.CHANNEL_UNAVAILABLE),
        (httpx.PoolTimeout("full"), SendStatus.CHANNEL_UNAVAILABLE),
        (httpx.ReadTimeout("slow"), SendStatus.TEMPORARY_FAILURE),
        (httpx.RemoteProtocolError("garbage"), SendStatus.TEMPORARY_FAILURE),
        (httpx.DecodingError("gzip"), SendStatus.TEMPORARY_FAILURE),
        (TimeoutError(), SendStatus.TEMPORARY_FAILURE),
    ],
)
async def test_a_connection_that_fails_at_any_step_has_an_outcome(raised: Exception, status: SendStatus) -> None:
    def fail(request: httpx.Request) -> httpx.Response:
        raise raised

    channel = channel_of("sms")
    channel._client = httpx.AsyncClient(transport=httpx.MockTransport(fail))
    (found,) = await channel.send([channel.encode(draft())], 5)
    await channel.close()
    assert (found.status, found.cause) == (status, f"connection: {type(raised).__name__}")


@given(code=st.integers(0, 599), answer=st.text(max_size=60), step=st.sampled_from(["recipient", "data", "size"]))
def test_a_mail_answer_of_any_text_has_an_outcome_without_that_text(code: int, answer: str, step: str) -> None:
    found = classify_answer(code, answer, step)
    assert found.status in (SendStatus.TEMPORARY_FAILURE, SendStatus.PERMANENT_FAILURE, SendStatus.CHANNEL_UNAVAILABLE)
    assert (found.cause or "").isascii()
    assert not found.invalid_address or found.status is SendStatus.PERMANENT_FAILURE


@given(status=st.text(max_size=20), diagnostic=st.text(max_size=40))
def test_the_code_of_a_report_is_always_one_of_rfc_3463(status: str, diagnostic: str) -> None:
    parts = report_code(status, diagnostic).split(".")
    assert (len(parts), parts[0] in "245") == (3, True)


@given(name=st.text(max_size=200), subject=st.text(max_size=400), text=st.text(max_size=100))
def test_a_mail_with_any_name_and_subject_is_one_that_parsers_read(name: str, subject: str, text: str) -> None:
    rendered = RenderedMessage(subject, text, f"<p>{text}</p>")
    content = MailEncoder(("Shop", "shop@example.jp")).encode(draft(recipient_name=name, rendered=rendered)).content
    head, _, _ = content.partition(b"\r\n\r\n")
    assert max(len(line) for line in head.split(b"\r\n")) <= 998
    parsed = message_from_bytes(content, policy=policy.SMTP)
    assert parsed.get_all("To") is not None
    assert (len(parsed.get_all("To") or ()), parsed["To"].addresses[-1].addr_spec) == (1, "hanako@example.jp")
    assert [part.get_content_type() for part in parsed.iter_parts()] == ["text/plain", "text/html"]


@EVERY
@given(text=st.text(max_size=100))
def test_a_message_with_any_text_can_be_encoded(name: str, text: str) -> None:
    encoded = channel_of(name).encode(draft(rendered=RenderedMessage(text, text, text, text)))
    assert isinstance(json.loads(encoded.content), dict)
