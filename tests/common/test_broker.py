"""Delivery-relevant settings of every subscriber of every service."""

from typing import Any

import pytest
from faststream import AckPolicy

from deploy.api.api_docs import example_app
from libs.common.events.topics import SERVICES
from libs.common.postgres.pool import create_pool
from libs.common.runtime.service import Service


def service_of(name: str) -> Service:
    service: Service = example_app(name).state.service
    return service


async def test_a_service_reads_all_its_topics_in_one_group_from_the_earliest_offset(tally_database: str) -> None:
    service = service_of("returns")
    pool = await create_pool(tally_database, size=2, application_name="test")
    broker: Any = service.kafka.broker(pool)
    await pool.close()
    (subscriber,) = broker.subscribers
    assert subscriber.group_id == "returns"
    assert set(subscriber.topic_names) == {each.topic for each in service.subscriptions}
    assert subscriber.ack_policy is AckPolicy.MANUAL, "offsets are committed by the DrainingListener"
    assert subscriber._connection_args["auto_offset_reset"] == "earliest"
    assert subscriber._connection_args["enable_auto_commit"] is False
    assert [each.name for each in subscriber._connection_args["partition_assignment_strategy"]] == ["range"]


@pytest.mark.parametrize("name", SERVICES)
def test_every_topic_is_described_in_the_group_of_its_service(name: str) -> None:
    service = service_of(name)
    groups = {subscriber.group_id for subscriber in service.broker().subscribers}  # type: ignore[attr-defined]
    assert groups == {name}
    assert len(service.broker().subscribers) == len(service.subscriptions)


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_takes_a_payload_only_once(name: str) -> None:
    taken = [payload for one in service_of(name).subscriptions for payload in one.payload_types]
    assert len(set(taken)) == len(taken)
