"""Data that each service erases and keeps, by its database alone."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from libs.common.events import storefront, values
from libs.common.events.customers import CustomerErased, CustomerErasureRequested
from libs.common.events.registry import decode
from libs.common.postgres.pool import Connection
from services.delivery_notify.store.erasure import erase as erase_in_delivery_notify
from services.intake.app import create_app as create_intake
from services.intake.domain.order_contacts import OrderContact, Person
from services.intake.settings import IntakeSettings
from services.intake.store.customer_messages import CustomerMessage, MessageContent, MessageSubject, record
from services.intake.store.erasure import erase as erase_in_intake
from services.intake.store.order_contacts import write_contacts
from tests.conftest import MakeDatabase, as_owner
from tests.erasure.one_customer import AFTER, BEFORE, CUSTOMER, ERASURE, NOW, OTHER, asked
from tests.running import STOREFRONT, eventually, running


@pytest.mark.parametrize("conn", ["intake"], indirect=True)
async def test_a_mail_that_names_no_order_goes_with_the_customer_of_its_address(conn: Connection) -> None:
    await write_contacts(
        conn, [OrderContact("O", CUSTOMER, person=Person(email="hanako@example.jp"), placed_at=BEFORE)]
    )
    mails = {
        "theirs": ("Hanako@example.jp", BEFORE),
        "later": ("hanako@example.jp", AFTER),
        "other": ("b@x.jp", BEFORE),
    }
    ids = {name: uuid4() for name in mails}
    for name, (sender, received_at) in mails.items():
        content = MessageContent(sender, "", "the pot is broken", "the pot is broken")
        await record(conn, CustomerMessage(ids[name], MessageSubject(), received_at, content, 0, 0))
    await erase_in_intake(conn, ERASURE)
    left = [row["message_id"] for row in await conn.fetch("SELECT message_id FROM customer_messages")]
    assert set(left) == {ids["later"], ids["other"]}


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
        (row,) = await live.service.pool.fetch("SELECT topic, key, value FROM outbox_records")
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
            decode(row["value"]).data
            for row in await service.pool.fetch("SELECT value FROM outbox_records ORDER BY id, n")
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
