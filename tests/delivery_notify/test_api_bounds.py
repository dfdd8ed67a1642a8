"""Odd input on every route of delivery_notify: refused with a 4xx that names the field, never a fault of ours."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from libs.common.http.signed_links import Purpose, SignedLinks
from services.delivery_notify.store.preferences import suppress_addresses
from tests.conftest import MakeDatabase
from tests.delivery_notify.conversation_driver import ORDER
from tests.delivery_notify.service import notifying, settled, take
from tests.delivery_notify.test_choice_page import ask, decisions
from tests.delivery_notify.test_sender import later, order
from tests.running import OPS, STOREFRONT, Live

CUSTOMER = "/v1/customers/C-1/preferences"
UNKNOWN = "8f1a4d0e-3d4b-5c6a-9b2f-2a1f0c9e7d11"
REPORT: dict[str, Any] = {"kind": "bounce", "message_id": f"<{UNKNOWN}@shop.example>", "code": "5.1.1"}


@pytest.fixture
async def live(database: MakeDatabase) -> AsyncIterator[Live]:
    async with notifying(await database("delivery_notify")) as live:
        yield live


def keyed(headers: dict[str, str] = STOREFRONT) -> dict[str, str]:
    return {**headers, "Idempotency-Key": str(uuid4())}


async def test_an_order_id_has_at_most_128_characters(live: Live) -> None:
    for path in ("notices", "promises", f"choices/{UNKNOWN}/address"):
        for length, status in ((128, 404), (129, 422)):
            answer = await live.client.get(f"/v1/orders/{'O' * length}/{path}", headers=OPS)
            assert (path, length, answer.status_code) == (path, length, status)


async def test_the_address_of_an_unknown_answer_is_not_found(live: Live) -> None:
    await take(live, order())
    for choice_id, status in (("1", 422), (UNKNOWN, 404)):
        answer = await live.client.get(f"/v1/orders/{ORDER}/choices/{choice_id}/address", headers=STOREFRONT)
        assert (choice_id, answer.status_code) == (choice_id, status)


PREFERENCES: list[tuple[dict[str, Any], str]] = [
    ({"channels": ["fax"]}, "channels"),
    ({"channels": ["email", "email"]}, "channels"),
    ({"channels": "email"}, "channels"),
    ({"language": 7}, "language"),
    ({"line_user_id": "U 1"}, "line_user_id"),
    ({"line_user_id": "U" * 65}, "line_user_id"),
    ({"phone": ""}, "phone"),
    ({"phone": "110"}, "phone"),
    ({"phone": "call me"}, "phone"),
    ({"phone": "+999 1234 5678"}, "phone"),
    ({"phone": "0" * 41}, "phone"),
    ({"mail": "a@example.jp"}, "mail"),
]


async def test_an_invalid_preference_is_refused_by_the_name_of_its_field(live: Live) -> None:
    for body, field in PREFERENCES:
        answer = await live.client.put(CUSTOMER, json=body, headers=keyed())
        assert (body, answer.status_code, field in answer.text) == (body, 422, True)
    assert (await live.client.get(CUSTOMER, headers=OPS)).status_code == 404


async def test_a_number_of_the_shops_country_is_kept_with_its_country(live: Live) -> None:
    for number in (
        "090-1234-5678",
        "+81 90 1234 5678",
        "+81(0)90 1234 5678",
        "tel:+81-90-1234-5678",
    ):
        answer = await live.client.put(CUSTOMER, json={"phone": number}, headers=keyed())
        assert (number, answer.status_code) == (number, 200)
        assert (await live.client.get(CUSTOMER, headers=OPS)).json()["phone"] == "+819012345678"


RAW = [b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 10_000]


async def test_a_body_that_is_not_json_is_refused(live: Live) -> None:
    headers = {**keyed(OPS), "Content-Type": "application/json"}
    for content in RAW:
        put = await live.client.put(CUSTOMER, content=content, headers=headers)
        allow = await live.client.post("/ops/addresses/allow", content=content, headers=headers)
        report = await live.client.post("/v1/mail-reports", content=content, headers=headers)
        statuses = {answer.status_code for answer in (put, allow, report)}
        assert statuses <= {400, 422}, content[:20]


REPORTS: list[tuple[dict[str, Any], str]] = [
    (REPORT | {"kind": "praise"}, "kind"),
    ({"code": "5.1.1"}, "kind"),
    (REPORT | {"code": ""}, "code"),
    (REPORT | {"code": "5" * 41}, "code"),
    (REPORT | {"address": "nobody"}, "address"),
    (REPORT | {"address": "a@" + "b" * 254}, "address"),
    (REPORT | {"message_id": "x" * 301}, "message_id"),
]


async def test_an_invalid_report_is_refused_by_the_name_of_its_field(live: Live) -> None:
    for body, field in REPORTS:
        answer = await live.client.post("/v1/mail-reports", json=body, headers=OPS)
        assert (body, answer.status_code, field in answer.text) == (body, 422, True)


async def test_a_code_of_any_characters_is_recorded_as_it_can_be(live: Live) -> None:
    await take(live, order(), later())
    (notice,) = await settled(live)
    for number, code in enumerate(("5.1.1\u0000", "\ud83c", "5.1.1\nBcc: all", "\u202e", "' OR 1=1")):
        body = REPORT | {"message_id": str(notice["notice_id"]), "code": code}
        answer = await live.client.post("/v1/mail-reports", content=_json(body), headers=_typed(OPS))
        assert (number, answer.status_code) == (number, 202)


def _json(body: dict[str, Any]) -> bytes:
    """Encode like a caller that escapes everything, so that NUL and half characters get through."""
    return json.dumps(body).encode()


def _typed(headers: dict[str, str]) -> dict[str, str]:
    return {**headers, "Content-Type": "application/json"}


ODD_REPORTS = [
    b"Content-Type: multipart/report\r\n\r\nno boundary",
    b'Content-Type: multipart/report; boundary="a"\r\n\r\n--a\r\nContent-Type: message/delivery-status\r\n\r\n--a--',
    b"Content-Type: message/delivery-status\r\n\r\nAction: failed\r\n\r\nAction: failed\r\nStatus: \xff\xfe\r\n",
    b"Content-Type: message/feedback-report\r\n\r\nFeedback-Type: \xff\xfe\r\n",
    b"Content-Type: message/feedback-report\r\nContent-Transfer-Encoding: base64\r\n\r\n!!!\r\n",
    b"Content-Type: message/rfc822\r\n\r\n",
    b"\x80\x81\x82",
]


async def test_a_mangled_report_is_no_fault_of_ours(live: Live) -> None:
    for content in ODD_REPORTS:
        headers = {**OPS, "Content-Type": "message/rfc822"}
        answer = await live.client.post("/v1/mail-reports", content=content, headers=headers)
        assert (content[:40], answer.status_code in (202, 422)) == (content[:40], True)


ADDRESSES: list[tuple[dict[str, Any], int]] = [
    ({"channel": "email", "address": "nobody@example.jp"}, 200),
    ({"channel": "email", "address": "x" * 254}, 200),
    ({"channel": "email", "address": "日本語@例え.テスト"}, 200),
    ({"channel": "email", "address": "\u0000"}, 200),
    ({"channel": "email", "address": "x" * 255}, 422),
    ({"channel": "email", "address": ""}, 422),
    ({"channel": "fax", "address": "1"}, 422),
    ({"channel": "email", "address": "a@b", "cause": "x"}, 422),
]


async def test_an_address_that_was_never_suppressed_can_be_allowed(live: Live) -> None:
    for body, status in ADDRESSES:
        answer = await live.client.post("/ops/addresses/allow", content=_json(body), headers=_typed(OPS))
        assert (body, answer.status_code) == (body, status)


STORED = [
    ("sms", "+819012345678", "090-1234-5678"),
    ("sms", "+819012345678", "+81 90 1234 5678"),
    ("email", "hanako@xn--r8jz45g.xn--zckzah", "Hanako@例え.テスト"),
    ("line", "U-hanako", "U-hanako"),
]


async def test_a_suppressed_address_is_allowed_as_staff_write_it(live: Live) -> None:
    for channel, stored, written in STORED:
        async with live.service.pool.acquire() as conn:
            await suppress_addresses(conn, [(channel, stored, "no such number")], datetime.now(UTC))
        answer = await live.client.post(
            "/ops/addresses/allow", json={"channel": channel, "address": written}, headers=OPS
        )
        assert (written, answer.json()) == (written, {"was_suppressed": True})


async def test_another_method_is_not_allowed(live: Live) -> None:
    link = await ask(live)
    for path, methods in ((link, ("PUT", "PATCH", "DELETE")), (f"/v1/orders/{ORDER}/notices", ("POST", "DELETE"))):
        for method in methods:
            answer = await live.client.request(method, path, headers=OPS)
            assert (method, path, answer.status_code) == (method, path, 405)


FORMS: list[dict[str, str]] = [
    {},
    {"choice": ""},
    {"choice": "WAIT"},
    {"choice": "refund"},
    {"choice": "change"},
    {"choice": "change", "change": "everything"},
    {"choice": "change", "requested_date": "0000-00-00"},
    {"choice": "change", "requested_date": "9999-12-31"},
    {"choice": "change", "change": "item", "requested_sku": " \t "},
    {"choice": "change", "change": "address", "name": "花", "country": "Atlantis"},
]


async def test_a_form_that_no_browser_sends_is_asked_for_again(live: Live) -> None:
    link = await ask(live)
    for form in FORMS:
        answer = await live.client.post(link, data=form)
        assert (form, answer.status_code) == (form, 422)
    assert await decisions(live) == []


BODIES = [
    (b"choice=wait&" * 60, 422),
    (b"choice=wait&choice=cancel&x=\xff", 422),
    (b'{"choice": "wait"}', 422),
    (b"choice=%00wait", 422),
    (b"choice=" + b"w" * 3_000_000, 413),
]


async def test_a_body_that_is_no_form_answers_nothing(live: Live) -> None:
    link = await ask(live)
    for content, status in BODIES:
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        answer = await live.client.post(link, content=content, headers=headers)
        assert (content[:20], answer.status_code) == (content[:20], status)
    assert await decisions(live) == []


async def test_an_address_of_the_longest_fields_is_taken(live: Live) -> None:
    fields = dict.fromkeys(("name", "postal_code", "region", "city", "street", "building", "phone"), "長" * 400)
    form = {"choice": "change", "change": "address", "country": "jpn", **fields}
    answer = await live.client.post(await ask(live), data=form, follow_redirects=True)
    assert answer.status_code == 200
    assert len(await decisions(live)) == 1


async def test_a_mail_that_cannot_be_rendered_is_a_page_and_not_an_error(live: Live) -> None:
    await take(live, order(), later())
    (notice,) = await settled(live)
    token = SignedLinks(["the-newest-secret-for-tests"]).token(
        Purpose.STAFF_NOTICE, datetime.now(UTC) + timedelta(minutes=5), str(notice["notice_id"]), "aki"
    )
    assert (await live.client.get(f"/staff/notices/{token}")).status_code == 200
    for facts in ("{}", '{"day": "tomorrow"}', '{"lines": 5}'):
        await live.service.pool.execute("UPDATE notices SET facts = $1::jsonb", facts)
        answer = await live.client.get(f"/staff/notices/{token}")
        assert (facts, answer.status_code, "表示できません" in answer.text) == (facts, 404, True)
