"""Signatures: published test vectors, and every near miss."""

import base64
import hashlib
import hmac
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from libs.common.http.standard_webhooks import WebhookSecrets, WrongSignature, check_standard
from services.intake.settings import ShopifySecrets
from services.intake.storefronts.signatures import check_shopify
from tests.intake.storefronts.calls import OLD_SECRET, SECRET, signed

# The test vector of the Standard Webhooks libraries (github.com/standard-webhooks/standard-webhooks, the test of `sign`
# in every language).
VECTOR = {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": "1614265330",
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}
BODY = b'{"test": 2432232314}'
NOW = datetime.fromtimestamp(1614265330, UTC)

# The Shopify vector of SQLPage's tests (github.com/sqlpage/SQLPage, `sqlpage.hmac` on a Shopify webhook).
SHOPIFY_BODY = b'{"id":1234567890,"email":"customer@example.com","total_price":"123.45"}'
SHOPIFY_SECRET = "test-webhook-secret"
SHOPIFY = {"x-shopify-hmac-sha256": "QNyObTlKbMx2qDlPF/ZOZcBqg5OgPg+2oky3zldc0Gw="}


def standard_code(headers: dict[str, str], body: bytes = BODY, *secrets: str, now: datetime = NOW) -> str:
    with pytest.raises(WrongSignature) as caught:
        check_standard(secrets or (SECRET,), headers, body, now)
    return caught.value.code


def test_the_published_standard_webhook_is_taken() -> None:
    assert check_standard([SECRET], VECTOR, BODY, NOW) == "msg_p5jXN8AQM9LWM0D4loKWxJek"


def test_the_published_shopify_webhook_is_taken() -> None:
    check_shopify([SHOPIFY_SECRET], SHOPIFY, SHOPIFY_BODY)


def test_the_digest_under_both_is_that_of_rfc_4231() -> None:
    """RFC 4231, test case 2: the same HMAC-SHA256, by way of Shopify's header."""
    digest = bytes.fromhex("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
    header = {"x-shopify-hmac-sha256": base64.b64encode(digest).decode()}
    check_shopify(["Jefe"], header, b"what do ya want for nothing?")


@pytest.mark.parametrize("secrets", [(SECRET, OLD_SECRET), (OLD_SECRET, SECRET)])
def test_with_several_secrets_any_of_them_fits(secrets: tuple[str, ...]) -> None:
    for secret in secrets:
        assert check_standard(secrets, signed(BODY, NOW, secret=secret), BODY, NOW) == "msg_1"
    check_shopify(["the-newer-secret-of-two", SHOPIFY_SECRET], SHOPIFY, SHOPIFY_BODY)


def test_with_several_signatures_any_of_them_fits() -> None:
    """During a change of its secret a storefront signs with both; unknown versions are skipped."""
    several = f"v1a,AAAA v1,{base64.b64encode(bytes(32)).decode()} {VECTOR['webhook-signature']}"
    check_standard([SECRET], {**VECTOR, "webhook-signature": several}, BODY, NOW)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"webhook-signature": ""}, "signature_missing"),
        ({"webhook-id": ""}, "signature_missing"),
        ({"webhook-timestamp": ""}, "signature_missing"),
        ({"webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OF="}, "invalid_signature"),
        ({"webhook-signature": "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="}, "invalid_signature"),
        ({"webhook-signature": "v2,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="}, "invalid_signature"),
        ({"webhook-signature": "v1,,, ,v1 é"}, "invalid_signature"),
        ({"webhook-id": "msg_other"}, "invalid_signature"),
        ({"webhook-id": "a.b"}, "invalid_webhook_id"),
        ({"webhook-timestamp": "1614265331"}, "invalid_signature"),
        ({"webhook-timestamp": "yesterday"}, "invalid_timestamp"),
        ({"webhook-timestamp": "-5"}, "invalid_timestamp"),
        ({"webhook-timestamp": "1614265330.5"}, "invalid_timestamp"),
        ({"webhook-timestamp": "9" * 30}, "invalid_timestamp"),
    ],
)
def test_a_standard_webhook_that_is_not_quite_right_is_refused_by_name(change: dict[str, str], code: str) -> None:
    assert standard_code({**VECTOR, **change}) == code


def test_another_body_or_another_secret_does_not_fit() -> None:
    assert standard_code(VECTOR, BODY + b" ") == "invalid_signature"
    assert standard_code(VECTOR, b"\xff") == "invalid_signature"
    assert standard_code(VECTOR, BODY, OLD_SECRET) == "invalid_signature"


@pytest.mark.parametrize("minutes", [-6, 6, 60 * 24])
def test_a_signed_webhook_of_another_time_is_stale(minutes: int) -> None:
    assert standard_code(VECTOR, now=NOW + timedelta(minutes=minutes)) == "stale_timestamp"


@pytest.mark.parametrize("minutes", [-5, 0, 5])
def test_a_clock_that_is_a_little_off_does_not_matter(minutes: int) -> None:
    check_standard([SECRET], VECTOR, BODY, NOW + timedelta(minutes=minutes))


@pytest.mark.parametrize("header", ["", "AAAA", "é", "QNyObTlKbMx2qDlPF/ZOZcBqg5OgPg+2oky3zldc0GW="])
def test_a_shopify_webhook_that_is_not_quite_right_is_refused(header: str) -> None:
    with pytest.raises(WrongSignature):
        check_shopify([SHOPIFY_SECRET], {"x-shopify-hmac-sha256": header}, SHOPIFY_BODY)


@given(st.text(max_size=80), st.text(max_size=40), st.text(max_size=12), st.binary(max_size=60))
def test_whatever_comes_is_refused_and_nothing_breaks(signature: str, id: str, at: str, body: bytes) -> None:
    headers = {"webhook-id": id, "webhook-timestamp": at, "webhook-signature": signature}
    with pytest.raises(WrongSignature):
        check_standard([SECRET], headers, body, NOW)
    with pytest.raises(WrongSignature):
        check_shopify([SHOPIFY_SECRET], {"x-shopify-hmac-sha256": signature}, body)


@given(st.binary(max_size=200), st.text(min_size=16, max_size=40))
def test_what_is_rightly_signed_is_taken(body: bytes, secret: str) -> None:
    digest = hmac.new(secret.encode(), body, hashlib.sha256).digest()
    check_shopify([secret], {"x-shopify-hmac-sha256": base64.b64encode(digest).decode()}, body)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "secret",
        "whsec_",
        "whsec_abc",
        "whsec_" + "A" * 200,
        SECRET.removeprefix("whsec_"),
        SECRET + ",",
        "whsec_!!!",
    ],
)
def test_wrong_webhook_secrets_are_refused_at_start(text: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(WebhookSecrets).validate_python(text)


@pytest.mark.parametrize("text", ["", "short", "long-enough-to-be-taken,", "long-enough-to-be-taken,short"])
def test_wrong_shopify_secrets_are_refused_at_start(text: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(ShopifySecrets).validate_python(text)


def test_right_secrets_are_read_and_never_shown() -> None:
    found = TypeAdapter(WebhookSecrets).validate_python(f"{SECRET}, {OLD_SECRET}")
    assert [secret.get_secret_value() for secret in found] == [SECRET, OLD_SECRET]
    assert SECRET not in repr(found)
