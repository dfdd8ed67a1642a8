"""Reports that fit no case are work at the desk, from any service alike, until staff settle or assign them."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from libs.common.events import carrier, storefront, warehouse
from libs.common.events.values import CountedLine
from services.intake.desk.accounts import StaffRole
from tests.intake.desk.conftest import Staff
from tests.intake.issue_states import PASSWORD, hire
from tests.journey.backbone import Backbone
from tests.running import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def anomaly(system: Backbone, code: str, mark: str, *, is_open: bool = True) -> dict[str, Any]:
    """Wait for the row of this anomaly whose thing or detail holds the mark."""

    async def found() -> dict[str, Any] | None:
        rows = await system.intake.service.pool.fetch(
            "SELECT * FROM anomalies WHERE anomaly = $1 AND strpos(thing || ' ' || detail, $2) > 0"
            " AND (settled_at IS NULL) = $3", code, mark, is_open,
        )  # fmt: skip
        return dict(rows[0]) if rows else None

    row = await eventually(found, f"{code} of {mark} is at the desk")
    assert row
    return row


async def agent(system: Backbone, name: str) -> Staff:
    await hire(system.intake, name, StaffRole.AGENT)
    transport = httpx.ASGITransport(system.intake.app)
    client = httpx.AsyncClient(transport=transport, base_url="https://desk.example")
    entered = await client.post("/desk/sign-in", data={"name": name, "password": PASSWORD})
    return Staff(client, name, entered)


async def count(system: Backbone, receipt_id: str, *lines: CountedLine) -> None:
    await system.publish(
        warehouse.ItemReceived(
            lines=lines, received_at=datetime.now(UTC), receipt_id=receipt_id, tracking_number="T-77"
        )
    )


async def test_a_box_without_papers_is_assigned_by_staff_and_counted_by_its_case(system: Backbone) -> None:
    await system.place_order("N1")
    issue_id = await system.report("N1")
    await system.wait_for("issue.accepted", issue_id=issue_id)
    await count(system, "N1-box", CountedLine(quantity=1, serials=("SN-9",)))
    row = await anomaly(system, "count_without_case", "count:N1-box")
    staff = await agent(system, "natsu")
    page = (await staff.get(f"/desk/anomalies/{row['anomaly_id']}")).text
    assert all(shown in page for shown in ("SN-9", "T-77", "N1-box"))
    decision = {"action": "assign", "issue_id": str(issue_id), "comment": "By its serial number."}
    assert (await staff.post(f"/desk/anomalies/{row['anomaly_id']}", **decision)).status_code == 303
    await system.wait_for("issue.item_received", issue_id=issue_id)
    await system.wait_for("count.staff_decision_applied", count_id=row["thing"].removeprefix("count:"))
    settled = await anomaly(system, "count_without_case", "count:N1-box", is_open=False)
    assert settled["comment"] == "By its serial number."


async def test_a_box_of_another_article_is_refused_with_its_reason(system: Backbone) -> None:
    await system.place_order("N2")
    issue_id = await system.report("N2")
    await system.wait_for("issue.accepted", issue_id=issue_id)
    await count(system, "N2-box", CountedLine(quantity=1, sku="NOBODYS-ARTICLE"))
    row = await anomaly(system, "count_without_case", "count:N2-box")
    staff = await agent(system, "nao")
    decision = {"action": "assign", "issue_id": str(issue_id), "comment": "By its colour."}
    await staff.post(f"/desk/anomalies/{row['anomaly_id']}", **decision)

    async def refused() -> bool:
        row = await anomaly(system, "count_without_case", "count:N2-box")
        return bool(row["refusal"] == "count_does_not_fit")

    await eventually(refused, "the refusal is shown")


async def test_an_anomaly_of_an_order_without_an_issue_is_work(system: Backbone) -> None:
    await system.place_order("N3")
    later = datetime.now(UTC).date() + timedelta(days=20)
    await system.publish(
        storefront.OrderPromiseChanged(
            order_id="N3", line_ids=("no-such-line",), promised_ship_date=later, changed_at=datetime.now(UTC)
        )
    )
    row = await anomaly(system, "promise_for_unknown_line", "no-such-line")
    assert (row["order_id"], row["detected_by"], row["issue_id"]) == ("N3", "delivery_notify", None)


async def test_a_scan_of_an_issue_that_nobody_knows_is_work(system: Backbone) -> None:
    unknown: UUID = uuid4()
    found = carrier.ParcelDelivered(issue_id=unknown, replacement_id=uuid4(), delivered_at=datetime.now(UTC))
    await system.publish(found)
    row = await anomaly(system, "unknown_issue", str(unknown))
    assert (row["detected_by"], row["event_type"]) == ("returns", "parcel.delivered.v1")
