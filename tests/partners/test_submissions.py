"""Events that partners send over HTTP: taken once, published where Kafka partners write, refused with all faults."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.conftest import MakeDatabase
from tests.contracts.reading import sample
from tests.partners.service import as_partner, doors, event, give, payload, post, published
from tests.running import Live

SHIPPED = "replacement.shipped.v1"
TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture
async def live(database: MakeDatabase) -> AsyncIterator[Live]:
    async with doors(await database("partners")) as running:
        yield running


@pytest.fixture
async def ordered(live: Live) -> Live:
    """The service after the warehouses were given the replacement of the samples."""
    await give(live, payload("replacement.ordered.v1"))
    return live


def results(answer: Any) -> list[str]:
    return [each["status"] for each in answer.json()["results"]]


async def test_an_event_is_published_under_the_key_of_the_order_that_it_answers(ordered: Live) -> None:
    answer = await post(ordered, "acme", event(SHIPPED))
    assert (answer.status_code, results(answer)) == (202, ["accepted"])
    assert await published(ordered) == [("warehouse.events", "C-1001", SHIPPED)]


async def test_a_repeated_event_is_a_duplicate_and_is_not_published_again(ordered: Live) -> None:
    await post(ordered, "acme", event(SHIPPED))
    again = await post(ordered, "acme", [event(SHIPPED), event(SHIPPED)])
    assert (again.status_code, results(again)) == (202, ["duplicate", "duplicate"])
    assert len(await published(ordered)) == 1


async def test_another_payload_under_a_used_id_is_refused(ordered: Live) -> None:
    await post(ordered, "acme", event(SHIPPED))
    answer = await post(ordered, "acme", event(SHIPPED, tracking_number="another"))
    assert answer.status_code == 422
    assert answer.json()["results"][0]["errors"][0]["field"] == "id"


async def test_a_batch_keeps_the_good_events_and_names_all_faults_of_the_bad_one(ordered: Live) -> None:
    bad = event(SHIPPED, id="2", issue_id="no", replacement_id=7)
    answer = await post(ordered, "acme", [event(SHIPPED), bad, "text"])
    assert (answer.status_code, results(answer)) == (207, ["accepted", "refused", "refused"])
    fields = {each["field"] for each in answer.json()["results"][1]["errors"]}
    assert fields == {"data.issue_id", "data.replacement_id"}
    assert answer.json()["results"][1]["id"] == "2"
    assert len(await published(ordered)) == 1


async def test_a_batch_is_published_in_its_order(ordered: Live) -> None:
    await post(ordered, "acme", [event("replacement.confirmed.v1"), event(SHIPPED)])
    assert [type_ for _, _, type_ in await published(ordered)] == ["replacement.confirmed.v1", SHIPPED]


@pytest.mark.parametrize("name", ["refund.completed.v1", "issue.accepted.v1", "replacement.ordered.v1"])
async def test_an_event_of_another_role_is_refused(ordered: Live, name: str) -> None:
    answer = await post(ordered, "acme", event(name))
    assert answer.status_code == 422
    assert answer.json()["results"][0]["errors"][0]["field"] == "type"
    assert await published(ordered) == []


@pytest.mark.parametrize("source", ["/other-warehouse", "/returns", "/partners", "/courier", "/"])
async def test_an_event_in_the_name_of_another_author_is_refused(ordered: Live, source: str) -> None:
    answer = await post(ordered, "acme", event(SHIPPED, source=source))
    assert answer.json()["results"][0]["errors"][0]["field"] == "source"
    assert await published(ordered) == []


async def test_a_partner_cannot_report_about_an_issue_that_it_was_not_given(ordered: Live) -> None:
    foreign = "0193a1c0-0000-7000-8000-000000000001"
    answer = await post(ordered, "acme", event(SHIPPED, issue_id=foreign, replacement_id=foreign))
    fields = [each["field"] for each in answer.json()["results"][0]["errors"]]
    assert fields == ["data.issue_id", "data.replacement_id"]


async def test_a_courier_may_report_about_a_parcel_of_a_replacement(live: Live) -> None:
    answer = await post(live, "courier", event("parcel.delivered.v1", source="/courier/depot-3"))
    assert results(answer) == ["accepted"]


async def test_an_order_belongs_to_the_storefront_that_placed_it(live: Live) -> None:
    await post(live, "shop", event("order.placed.v1", source="/shop"))
    own = await post(live, "shop", event("order.delivered.v1", source="/shop"))
    foreign = await post(live, "second-shop", event("order.delivered.v1", source="/second-shop"))
    assert (results(own), results(foreign)) == (["accepted"], ["refused"])
    customer = sample("order.placed.v1")["data"]["customer_id"]
    assert {key for _, key, _ in await published(live)} == {customer}


async def test_the_trace_of_an_event_reaches_its_record(ordered: Live) -> None:
    await post(ordered, "acme", {**event(SHIPPED), "traceparent": TRACEPARENT})
    await post(ordered, "acme", event("replacement.confirmed.v1"), traceparent=TRACEPARENT)
    traces = await ordered.service.pool.fetch("SELECT trace FROM outbox_records")
    assert [row["trace"] for row in traces] == [TRACEPARENT, TRACEPARENT]


async def test_the_key_of_another_partner_opens_nothing(ordered: Live) -> None:
    path, body = "/v1/partner/acme/events", json.dumps(event(SHIPPED))
    foreign = await ordered.client.post(path, content=body, headers=as_partner("other-warehouse"))
    unknown = await ordered.client.post(path, content=body, headers={"Authorization": "Bearer a-key-of-nobody"})
    assert (foreign.status_code, unknown.status_code) == (403, 401)


@pytest.mark.parametrize("depth", [150, 300, 900])
async def test_an_event_that_is_nested_deeply_is_refused_and_the_others_are_taken(ordered: Live, depth: int) -> None:
    deep = json.dumps({**event(SHIPPED), "id": "deep", "data": "DEEP"}).replace('"DEEP"', "[" * depth + "]" * depth)
    body = f"[{json.dumps(event(SHIPPED))}, {deep}]"
    answer = await ordered.client.post("/v1/partner/acme/events", content=body, headers=as_partner("acme"))
    assert (answer.status_code, results(answer)) == (207, ["accepted", "refused"])


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ("{", 400, "malformed_json"),
        ("[NaN]", 400, "malformed_json"),
        ("[" * 100_000, 400, "malformed_json"),
        ("[]", 422, "no_events"),
        (json.dumps([{}] * 201), 413, "too_many_events"),
        (json.dumps("x" * 600_000), 413, "body_too_large"),
        (json.dumps([{"id": "\ud800", "type": 7}]), 422, "events_refused"),
    ],
    ids=["half", "NaN", "deep", "empty", "many", "large", "odd"],
)
async def test_a_body_that_is_no_batch_of_events_gets_a_clear_error(
    live: Live, body: str, status: int, code: str
) -> None:
    answer = await live.client.post("/v1/partner/acme/events", content=body, headers=as_partner("acme"))
    assert (answer.status_code, answer.json()["code"]) == (status, code)
