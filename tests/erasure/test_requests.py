"""Requests of erasure in every service: when they count, what came before and after, and dead letters."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from libs.common.events import storefront, values
from libs.common.events.envelope import Payload
from libs.common.events.personal import REDACTED_ADDRESS, REDACTED_CONTACT
from libs.common.events.registry import AnyEvent, decode
from libs.common.events.topics import PERSONAL_RETENTION_DAYS, SERVICES
from libs.common.messaging.decision_runner import DecisionRunner
from libs.common.postgres.pool import Connection
from libs.common.privacy.erasure import PASS_INTERVALS, Erasure, Erasures, erase_dead_letters, redact_erased
from libs.common.telemetry.tracing import Tracing
from services.delivery_notify.store.erasure import erase as erase_in_delivery_notify
from services.intake.store.erasure import erase as erase_in_intake
from services.loyalty.store.erasure import erase as erase_in_loyalty
from services.returns.store.erasure import erase as erase_in_returns
from tests.common import wire
from tests.erasure.one_customer import AFTER, BEFORE, CUSTOMER, ERASURE, NOW, OTHER, asked
from tests.journey.backbone import ADDRESS, CONTACT, line

ERASE = {
    "intake": erase_in_intake,
    "returns": erase_in_returns,
    "delivery_notify": erase_in_delivery_notify,
    "loyalty": erase_in_loyalty,
}


class Noon:
    def now(self) -> datetime:
        return NOW

    def real_seconds(self, span: timedelta) -> float:
        return span.total_seconds()

    def on_set(self, callback: Callable[[], None]) -> None:
        """It is never set."""


def shell_of(service: str) -> DecisionRunner:
    return DecisionRunner(service, Noon(), Tracing(service, None))


def placed(order_id: str, customer_id: str = CUSTOMER, at: datetime = BEFORE, **more: Any) -> storefront.OrderPlaced:
    return storefront.OrderPlaced(
        **{"order_id": order_id, "customer_id": customer_id, "placed_at": at, "lines": (line("1"),),
           "contact": CONTACT, "ship_to": ADDRESS, "birthday": "04-01", "last_purchased_item": "茶碗", **more},
    )  # fmt: skip


def decide(state: Erasure | None, payload: Payload) -> tuple[Erasure | None, list[str]]:
    async def nothing(conn: Connection, erasure: Erasure) -> None:
        raise AssertionError("a decision does nothing")

    after, facts = Erasures("loyalty", nothing).decide(state, shell_of("loyalty").event(payload), NOW)
    return after, [type(fact).__name__ for fact in facts]


def test_a_request_erases_tells_and_is_looked_at_again() -> None:
    assert decide(None, asked()) == (ERASURE, ["Erase", "CustomerErased", "SetTimer"])


def test_data_stated_tomorrow_cannot_be_erased_today() -> None:
    state, _ = decide(None, asked(until=AFTER))
    assert state == ERASURE


def test_an_older_request_that_comes_late_takes_nothing_back() -> None:
    state, facts = decide(ERASURE, asked(until=BEFORE))
    assert state
    assert (state.until, facts[1]) == (NOW, "CustomerErased")


def test_the_last_look_is_after_every_topic_has_let_go() -> None:
    assert sum(PASS_INTERVALS, timedelta()) > timedelta(days=PERSONAL_RETENTION_DAYS + 1)


async def taken(conn: Connection, *payloads: Payload) -> list[Any]:
    await conn.execute("INSERT INTO erasures VALUES ($1, $2, $3, 1)", CUSTOMER, UUID(int=1), NOW)
    events: list[AnyEvent] = [shell_of("loyalty").event(payload) for payload in payloads]
    return [event.data for event in await redact_erased(conn, events)]


async def test_an_older_order_is_heard_of_without_the_person(conn: Connection) -> None:
    (order,) = await taken(conn, placed("O-1"))
    assert (order.contact, order.ship_to, order.birthday, order.last_purchased_item) == (
        REDACTED_CONTACT,
        REDACTED_ADDRESS,
        None,
        None,
    )
    assert (order.order_id, order.customer_id, order.lines) == ("O-1", CUSTOMER, (line("1"),))


async def test_a_later_order_is_a_new_consent_and_others_are_not_touched(conn: Connection) -> None:
    orders = [placed("O-1", at=AFTER), placed("O-2", OTHER)]
    assert await taken(conn, *orders) == orders


async def test_an_older_report_is_heard_of_without_the_customers_words(conn: Connection) -> None:
    (report,) = await taken(
        conn,
        storefront.IssueSubmitted(
            order_id="O-1", customer_id=CUSTOMER, reason=values.Reason.DEFECTIVE,
            lines=(values.ReportedLine(line_id="1", quantity=1),), description="words",
        ),
    )  # fmt: skip
    assert (report.description, report.reason) == (None, "defective")


async def store_dead_letters(conn: Connection, *values: bytes) -> None:
    for number, value in enumerate(values):
        await conn.execute(
            """INSERT INTO dead_letters (aggregate, topic, "partition", "offset", written_at, key, value, headers,
            reason,
                                   error, blocks)
               VALUES ('orders', 'storefront.orders', 0, $1, $2, 'k', $3, '{"a": "b"}', 'failed', '山田', true)""",
            number,
            BEFORE,
            value,
        )


async def test_a_dead_letter_can_still_be_replayed_but_names_nobody(conn: Connection) -> None:
    await store_dead_letters(conn, wire.event_bytes(placed("O-1")), wire.event_bytes(placed("O-2", OTHER)))
    await erase_dead_letters(conn, ERASURE, ["O-1"])
    theirs, others = await conn.fetch("SELECT value, error, state FROM dead_letters ORDER BY id")
    order = decode(theirs["value"]).data
    assert isinstance(order, storefront.OrderPlaced)
    assert (order.contact, order.order_id, theirs["state"]) == (REDACTED_CONTACT, "O-1", "open")
    assert (theirs["error"], others["error"]) == ("the customer was erased: failed", "山田")
    assert decode(others["value"]).data == placed("O-2", OTHER)


async def test_dead_letters_that_nobody_can_read_are_given_up_if_they_name_the_customer(conn: Connection) -> None:
    await store_dead_letters(conn, b'{"customer_id": "C-1", "name": "\\u5c71\\u7530"', b'{"customer_id": "C-10"')
    await erase_dead_letters(conn, ERASURE, [])
    rows = await conn.fetch("SELECT value IS NULL AS gone, state, settled_by FROM dead_letters ORDER BY id")
    assert [tuple(row) for row in rows] == [(True, "discarded", "erasure"), (False, "open", None)]


@pytest.mark.parametrize("conn", SERVICES, indirect=True)
async def test_erasing_somebody_of_whom_nothing_is_known_changes_nothing_and_can_be_repeated(conn: Connection) -> None:
    me = await conn.fetchval("SELECT current_user")
    service = next(name for name in SERVICES if me.endswith(name))
    for _ in range(2):
        await ERASE[service](conn, ERASURE)
    assert await conn.fetchval("SELECT count(*) FROM outbox") == 0
