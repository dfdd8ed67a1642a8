"""Data that each service erases and keeps, by its database alone."""

import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from libs.common.events import storefront, values
from libs.common.events.customers import CustomerErased, CustomerErasureRequested
from libs.common.events.envelope import Payload
from libs.common.events.personal import REDACTED_ADDRESS, REDACTED_CONTACT
from libs.common.events.registry import AnyEvent, decode
from libs.common.events.topics import PERSONAL_RETENTION_DAYS, SERVICES
from libs.common.messaging.decision_runner import DecisionRunner
from libs.common.postgres.pool import Connection
from libs.common.privacy.erasure import PASS_INTERVALS, Erasure, Erasures, erase_dead_letters, redact_erased
from libs.common.telemetry.tracing import Tracing
from services.delivery_notify.store.erasure import erase as erase_in_delivery_notify
from services.intake.app import create_app as create_intake
from services.intake.settings import IntakeSettings
from services.intake.store.erasure import erase as erase_in_intake
from services.loyalty.store.erasure import erase as erase_in_loyalty
from services.returns.store.erasure import erase as erase_in_returns
from tests.common import wire
from tests.conftest import MakeDatabase, as_owner
from tests.journey.backbone import ADDRESS, CONTACT, line
from tests.running import STOREFRONT, eventually, running

ERASE = {
    "intake": erase_in_intake,
    "returns": erase_in_returns,
    "delivery_notify": erase_in_delivery_notify,
    "loyalty": erase_in_loyalty,
}
NOW = datetime(2027, 1, 15, 12, tzinfo=UTC)
BEFORE, AFTER = NOW - timedelta(days=1), NOW + timedelta(days=1)
CUSTOMER, OTHER = "C-1", "C-10"
ERASURE = Erasure(CUSTOMER, UUID(int=1), NOW)


class Noon:
    def now(self) -> datetime:
        return NOW

    def real_seconds(self, span: timedelta) -> float:
        return span.total_seconds()

    def on_set(self, callback: Callable[[], None]) -> None:
        """It is never set."""


def shell_of(service: str) -> DecisionRunner:
    return DecisionRunner(service, Noon(), Tracing(service, None))


@pytest.fixture
async def conn(database: MakeDatabase, request: pytest.FixtureRequest) -> AsyncIterator[Connection]:
    connection = await asyncpg.connect(await database(getattr(request, "param", "loyalty")))
    yield connection
    await connection.close()


def placed(order_id: str, customer_id: str = CUSTOMER, at: datetime = BEFORE, **more: Any) -> storefront.OrderPlaced:
    return storefront.OrderPlaced(
        **{"order_id": order_id, "customer_id": customer_id, "placed_at": at, "lines": (line("1"),),
           "contact": CONTACT, "ship_to": ADDRESS, "birthday": "04-01", "last_purchased_item": "茶碗", **more},
    )  # fmt: skip


def asked(until: datetime = NOW) -> CustomerErasureRequested:
    return CustomerErasureRequested(customer_id=CUSTOMER, erasure_id=UUID(int=1), requested_at=until)


# --- the decision -----------------------------------------------------------------------------------------------------


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


# --- events that come late --------------------------------------------------------------------------------------------


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


# --- dead letters ---------------------------------------------------------------------------------------------------


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


# --- services ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("conn", SERVICES, indirect=True)
async def test_erasing_somebody_of_whom_nothing_is_known_changes_nothing_and_can_be_repeated(conn: Connection) -> None:
    me = await conn.fetchval("SELECT current_user")
    service = next(name for name in SERVICES if me.endswith(name))
    for _ in range(2):
        await ERASE[service](conn, ERASURE)
    assert await conn.fetchval("SELECT count(*) FROM outbox") == 0


@pytest.mark.parametrize("conn", ["intake"], indirect=True)
async def test_what_staff_and_the_customer_wrote_is_gone_and_who_did_what_when_is_not(conn: Connection) -> None:
    theirs, others = uuid4(), uuid4()
    for issue, customer in ((theirs, CUSTOMER), (others, OTHER)):
        await conn.execute(
            """INSERT INTO issues (issue_id, order_id, customer_id, reason, lines, description, reported_at)
               VALUES ($1, 'O', $2, 'defective', '[]', '山田', $3)""",
            issue,
            customer,
            BEFORE,
        )
        await conn.execute("INSERT INTO ratings VALUES ($1, 1, 9, '山田', $2)", issue, BEFORE)
        await conn.execute(
            "INSERT INTO staff_decisions VALUES ($1, 1, $2, 'accept', NULL, NULL, 'aiko', '山田 called', $3)",
            issue,
            uuid4(),
            BEFORE,
        )
        await conn.execute(
            "INSERT INTO desk_actions VALUES ($1, $2, 'aiko', 'handled', '', '山田 called', $3)",
            uuid4(),
            str(issue),
            BEFORE,
        )
        data = json.dumps({"comment": "山田 called", "staff": "aiko"})
        await conn.execute(
            "INSERT INTO timeline (issue_id, event_id, at, type, data) VALUES ($1, 'e', $2, 'issue.staff_decided', $3)",
            issue,
            BEFORE,
            data,
        )
    await erase_in_intake(conn, ERASURE)
    rows = await conn.fetch(
        """SELECT i.description, r.score, r.comment, d.staff, d.comment, a.staff, a.comment, t.data::jsonb::text
           FROM issues i JOIN ratings r USING (issue_id) JOIN staff_decisions d USING (issue_id)
           JOIN desk_actions a ON a.subject = i.issue_id::text JOIN timeline t USING (issue_id)
           ORDER BY i.customer_id"""
    )
    assert [tuple(row) for row in rows] == [
        (None, 9, None, "aiko", "erased", "aiko", "erased", '{"staff": "aiko"}'),
        (
            "山田",
            9,
            "山田",
            "aiko",
            "山田 called",
            "aiko",
            "山田 called",
            '{"staff": "aiko", "comment": "山田 called"}',
        ),
    ]


@pytest.mark.parametrize("conn", ["loyalty"], indirect=True)
async def test_the_function_that_empties_notes_opens_the_ledger_for_nothing_else(conn: Connection) -> None:
    await conn.execute("SELECT erase_notes($1, $2)", CUSTOMER, NOW)
    for statement in (
        "UPDATE entries SET note = 'x'",
        "SET sakidashi.erasing = 'notes'; UPDATE entries SET points = 1",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await conn.execute(statement)


async def test_even_the_owner_changes_no_entry_after_notes_were_emptied(database: MakeDatabase) -> None:
    owner = await asyncpg.connect(as_owner(await database("loyalty")))
    await owner.execute("SELECT erase_notes($1, $2)", CUSTOMER, NOW)
    with pytest.raises(asyncpg.RestrictViolationError):
        await owner.execute("UPDATE entries SET note = 'x'")
    await owner.close()


@pytest.mark.parametrize("conn", ["delivery_notify"], indirect=True)
async def test_dead_addresses_are_forgotten_with_their_owner_and_nothing_more_is_sent(conn: Connection) -> None:
    for order, customer, at in (("O-1", CUSTOMER, BEFORE), ("O-2", OTHER, BEFORE), ("O-3", CUSTOMER, AFTER)):
        mail = f"{order}@example.jp"
        await conn.execute(
            """INSERT INTO contacts (order_id, customer_id, name, email, language, placed_at)
               VALUES ($1, $2, 'N', $3, 'ja', $4)""",
            order,
            customer,
            mail,
            at,
        )
        digest = (
            "INSERT INTO suppressed_addresses VALUES ('email', sha256(convert_to(lower($1), 'UTF8')), 'bounced', $2)"
        )
        await conn.execute(digest, mail, BEFORE)
        await conn.execute(
            """INSERT INTO notices (notice_id, order_id, customer_id, kind, facts, made_at, due_at, contact_by)
               VALUES (gen_random_uuid(), $1, $2, 'order_delayed', '{}', $3, $3, $3)""",
            order,
            customer,
            BEFORE,
        )
    await erase_in_delivery_notify(conn, ERASURE)
    left = await conn.fetch("SELECT order_id FROM contacts ORDER BY 1")
    assert [row[0] for row in left] == ["O-2", "O-3"]
    assert await conn.fetchval("SELECT count(*) FROM suppressed_addresses") == 2
    waiting = await conn.fetch("SELECT order_id, withdrawn_cause AS withdrawn FROM notices ORDER BY 1")
    assert [tuple(row) for row in waiting] == [("O-1", "customer_erased"), ("O-2", None), ("O-3", None)]


async def test_a_storefront_asks_once_over_http_and_every_service_is_notified(
    database: MakeDatabase, tmp_path: Path
) -> None:
    async with running(create_intake, IntakeSettings, database=await database("intake"), evidence_dir=tmp_path) as live:
        headers = {**STOREFRONT, "Idempotency-Key": "forget C-1"}
        first, again = [await live.client.post(f"/v1/customers/{CUSTOMER}/erasure", headers=headers) for _ in range(2)]
        assert (first.status_code, first.json()) == (202, again.json())
        (row,) = await live.service.pool.fetch("SELECT topic, key, value FROM outbox")
        payload = decode(row["value"]).data
        assert isinstance(payload, CustomerErasureRequested)
        assert (row["topic"], row["key"], str(payload.erasure_id)) == (
            "customers",
            CUSTOMER,
            first.json()["erasure_id"],
        )


async def test_nobody_else_may_ask(database: MakeDatabase, tmp_path: Path) -> None:
    async with running(create_intake, IntakeSettings, database=await database("intake"), evidence_dir=tmp_path) as live:
        answer = await live.client.post(f"/v1/customers/{CUSTOMER}/erasure", headers={"Idempotency-Key": "k"})
        assert answer.status_code == 401


async def test_a_report_that_waits_for_its_order_waits_on_without_words(database: MakeDatabase, tmp_path: Path) -> None:
    async with running(create_intake, IntakeSettings, database=await database("intake"), evidence_dir=tmp_path) as live:
        service = live.service
        reports = [
            storefront.IssueSubmitted(
                order_id=f"O-{customer}", customer_id=customer, reason=values.Reason.DEFECTIVE,
                lines=(values.ReportedLine(line_id="1", quantity=1),), description=f"words of {customer}",
            )
            for customer in (CUSTOMER, OTHER)
        ]  # fmt: skip
        for report in reports:
            await service.execute(service.aggregates["orders"], service.event(report))
        await service.execute(
            service.aggregates["erasures"], service.event(asked(until=datetime.now(UTC) + timedelta(seconds=1)))
        )
        rows = await service.pool.fetch(
            "SELECT body #>> '{awaiting_order,0,submission,description}' AS said FROM orders ORDER BY key"
        )
        assert [row["said"] for row in rows] == [None, f"words of {OTHER}"]
        payloads = [
            decode(row["value"]).data for row in await service.pool.fetch("SELECT value FROM outbox ORDER BY id")
        ]
        assert [one.service for one in payloads if isinstance(one, CustomerErased)] == ["intake"]


def names_in(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.rglob("*.jpg"))


async def test_the_file_of_a_photo_that_somebody_else_sent_as_well_stays(
    database: MakeDatabase, tmp_path: Path
) -> None:
    async with running(create_intake, IntakeSettings, database=await database("intake"), evidence_dir=tmp_path) as live:
        shared, alone = "a" * 64, "b" * 64
        for sha256 in (shared, alone):
            (tmp_path / sha256[:2]).mkdir()
            for suffix in (".jpg", ".thumbnail.jpg"):
                (tmp_path / sha256[:2] / f"{sha256}{suffix}").write_bytes(b"photo")
        for customer, photos in ((CUSTOMER, (shared, alone)), (OTHER, (shared,))):
            issue = await live.service.pool.fetchval(
                """INSERT INTO issues (issue_id, order_id, customer_id, reason, lines, reported_at)
                   VALUES (gen_random_uuid(), 'O', $1, 'defective', '[]', $2) RETURNING issue_id""",
                customer,
                BEFORE,
            )
            for sha256 in photos:
                row = "INSERT INTO evidence VALUES ($1, $2, 'image/jpeg', 1, 1, 1, $3)"
                await live.service.pool.execute(row, issue, sha256, BEFORE)
        async with live.service.transaction() as tx:
            await erase_in_intake(tx.conn, ERASURE)

        async def marks_are_done() -> bool:
            return not await live.service.pool.fetchval("SELECT count(*) FROM photo_deletion_queue")

        await eventually(marks_are_done, "the marks are done")
        assert names_in(tmp_path) == [f"{shared}.jpg", f"{shared}.thumbnail.jpg"]
