"""Delivery-relevant settings of every subscriber of every service."""

from typing import Any

import pytest
from faststream import AckPolicy

from deploy.api.api_docs import example_app
from libs.common.events.topics import SERVICES
from libs.common.runtime.service import Service


def service_of(name: str) -> Service:
    service: Service = example_app(name).state.service
    return service


@pytest.mark.parametrize("name", SERVICES)
def test_every_subscriber_acknowledges_after_the_work_and_reads_from_the_earliest_offset(name: str) -> None:
    subscribers: list[Any] = list(service_of(name).broker().subscribers)
    assert subscribers
    for subscriber in subscribers:
        assert subscriber.ack_policy is AckPolicy.NACK_ON_ERROR
        assert subscriber._connection_args["auto_offset_reset"] == "earliest"
        assert subscriber._connection_args["enable_auto_commit"] is False


@pytest.mark.parametrize("name", SERVICES)
def test_every_subscriber_has_a_consumer_group_of_its_own(name: str) -> None:
    groups = [subscriber.group_id for subscriber in service_of(name).broker().subscribers]  # type: ignore[attr-defined]
    assert len(set(groups)) == len(groups)
    assert all(group.startswith(f"{name}.") for group in groups)


@pytest.mark.parametrize(
    ("name", "topic", "milliseconds"),
    [("returns", "issues", 20), ("returns", "warehouse.events", 100), ("intake", "storefront.orders", 300)],
    ids=["the order for a replacement", "a step of an issue", "what nobody waits for"],
)
def test_nobody_waits_longer_for_a_topic_than_it_is_worth(name: str, topic: str, milliseconds: int) -> None:
    subscribers: list[Any] = list(service_of(name).broker().subscribers)
    [subscriber] = [each for each in subscribers if each.group_id == f"{name}.{topic}"]
    assert subscriber._connection_args["fetch_max_wait_ms"] == milliseconds


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_takes_a_payload_only_once(name: str) -> None:
    taken = [payload for one in service_of(name).subscriptions for payload in one.payload_types]
    assert len(set(taken)) == len(taken)
