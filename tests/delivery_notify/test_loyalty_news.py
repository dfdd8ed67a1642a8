"""Notices of gifts: to customers who agreed, on channels that they agreed to, until they unsubscribe."""

import re
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from deploy.local.mailbox import Mailbox
from libs.common.decisions.facts import Ignored
from libs.common.decisions.ids import derived_id
from libs.common.events.customers import (
    ConsentChannel,
    ConsentPurpose,
    CustomerConsentChanged,
    CustomerConsentRecorded,
    CustomerErasureRequested,
    CustomerUnsubscribed,
)
from libs.common.events.envelope import Payload
from libs.common.events.loyalty import GrantKind, PointsGranted, TierChanged, Title
from libs.common.events.notices import NoticeKind
from libs.common.events.registry import AnyEvent
from libs.common.events.storefront import CustomerMerged
from libs.common.events.values import Language
from libs.common.messaging.decision_runner import Incoming
from services.delivery_notify.domain.consents import (
    REPEATED,
    ConsentStated,
    RecordConsent,
    Unsubscribe,
    Withdrawals,
    decide,
)
from services.delivery_notify.domain.loyalty_news import ADVERTISING, announce, is_gift
from services.delivery_notify.domain.notices import NoticeCreated
from services.delivery_notify.domain.routing import Defer, RecipientContact, Route, RoutingContext, Unreachable, route
from tests.conftest import MakeDatabase
from tests.delivery_notify.conversation_driver import CALENDAR, CUSTOMER, line, of, placed
from tests.delivery_notify.service import notifying, settled, take
from tests.running import STOREFRONT, Live

NOW = datetime.now(UTC).replace(microsecond=0)
EMAIL = ConsentChannel.EMAIL
SELLER = "さきだし商店、東京都渋谷区神宮前 9-99-9、電話 03-0000-0000"


def consent(granted: bool = True, *, days_ago: float = 1, channel: ConsentChannel = EMAIL) -> CustomerConsentChanged:
    when = NOW - timedelta(days=days_ago)
    return CustomerConsentChanged(
        customer_id=CUSTOMER,
        purpose=ConsentPurpose.LOYALTY,
        channel=channel,
        granted=granted,
        source="checkout",
        changed_at=when,
    )


ENTRY = derived_id("entry", 7)


def birthday(entry_id: UUID = ENTRY, **more: Any) -> PointsGranted:
    known = {"customer_id": CUSTOMER, "entry_id": entry_id, "points": 100, "cause": "birthday:2027", "rule": "birthday"}
    kind = {"granted_at": NOW, "kind": GrantKind.BIRTHDAY, "expires_on": (NOW + timedelta(days=60)).date()}
    return PointsGranted.model_validate({**known, **kind, **more})


def tier(raised: bool | None = True) -> TierChanged:
    return TierChanged(
        customer_id=CUSTOMER,
        before="regular",
        tier="silver",
        perks=("free_gift_wrap",),
        counted=1200,
        until=date(2028, 3, 1),
        rule_version="2026-12",
        changed_at=NOW,
        raised=raised,
        titles=(Title(code="silver", language="ja", text="シルバー会員"),),
    )


def wrapped(payload: Payload) -> AnyEvent:
    return AnyEvent.model_construct(id="1", source="/loyalty", type=payload.TYPE, time=NOW, data=payload)


@pytest.mark.parametrize(
    ("payload", "kind"),
    [
        (birthday(), NoticeKind.BIRTHDAY_POINTS),
        (birthday(kind=GrantKind.PURCHASE, campaigns=("new_year",)), NoticeKind.CAMPAIGN_POINTS),
        (tier(), NoticeKind.TIER_REACHED),
    ],
)
def test_a_gift_is_announced_to_a_customer_who_agreed(payload: Any, kind: NoticeKind) -> None:
    notice = announce("O-1", payload, NOW, CALENDAR)
    assert isinstance(notice, NoticeCreated)
    assert (notice.kind, notice.order_id, notice.due_at, notice.batched) == (kind, "O-1", NOW, False)
    assert announce("O-2", payload, NOW + timedelta(hours=1), CALENDAR).notice_id == notice.notice_id  # type: ignore[union-attr]
    assert kind in ADVERTISING


@pytest.mark.parametrize(
    ("payload", "order_id", "reason"),
    [
        (birthday(), None, "no_consent"),
        (birthday(granted_at=NOW - timedelta(days=3)), "O-1", "birthday_over"),
        (tier(raised=False), "O-1", "tier_not_raised"),
        (tier(raised=None), "O-1", "tier_not_raised"),
    ],
)
def test_otherwise_nothing_is_sent(payload: Any, order_id: str | None, reason: str) -> None:
    assert announce(order_id, payload, NOW, CALENDAR) == Ignored(reason)


@pytest.mark.parametrize("more", [{"kind": GrantKind.PURCHASE}, {"kind": GrantKind.APOLOGY}, {"kind": None}])
def test_points_of_purchases_and_issues_are_no_gifts(more: dict[str, Any]) -> None:
    assert not is_gift(birthday(**more))
    assert not is_gift(birthday(issue_id=derived_id("issue", 1), campaigns=("new_year",)))


def test_a_statement_from_the_future_counts_as_now() -> None:
    (recorded,) = decide(None, wrapped(consent(days_ago=-400)), NOW)
    assert isinstance(recorded, ConsentStated)
    assert recorded.stated_at == NOW


def test_a_consent_that_is_stated_over_http_is_published_and_one_of_a_topic_is_not() -> None:
    stated = consent()
    facts = decide(None, wrapped(RecordConsent(**stated.model_dump())), NOW)
    (published,) = of(facts, CustomerConsentRecorded)
    assert published.model_dump() == stated.model_dump()
    assert decide(None, wrapped(stated), NOW) == of(facts, ConsentStated)


def test_unsubscribing_withdraws_every_channel_and_is_published() -> None:
    facts = decide(None, wrapped(Unsubscribe(customer_id=CUSTOMER, purpose=ConsentPurpose.LOYALTY)), NOW)
    (published,) = of(facts, CustomerUnsubscribed)
    assert (published.customer_id, published.unsubscribed_at) == (CUSTOMER, NOW)
    assert [row.channel for row in of(facts, ConsentStated)] == list(ConsentChannel)
    assert [(row.granted, row.source) for row in of(facts, ConsentStated)] == [(False, "unsubscribe_link")] * 3


@pytest.mark.parametrize(("ago", "rows"), [(timedelta(0), 0), (REPEATED, 3), (timedelta(days=9), 3)])
def test_a_withdrawal_that_is_repeated_at_once_adds_no_row(ago: timedelta, rows: int) -> None:
    event = wrapped(Unsubscribe(customer_id=CUSTOMER, purpose=ConsentPurpose.LOYALTY))
    facts = decide(Withdrawals({ConsentPurpose.LOYALTY: NOW - ago}), event, NOW)
    assert len(of(facts, ConsentStated)) == rows


CONTEXT = RoutingContext(NOW, CALENDAR, ("email", "line"), max_messages_per_day=1)
BOTH = {"line_user_id": "U-1", "preferred": ("line",)}


@pytest.mark.parametrize(
    ("consents", "routed"),
    [
        (frozenset({"email"}), Route("email", "hanako@example.jp")),
        (frozenset(), Unreachable("no_consent")),
        (frozenset({"sms"}), Unreachable("no_consent")),
    ],
)
def test_only_channels_of_consent_are_used(consents: frozenset[str], routed: Route | Unreachable) -> None:
    contact = RecipientContact("花子", "hanako@example.jp", Language.JA, consents=consents, **BOTH)  # type: ignore[arg-type]
    assert route(NoticeKind.BIRTHDAY_POINTS, contact, (), "", False, CONTEXT) == routed


def test_over_the_daily_limit_a_gift_waits_by_itself() -> None:
    contact = RecipientContact("花子", "hanako@example.jp", Language.JA, consents=frozenset({"email"}))
    context = RoutingContext(NOW, CALENDAR, ("email",), max_messages_per_day=1, recent_messages=1)
    deferred = route(NoticeKind.BIRTHDAY_POINTS, contact, (), "", False, context)
    assert isinstance(deferred, Defer)
    assert (deferred.cause, deferred.batched) == ("daily_limit", False)


async def hear(live: Live, *payloads: Payload) -> None:
    for payload in payloads:
        name = "consents" if isinstance(payload, CustomerConsentChanged) else "conversations"
        await live.service.execute(live.service.aggregates[name], live.service.event(payload))


async def buy(live: Live) -> None:
    await take(live, placed(line(promise=None), order_id="O-1", placed_at=NOW - timedelta(days=30)))


async def count(live: Live) -> int:
    return int(await live.service.pool.fetchval("SELECT count(*) FROM notices"))


async def test_a_birthday_is_one_mail_with_consent_and_none_after_unsubscribing(
    database: MakeDatabase, smtp: Mailbox
) -> None:
    async with notifying(await database("delivery_notify"), smtp.url, shop_seller=SELLER) as live:
        await buy(live)
        await hear(live, birthday(derived_id("entry", 1)))
        assert await count(live) == 0
        await hear(live, consent(), birthday(derived_id("entry", 2)), birthday(derived_id("entry", 2)))
        (mail,) = await smtp.wait_for(1)
        assert await count(live) == 1
        text = next(mail.iter_parts()).get_content()
        url = re.fullmatch("<(.+)>", mail["List-Unsubscribe"])
        assert url
        assert "お誕生日おめでとうございます" in text
        assert SELLER in text
        assert url[1] in text
        assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        path = url[1].removeprefix("http://service")
        opened = await live.client.get(path, headers={"Accept-Language": "fr-CH, de-AT;q=0.9, en;q=0.5"})
        assert (opened.status_code, "Neuigkeiten zu Punkten abbestellen" in opened.text) == (200, True)
        assert [each["granted"] for each in await current(live)] == [True]
        done = await live.client.post(path, data={"List-Unsubscribe": "One-Click"})
        assert (done.status_code, "配信を停止いたしました" in done.text) == (200, True)
        rows = "SELECT count(*) FROM consents"
        before = await live.service.pool.fetchval(rows)
        assert [(await live.client.post(path)).status_code for _ in range(5)] == [200] * 5
        assert await live.service.pool.fetchval(rows) == before
        await hear(live, birthday(derived_id("entry", 3)), consent(days_ago=0.5))
        assert await count(live) == 1
        assert [each["granted"] for each in await current(live)] == [False] * 3


async def current(live: Live) -> list[dict[str, Any]]:
    answer = await live.client.get(f"/v1/customers/{CUSTOMER}/consents", headers=STOREFRONT)
    assert answer.status_code == 200
    found: list[dict[str, Any]] = answer.json()["current"]
    return found


async def test_a_withdrawal_stops_what_is_still_unsent(database: MakeDatabase, smtp: Mailbox) -> None:
    async with notifying(await database("delivery_notify"), smtp.url, shop_seller=SELLER) as live:
        await buy(live)
        await hear(live, consent())
        async with live.service.transaction() as tx:  # the sender sees both at once, and not the notice alone
            for name, payload in (("conversations", birthday()), ("consents", consent(False, days_ago=0.1))):
                incoming = [Incoming(live.service.event(payload))]
                await live.service.decisions.apply(tx.conn, live.service.aggregates[name], incoming)
        (row,) = await settled(live)
        assert (row["status"], row["cause"]) == ("suppressed", "no_consent")
        assert smtp.messages == []


async def test_the_storefront_states_consent_by_http(database: MakeDatabase) -> None:
    url, now = f"/v1/customers/{CUSTOMER}/consents", (NOW - timedelta(hours=1)).isoformat()
    body = {"channel": "email", "granted": True, "source": "account_page", "changed_at": now}
    async with notifying(await database("delivery_notify")) as live:
        made = [await live.client.post(url, json=body, headers={**STOREFRONT, "Idempotency-Key": "k"}) for _ in "12"]
        assert [answer.status_code for answer in made] == [201, 201]
        assert made[0].json() == made[1].json()
        evidence = (await live.client.get(url, headers=STOREFRONT)).json()["records"]
        assert [(each["source"], each["granted"]) for each in evidence] == [("account_page", True)]
        wrong = {**body, "channel": "pigeon", "source": "Check out!"}
        refused = await live.client.post(url, json=wrong, headers={**STOREFRONT, "Idempotency-Key": "w"})
        assert refused.status_code == 422
        assert {"channel", "source"} <= set(re.findall(r"channel|source", refused.text))


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
async def test_the_newest_statement_counts_in_any_order_of_arrival(
    order: tuple[int, ...], database: MakeDatabase
) -> None:
    statements = [consent(days_ago=3), consent(False, days_ago=2), consent(days_ago=1)]
    async with notifying(await database("delivery_notify"), shop_seller=SELLER) as live:
        await buy(live)
        await hear(live, *(statements[index] for index in order))
        assert [each["granted"] for each in await current(live)] == [True]
        await hear(live, consent(False, days_ago=1))
        assert [each["granted"] for each in await current(live)] == [False], "a withdrawal of the same moment counts"
        await hear(live, birthday())
        assert await count(live) == 0


async def test_a_shop_that_names_no_seller_sends_no_advertising(database: MakeDatabase) -> None:
    async with notifying(await database("delivery_notify")) as live:
        await buy(live)
        await hear(live, consent(), birthday())
        assert await count(live) == 0


async def test_a_merged_account_keeps_its_consents_and_an_erased_one_loses_them(database: MakeDatabase) -> None:
    async with notifying(await database("delivery_notify"), shop_seller=SELLER) as live:
        service = live.service
        await hear(live, consent())
        merged = CustomerMerged(customer_id="C-2", merged_customer_id=CUSTOMER, merged_at=NOW)
        await service.execute(service.aggregates["customer_merges"], service.event(merged))
        assert [each["granted"] for each in await current(live)] == [True]
        erased = CustomerErasureRequested(customer_id="C-2", erasure_id=derived_id("erasure", 1), requested_at=NOW)
        await service.execute(service.aggregates["erasures"], service.event(erased))
        assert [(each["granted"], each["source"]) for each in await current(live)] == [(False, "erasure")]
