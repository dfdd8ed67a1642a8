"""Parsers of calls and records return a value or raise their documented error, and nothing else.

Hypothesis generates random bytes and nearly valid inputs. Each call has a time limit; a slow parser would let one
caller occupy the service.
"""

import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

from hypothesis import example, given, settings
from hypothesis import strategies as st

from libs.common.events.registry import UndecodableError, decode, peek_type
from libs.common.events.values import Address
from libs.common.http.api_keys import ApiKeyAuth
from libs.common.http.signed_links import LinkInvalidError, Purpose, SignedLinks
from libs.common.http.standard_webhooks import WrongSignature, check_standard
from libs.common.messaging.dead_letters import text_headers, text_key
from libs.common.telemetry.trace_context import carrier_of
from services.delivery_notify.channels.http_channel import parse_retry_after
from services.delivery_notify.rendering.links import NoticeLinks
from services.intake.storefronts import shopify, standard
from services.intake.storefronts.signatures import check_shopify
from services.intake.storefronts.webhook_event import WebhookContentError
from services.returns.store.order_snapshots import address_hashes
from tests.examples import examples
from tests.intake.storefronts.calls import shop_order
from tests.security.broken_input import ROOT, broken, calm, only

SAMPLES = sorted((ROOT / "tests/contracts/samples").glob("*.json"))
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40)
jsons = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4)
)
header_text = st.text(st.characters(max_codepoint=255), max_size=200)


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
