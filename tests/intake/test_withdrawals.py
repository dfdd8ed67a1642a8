"""A customer takes a report back: by HTTP and by event, as long as nothing has left."""

import httpx
import pytest

from libs.common.decisions.facts import Anomaly, Facts
from libs.common.events.issues import IssueStaffDecided
from libs.common.events.storefront import IssueWithdrawn
from libs.common.http.problems import Answer
from tests.intake.event_builders import CUSTOMER, NOON, ORDER, event, http_id
from tests.intake.service_calls import reported
from tests.running import STOREFRONT, Live


async def withdraw(live: Live, address: str, customer_id: str = CUSTOMER, key: str = "w") -> httpx.Response:
    headers = {**STOREFRONT, "Idempotency-Key": key}
    return await live.client.post(f"{address}/withdraw", json={"customer_id": customer_id}, headers=headers)


def problem(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


async def test_an_accepted_report_is_withdrawn_like_a_decision_to_cancel(live: Live) -> None:
    address = await reported(live)
    assert (await withdraw(live, address)).status_code == 202
    found = "SELECT action, staff FROM staff_decisions"
    assert [tuple(row) for row in await live.service.pool.fetch(found)] == [("cancel", "customer")]


async def test_a_report_of_somebody_else_is_not_known(live: Live) -> None:
    assert problem(await withdraw(live, await reported(live), "C-OTHER")) == (404, "unknown_issue")


@pytest.mark.parametrize(("status", "code"), [("replacement_shipped", "already_left"), ("refunded", "already_left")])
async def test_after_something_has_left_the_answer_says_what_happens_instead(
    live: Live, status: str, code: str
) -> None:
    address = await reported(live)
    await live.service.pool.execute("UPDATE issues SET progress_status = $1, progress_at = now()", status)
    answer = await withdraw(live, address)
    assert (problem(answer), answer.json()["issue_status"]) == ((409, code), status)


async def withdrawn_by_event(live: Live, issue_id: str, customer_id: str = CUSTOMER) -> list[object]:
    fact = IssueWithdrawn.model_validate(
        {"order_id": ORDER, "customer_id": customer_id, "issue_id": issue_id, "withdrawn_at": NOON}
    )
    orders = live.service.aggregates["orders"]
    found: list[object] = []

    def note(facts: Facts) -> Answer:
        found.extend(facts)
        return Answer(202, {})

    await live.service.execute(orders, event(fact), answer=note)
    return found


async def test_an_event_withdraws_like_the_call(live: Live) -> None:
    issue_id = (await reported(live)).rpartition("/")[2]
    assert IssueStaffDecided in [type(fact) for fact in await withdrawn_by_event(live, issue_id)]


async def test_an_event_about_an_unknown_issue_is_an_anomaly(live: Live) -> None:
    facts = await withdrawn_by_event(live, str(http_id("none")))
    assert [fact.reason for fact in facts if isinstance(fact, Anomaly)] == ["withdrawal_refused"]
