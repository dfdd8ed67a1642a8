"""Batch consumer on real Kafka and Postgres: no loss, no duplicates, order per key."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import TypeAdapter

from libs.common.events.registry import AnyEvent
from libs.common.events.storefront import OrderCancelled
from tests.common import sample_service, wire
from tests.running import OPS, Live, eventually

NOW = datetime(2027, 3, 1, tzinfo=UTC)


def cancelled(order: str, cause: str, event_id: str | None = None) -> wire.Wanted:
    payload = OrderCancelled(order_id=order, cause=cause, cancelled_at=NOW)
    return "storefront.orders", order, wire.event_bytes(payload, event_id), []


async def give(live: Live, records: Sequence[wire.Wanted]) -> None:
    settings = live.service.settings
    prefixed = [(settings.kafka_topic_prefix + topic, *rest) for topic, *rest in records]
    await wire.publish(settings.kafka_bootstrap_servers, prefixed)  # type: ignore[arg-type]


async def causes(live: Live, order: str) -> list[str]:
    found = await live.service.pool.fetchval("SELECT body -> 'causes' FROM tallies WHERE key = $1", order)
    return list(TypeAdapter(tuple[str, ...]).validate_json(found)) if found else []


async def dead_letters_of(live: Live) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = (await live.client.get("/ops/dead-letters", headers=OPS)).json()["items"]
    return items


async def reach(live: Live, order: str, wanted: list[str]) -> None:
    async def as_wanted() -> bool:
        return await causes(live, order) == wanted

    try:
        await eventually(as_wanted, f"{order} has {wanted}")
    except AssertionError:
        assert await causes(live, order) == wanted
        raise


async def test_events_of_one_key_are_applied_in_the_order_they_were_written(online: Live) -> None:
    await give(online, [cancelled("a", str(n)) for n in range(300)])
    await reach(online, "a", [str(n) for n in range(300)])


async def test_an_event_that_comes_twice_is_applied_once(online: Live) -> None:
    await give(online, [cancelled("a", "one", "id-1"), cancelled("a", "one", "id-1"), cancelled("a", "two", "id-2")])
    await give(online, [cancelled("a", "one", "id-1"), cancelled("a", "end", "id-3")])
    await reach(online, "a", ["one", "two", "end"])


async def test_what_a_batch_decides_is_published_once_and_in_order(online: Live) -> None:
    await give(online, [cancelled("a", str(n)) for n in range(50)])
    await reach(online, "a", [str(n) for n in range(50)])

    async def relayed() -> bool:
        return bool(await online.service.pool.fetchval("SELECT count(*) = 0 FROM outbox"))

    await eventually(relayed, "the outbox is empty")
    settings = online.service.settings
    events = await wire.read_json(settings.kafka_bootstrap_servers, settings.kafka_topic_prefix + "loyalty")
    assert [event["data"]["cause"] for event in events] == [str(n) for n in range(50)]


async def test_a_poison_event_becomes_a_dead_letter_and_later_events_of_its_key_wait_behind_it(online: Live) -> None:
    await give(online, [cancelled("a", "first"), cancelled("a", "poison"), cancelled("a", "late"), cancelled("b", "x")])
    await reach(online, "b", ["x"])

    async def both() -> bool:
        return [item["reason"] for item in await dead_letters_of(online)] == ["failed", "blocked"]

    await eventually(both, "the poison and what stood behind it are dead letters")
    assert await causes(online, "a") == ["first"]


async def test_a_dead_letter_is_replayed_in_order_once_the_code_is_mended(
    online: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    await give(online, [cancelled("a", "poison"), cancelled("a", "late")])
    items = await eventually(lambda: _dead_letter_count(online, 2), "both are dead letters")

    def mended(state: Any, event: AnyEvent, now: datetime) -> Any:
        data = event.data
        assert isinstance(data, OrderCancelled)
        return sample_service._count(state or sample_service.Tally(data.order_id), data.cause or "", now)

    monkeypatch.setattr(sample_service, "decide", mended)
    asked = await online.client.post(f"/ops/dead-letters/{items[0]['id']}/replay", headers=OPS)
    assert (asked.status_code, asked.json()) == (202, {"replaying": 2})
    await reach(online, "a", ["poison", "late"])


async def _dead_letter_count(live: Live, count: int) -> list[dict[str, Any]]:
    items = await dead_letters_of(live)
    return items if len(items) == count else []


async def test_a_discarded_event_lets_those_behind_it_go_on(online: Live) -> None:
    await give(online, [cancelled("a", "poison"), cancelled("a", "late")])
    items = await eventually(lambda: _dead_letter_count(online, 2), "both are dead letters")
    await online.client.post(f"/ops/dead-letters/{items[0]['id']}/discard", headers=OPS)
    await online.client.post(f"/ops/dead-letters/{items[1]['id']}/replay", headers=OPS)
    await reach(online, "a", ["late"])


async def test_bytes_that_are_no_event_become_dead_letters_as_bytes_and_block_nothing(online: Live) -> None:
    topic = "storefront.orders"
    await give(online, [(topic, "a", b"\xff\xfe{", []), (topic, "a", None, []), cancelled("a", "good")])
    await reach(online, "a", ["good"])
    items = await eventually(lambda: _dead_letter_count(online, 2), "both are dead letters")
    assert {(item["reason"], item["value"]) for item in items} == {("undecodable", "base64://57"), ("undecodable", "")}


async def test_a_dead_letter_is_published_whole_with_its_reason(online: Live) -> None:
    await give(online, [("storefront.orders", "a", b"not json", [("x-shop", b"7"), ("broken", b"\xff")])])
    settings = online.service.settings

    async def published() -> list[Any]:
        return await wire.read_all(
            settings.kafka_bootstrap_servers, f"{settings.kafka_topic_prefix}loyalty.dead-letters"
        )

    record = (await eventually(published, "it is on the dead-letter topic"))[0]
    headers = {name: value.decode() for name, value in record.headers}
    assert record.value == b"not json"
    assert (headers["dlq.reason"], headers["x-shop"], headers["broken"]) == ("undecodable", "7", "base64:/w==")


async def test_a_null_header_does_not_make_its_batch_vanish(online: Live) -> None:
    topic, key, value, _ = cancelled("a", "one")
    await give(online, [(topic, key, value, [("nothing", None), ("binary", b"\xff")]), cancelled("a", "two")])
    await reach(online, "a", ["one", "two"])


async def test_a_header_whose_name_holds_nul_costs_nothing_but_its_name(online: Live) -> None:
    await give(online, [("storefront.orders", "a", b"not json", [("x\x00y", b"7")]), cancelled("a", "good")])
    await reach(online, "a", ["good"])
    await eventually(lambda: _dead_letter_count(online, 1), "the record is a dead letter")
    assert '"x\\\\0y"' in str(await online.service.pool.fetchval("SELECT headers FROM dead_letters"))


async def test_an_unknown_type_becomes_a_dead_letter_but_a_newer_version_passes_by(online: Live) -> None:
    topic, key, value, _ = cancelled("a", "x")
    assert value
    newer = value.replace(b"order.cancelled.v1", b"order.cancelled.v2")
    foreign = value.replace(b"order.cancelled.v1", b"order.eaten.v1")
    await give(online, [(topic, key, newer, []), (topic, key, foreign, []), cancelled("a", "good")])
    await reach(online, "a", ["good"])
    assert [item["reason"] for item in await dead_letters_of(online)] == ["unknown_type"]


async def test_an_event_of_a_type_that_is_not_taken_passes_by(online: Live) -> None:
    topic, key, value, _ = cancelled("a", "x")
    assert value
    shipped = value.replace(b"order.cancelled.v1", b"order.delivered.v1").replace(
        b'"cancelled_at"', b'"lines":[{"line_id":"1","quantity":1}],"delivered_at"'
    )
    await give(online, [(topic, key, shipped, []), cancelled("a", "good")])
    await reach(online, "a", ["good"])
    assert await dead_letters_of(online) == []


async def test_a_stopped_service_goes_on_where_it_was(tally_database: str, kafka: str, topics: str) -> None:
    from libs.common.config.settings import ServiceSettings
    from tests.running import running

    for round_ in ("one", "two"):
        async with running(
            sample_service.create_app, ServiceSettings, database=tally_database, kafka=kafka, prefix=topics
        ) as live:
            await give(live, [cancelled("a", round_)])
            await reach(live, "a", ["one"] if round_ == "one" else ["one", "two"])


async def test_a_consumer_that_can_apply_hardly_anything_holds_still_and_says_so(online: Live) -> None:
    """A bad deployment must not turn a whole topic into dead letters: 60 records succeed, then all fail."""
    await give(online, [cancelled(f"good{n}", "x") for n in range(60)])
    await reach(online, "good59", ["x"])
    await give(online, [cancelled(f"bad{n}", "poison") for n in range(300)])

    async def halted() -> bool:
        return (await online.client.get("/health/ready")).status_code == 503

    await eventually(halted, "the service says that it halted")
    assert (await online.client.get("/health/ready")).json()["halted"] == ["storefront.orders"]
    assert (await online.client.get("/health/live")).status_code == 200
    assert len(await dead_letters_of(online)) < 150


async def test_a_record_too_large_to_publish_again_becomes_a_dead_letter_and_stops_nobody(online: Live) -> None:
    await give(online, [("storefront.orders", "a", b"x" * 950_000, []), cancelled("a", "good")])
    await reach(online, "a", ["good"])
    settings = online.service.settings

    async def published() -> list[Any]:
        return await wire.read_all(
            settings.kafka_bootstrap_servers, f"{settings.kafka_topic_prefix}loyalty.dead-letters"
        )

    record = (await eventually(published, "it is on the dead-letter topic"))[0]
    assert dict(record.headers)["dlq.too_large"] == b"true"
    assert await online.service.pool.fetchval("SELECT length(value) FROM dead_letters") == 950_000


async def test_the_character_nul_is_replaced_and_costs_no_event(online: Live) -> None:
    await give(online, [cancelled("a", "x\x00y"), cancelled("a", "good")])
    await reach(online, "a", ["x\ufffdy", "good"])
    assert await dead_letters_of(online) == []


async def test_an_id_used_for_another_payload_is_an_anomaly_and_is_applied_only_by_a_replay(online: Live) -> None:
    await give(online, [cancelled("a", "one", "id-1"), cancelled("a", "other", "id-1"), cancelled("a", "two", "id-2")])
    await reach(online, "a", ["one", "two"])
    await give(online, [cancelled("a", "other", "id-1"), cancelled("a", "one", "id-1")])
    items = await eventually(lambda: _dead_letter_count(online, 2), "both are dead letters")
    assert {item["reason"] for item in items} == {"id_reused"}
    assert "'id-1' of source '/test' was used before for another payload" in items[0]["error"]
    counters = (await online.client.get("/ops/counters", headers=OPS)).json()
    assert counters["anomaly.id_reused"] == 2
    for item in items:
        await online.client.post(f"/ops/dead-letters/{item['id']}/replay", headers=OPS)
    await eventually(lambda: _settled(online), "both are replayed")
    assert await causes(online, "a") == ["one", "two", "other"]


async def _settled(live: Live) -> bool:
    return not await live.service.pool.fetchval("SELECT count(*) FROM dead_letters WHERE state <> 'replayed'")
