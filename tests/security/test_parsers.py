"""Parsers of external input return a value or raise their documented error, and nothing else.

Hypothesis generates random bytes and nearly valid inputs. Each call has a time limit; a slow parser would let one
sender block all.
"""

import contextlib
import io
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image

from deploy.demo.data import olist
from deploy.demo.data.csv_table import OrderFileError
from libs.common.events.registry import UndecodableError, decode, peek_type
from libs.common.events.values import Address, RawStatus
from libs.common.http.api_keys import ApiKeyAuth
from libs.common.http.signed_links import LinkInvalidError, Purpose, SignedLinks
from libs.common.http.standard_webhooks import WrongSignature, check_standard
from libs.common.messaging.dead_letters import text_headers, text_key
from libs.common.telemetry.trace_context import carrier_of
from services.delivery_notify.channels.bounce_reports import (
    InvalidMailReportError,
    notice_id_of,
    parse_reports,
)
from services.delivery_notify.channels.http_channel import parse_retry_after
from services.delivery_notify.rendering.links import NoticeLinks
from services.intake.evidence import decoder
from services.intake.storefronts import shopify, standard
from services.intake.storefronts.signatures import check_shopify
from services.intake.storefronts.webhook_event import WebhookContentError
from services.loyalty.settings import parse_rules
from services.returns.policy.carrier_statuses import translate_status
from services.returns.policy.policy_loader import parse_policy
from services.returns.policy.policy_versions import PolicyError
from services.returns.store.order_snapshots import address_hashes
from tests.examples import examples
from tests.intake.storefronts.calls import shop_order

SECONDS = 5.0
"""Far more than any of them needs, on a machine that does other things as well."""

ROOT = Path(__file__).parents[2]
SAMPLES = sorted((ROOT / "tests/contracts/samples").glob("*.json"))

calm = settings(max_examples=examples(150), deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None)

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40)
jsons = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4)
)
header_text = st.text(st.characters(max_codepoint=255), max_size=200)


def only(parse: Callable[[], Any], *allowed: type[Exception]) -> None:
    """Assert that it returns a value or raises one of these errors, in time."""
    began = time.monotonic()
    with contextlib.suppress(*allowed):
        parse()
    assert time.monotonic() - began < SECONDS


@st.composite
def broken(draw: st.DrawFn, whole: st.SearchStrategy[bytes]) -> bytes:
    """Return valid input with some bytes removed, changed or doubled."""
    text = bytearray(draw(whole))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, max(0, len(text) - 1)))
        until = min(len(text), at + draw(st.integers(0, 24)))
        text[at:until] = draw(st.sampled_from([b"", b"\x00", b'"', b"[" * 30, bytes(text[at:until]) * 2])) or draw(
            st.binary(max_size=8)
        )
    return bytes(text)


@st.composite
def changed(draw: st.DrawFn, whole: st.SearchStrategy[Any]) -> Any:
    """Return a valid document with one value at any depth changed or removed."""
    document = json.loads(json.dumps(draw(whole)))
    place = document
    while isinstance(place, dict | list) and place:
        key: Any = draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        inner = place[key]
        if not isinstance(inner, dict | list) or not inner or draw(st.booleans()):
            if draw(st.booleans()):
                place[key] = draw(jsons)
            else:
                del place[key]
            break
        place = inner
    return document


events = st.sampled_from(SAMPLES).map(lambda path: json.loads(path.read_text("utf-8")))


@calm
@given(st.binary(max_size=2000) | broken(events.map(lambda event: json.dumps(event).encode())))
@example(b"[" * 100_000)
@example(b'{"a":' * 100_000)
@example(b'{"specversion":"1.0","id":"' + b"9" * 100_000)
def test_a_record_is_an_event_or_undecodable(value: bytes) -> None:
    only(lambda: decode(value), UndecodableError)
    only(lambda: peek_type(value))


@calm
@given(changed(events))
def test_an_event_with_one_wrong_value_is_an_event_or_undecodable(event: Any) -> None:
    only(lambda: decode(json.dumps(event).encode()), UndecodableError)


@calm
@given(
    st.lists(st.tuples(st.text(max_size=30), st.none() | st.binary(max_size=100)), max_size=8), st.none() | st.binary()
)
def test_headers_and_keys_of_records_are_always_text(
    headers: list[tuple[str, bytes | None]], key: bytes | None
) -> None:
    only(lambda: json.dumps(text_headers(headers)).encode())
    only(lambda: carrier_of(text_headers(headers)))
    only(lambda: text_key(cast("Any", SimpleNamespace(key=key))).encode())


@calm
@given(
    st.dictionaries(
        st.sampled_from(["webhook-id", "webhook-timestamp", "webhook-signature", "x-shopify-hmac-sha256"]),
        header_text | st.integers().map(str) | st.just("v1,") | st.just("٣"),
    ),
    st.binary(max_size=300),
)
def test_a_signature_fits_or_is_wrong(headers: dict[str, str], body: bytes) -> None:
    secret = "whsec_" + "c2VjcmV0" * 4
    only(lambda: check_standard([secret], headers, body, datetime.now(UTC)), WrongSignature)
    only(lambda: check_shopify([secret], headers, body), WrongSignature)


orders = st.just(None).map(lambda _: shop_order())


@calm
@given(st.binary(max_size=500) | jsons.map(lambda value: json.dumps(value).encode()))
@example(b"[" * 100_000)
@example(b"1" * 10_000)
@example(b'{"type": "order.placed", "data": ' + b"1" * 10_000 + b"}")
@example(b'{"type": "order.placed", "data": {"order_id": "\\ud800"}}')
def test_a_standard_webhook_tells_a_fact_or_is_wrong(body: bytes) -> None:
    only(lambda: standard.read("msg_1", body), WebhookContentError)


@calm
@given(changed(events))
def test_a_standard_webhook_with_one_wrong_value_is_a_fact_or_wrong(event: Any) -> None:
    body = json.dumps({"type": event.get("type"), "data": event.get("data")}).encode()
    only(lambda: standard.read("msg_1", body), WebhookContentError)


TOPICS = ["orders/create", "orders/cancelled", "fulfillments/create", "fulfillments/update", "returns/request", "x"]


@settings(calm, max_examples=examples(400))
@given(st.sampled_from(TOPICS), changed(orders) | st.dictionaries(st.sampled_from(sorted(shop_order())), jsons))
def test_a_shopify_webhook_tells_facts_or_is_wrong(topic: str, content: dict[str, Any]) -> None:
    only(lambda: shopify.read(topic, content, "C-1"), WebhookContentError)
    only(lambda: shopify.order_named_by(topic, content), WebhookContentError)


@calm
@given(st.text(min_size=1, max_size=40), st.text(min_size=1, max_size=80), st.none() | st.text(max_size=80))
def test_a_carriers_word_means_something_or_nothing(source: str, code: str, detail: str | None) -> None:
    raw = RawStatus.model_construct(source=source, code=code, detail=detail)
    only(lambda: translate_status(raw))


def a_picture(form: str) -> bytes:
    file = io.BytesIO()
    picture = Image.new("RGB", (40, 30), "red")
    exif = picture.getexif()
    exif[0x0112], exif[0x010E] = 6, "a description"
    picture.save(file, form, exif=exif)
    return file.getvalue()


pictures = st.sampled_from([a_picture("JPEG"), a_picture("PNG"), a_picture("WEBP")])


@settings(calm, max_examples=examples(300))
@given(
    broken(pictures) | st.binary(max_size=300) | st.binary(max_size=300).map(lambda rest: a_picture("PNG")[:33] + rest)
)
@example(b"")
@example(b"\xff\xd8\xff\xe1\xff\xffExif\x00\x00MM\x00*")
def test_a_photo_is_prepared_or_refused_by_name(content: bytes) -> None:
    only(lambda: decoder.decode(content), decoder.RefusedError)


BOUNCE = b"""From: MAILER-DAEMON@mx.example
Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example

Final-Recipient: rfc822; hanako@example.jp
Action: failed
Status: 5.1.1
--b
Content-Type: message/rfc822

Message-ID: <6c1e9d3e-6ae4-4a53-b6c2-8f8f8d3d2a11@shop.example>
Subject: =?utf-8?b?5L6L?=

text
--b--
"""
COMPLAINT = BOUNCE.replace(b"delivery-status", b"feedback-report").replace(b"Action: failed", b"Feedback-Type: abuse")


@settings(calm, max_examples=examples(500))
@given(broken(st.sampled_from([BOUNCE, COMPLAINT])) | st.binary(max_size=500))
@example(b'Content-Type: multipart/report; boundary=""\n\n')
@example(b"Content-Type: " + b"multipart/mixed; boundary=b\n\n--b\nContent-Type: " * 500)
@example(BOUNCE.replace(b"message/delivery-status", b"message/feedback-report; charset=\xff\xfe"))
def test_a_returned_mail_is_a_report_or_is_not(raw: bytes) -> None:
    only(lambda: parse_reports(raw), InvalidMailReportError)


@pytest.mark.parametrize("name", [b"To", b"Content-Type", b"Content-Disposition", b"Message-ID"])
@pytest.mark.parametrize(
    "value", [b"(" * 9_000, b'"' * 9_000, b"<" * 9_000, b"a," * 5_000, b"text/plain;" + b"a*0*=x;" * 1_500]
)
def test_a_header_that_is_made_to_be_hard_to_read_costs_no_time(name: bytes, value: bytes) -> None:
    hard = name + b": " + value + b"\n"
    only(lambda: parse_reports(hard + BOUNCE), InvalidMailReportError)
    only(lambda: parse_reports(BOUNCE.replace(b"Action", hard + b"Action").replace(b"Subject", hard + b"Subject")))


def test_mails_in_mails_in_mails_are_no_report() -> None:
    nested = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(1_000))
    only(lambda: parse_reports(nested + BOUNCE), InvalidMailReportError)
    only(lambda: parse_reports(b"Content-Type: message/rfc822\n\n" * 2_000), InvalidMailReportError)


@calm
@given(st.text(max_size=100))
def test_a_message_id_names_a_notice_or_none(text: str) -> None:
    only(lambda: notice_id_of(text))


POLICY = (ROOT / "services/returns/policy/policy.toml").read_bytes()
AWARD = (ROOT / "services/loyalty/policy/award.toml").read_bytes()


@calm
@given(broken(st.just(POLICY)) | st.binary(max_size=200))
@example(b"a=" + b"[" * 20_000)
def test_a_policy_is_right_or_refused_by_name(text: bytes) -> None:
    only(lambda: parse_policy(text.decode(errors="replace")), PolicyError)


@calm
@given(broken(st.just(AWARD)) | st.binary(max_size=200))
@example(b"a=" + b"[" * 20_000)
def test_award_rules_are_right_or_refused_by_name(text: bytes) -> None:
    only(lambda: parse_rules(text.decode(errors="replace")), ValueError)


LINKS = SignedLinks(["a-secret-for-signing-links"])
SOON = datetime(2030, 1, 1, tzinfo=UTC)
tokens = st.sampled_from([LINKS.token(purpose, SOON, "a", "b") for purpose in Purpose])


@calm
@given(
    broken(tokens.map(str.encode)).map(lambda raw: raw.decode("latin-1")) | st.text(max_size=200),
    st.sampled_from(Purpose),
)
@example("." * 10_000, Purpose.STATUS)
def test_a_link_opens_or_is_invalid(token: str, purpose: Purpose) -> None:
    only(lambda: LINKS.read_until(purpose, token, datetime(2026, 1, 1, tzinfo=UTC)), LinkInvalidError)
    only(lambda: NoticeLinks("http://shop", ["a-secret-for-signing-links"]).read_choice(token), LinkInvalidError)


@calm
@example([], 10**17)
@given(st.lists(st.text(max_size=20), max_size=4), st.integers(-(10**30), 10**30) | st.text(max_size=5) | st.none())
def test_a_link_that_is_signed_but_says_nothing_right_is_invalid(subject: list[str], expires: Any) -> None:
    """Another version with the same secret might sign such a token."""
    token = str(LINKS._serializers[Purpose.CHOICE].dumps([*subject, expires]))
    only(lambda: LINKS.read(Purpose.CHOICE, token), LinkInvalidError)
    only(lambda: NoticeLinks("http://shop", ["a-secret-for-signing-links"]).read_choice(token), LinkInvalidError)


@calm
@given(st.fixed_dictionaries({name: st.text(max_size=50) for name in ("postal_code", "country", "street", "building")}))
def test_every_address_has_a_key_and_an_equal_one_the_same(parts: dict[str, str]) -> None:
    keys = (b"a-key-of-sixteen-bytes",)
    address, again = (Address.model_construct(None, **parts) for _ in range(2))
    only(lambda: address_hashes(keys, address))
    assert address_hashes(keys, address) == address_hashes(keys, again)


@calm
@given(header_text)
def test_a_wish_for_a_rest_is_seconds_or_nothing(value: str) -> None:
    only(lambda: parse_retry_after(cast("Any", SimpleNamespace(headers={"Retry-After": value}))))


@calm
@given(header_text)
def test_a_key_belongs_to_a_caller_or_to_nobody(key: str) -> None:
    assert ApiKeyAuth({"ops": ("a-key-of-sixteen-characters",)}).identify(key) is None


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("olist")


ITEMS = (
    b'"order_id","order_item_id","product_id","shipping_limit_date","price"\n'
    b'"o1","1","p1","2018-01-05 10:00:00","10.50"\n'
)
CUSTOMERS = (
    b'"customer_id","customer_unique_id","customer_zip_code_prefix","customer_city","customer_state"\n'
    b'"c1","u1","1","x","SP"\n'
)
ORDERS = (
    b'"order_id","customer_id","order_status","order_purchase_timestamp","order_delivered_carrier_date",'
    b'"order_delivered_customer_date","order_estimated_delivery_date"\n'
    b'"o1","c1","delivered","2018-01-01 10:00:00","2018-01-03 10:00:00","2018-01-09 10:00:00","2018-01-20 00:00:00"\n'
)


@calm
@given(which=st.sampled_from(["orders.csv", "order_items.csv", "customers.csv"]), data=st.data())
def test_a_folder_of_orders_is_read_or_the_row_is_named(which: str, data: st.DataObject, folder: Path) -> None:
    files = {"orders.csv": ORDERS, "order_items.csv": ITEMS, "customers.csv": CUSTOMERS}
    files[which] = data.draw(broken(st.just(files[which])))
    for name, content in files.items():
        (folder / name).write_bytes(content)
    only(lambda: olist.read(folder), OrderFileError)
