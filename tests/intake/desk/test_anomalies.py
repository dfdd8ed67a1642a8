"""Anomalies at the desk: report, author and remedy are shown, and each cause is settled once."""

from libs.common.events.issues import IssueAnomalyDetected
from tests.intake.desk.conftest import Desk, Staff
from tests.intake.desk.test_decisions import confirm, hidden

REMEDY = "ask the provider whom it paid"


async def report(desk: Desk, event_id: str, cause_id: str | None) -> None:
    """Publish a refund that nobody requested."""
    await desk.case.publish(
        IssueAnomalyDetected(
            **desk.case.ids,
            anomaly="unknown_refund",
            cause_id=cause_id,
            reported_by="/bank-of-kyoto",
            event_type="refund.completed.v1",
            event_id=event_id,
            detected_at=desk.case.now,
        )
    )


async def settle(desk: Desk, staff: Staff, subject: str) -> None:
    form = hidden(await confirm(desk, staff, f"handled:anomaly {subject}", "Reversed by the provider."))
    await staff.post(f"{desk.issue}/decide", **form)


async def open_causes(desk: Desk) -> list[str]:
    rows = await desk.live.service.pool.fetch("SELECT about FROM work_queue WHERE kind = 'anomaly' ORDER BY about")
    return [row["about"] for row in rows]


async def test_report_author_cause_and_remedy_are_shown(desk: Desk) -> None:
    await report(desk, "e-1", "transaction:T-1")
    hanako = await desk.as_("hanako")
    listed, page = (await hanako.get("/desk")).text, (await hanako.get(desk.issue)).text
    assert "A refund that was not requested · transaction T-1" in listed
    for shown in (
        "A refund that was not requested · transaction T-1",
        "the payment provider reports a paid refund (from /bank-of-kyoto)",
        REMEDY,
    ):
        assert shown in page


async def test_a_cause_that_staff_dealt_with_does_not_come_back_when_it_is_reported_again(desk: Desk) -> None:
    await report(desk, "e-1", "transaction:T-1")
    hanako = await desk.as_("hanako")
    await settle(desk, hanako, "unknown_refund transaction:T-1")
    await report(desk, "e-2", "transaction:T-1")
    assert await open_causes(desk) == []
    page = (await hanako.get(desk.issue)).text
    assert (REMEDY in page, "(A refund that was not requested · transaction T-1)" in page) == (False, True)


async def test_another_cause_is_work_after_the_first_is_dealt_with(desk: Desk) -> None:
    await report(desk, "e-1", "transaction:T-1")
    await settle(desk, await desk.as_("hanako"), "unknown_refund transaction:T-1")
    await report(desk, "e-2", "transaction:T-2")
    assert await open_causes(desk) == ["unknown_refund transaction:T-2"]


async def test_an_anomaly_without_a_cause_may_be_another_one_and_comes_back(desk: Desk) -> None:
    await report(desk, "e-1", None)
    await settle(desk, await desk.as_("hanako"), "unknown_refund")
    await report(desk, "e-2", None)
    assert await open_causes(desk) == ["unknown_refund"]


async def test_line_breaks_in_an_id_do_not_keep_it_from_being_settled(desk: Desk) -> None:
    await report(desk, "e-1", "transaction:T\n 1")
    await settle(desk, await desk.as_("hanako"), "unknown_refund transaction:T 1")
    assert await open_causes(desk) == []
