"""Sources: nobody speaks with the name of another author, and no type comes from another topic."""

from datetime import UTC, datetime
from typing import Any

import pytest

from libs.common.events.carrier import ParcelScanned
from libs.common.events.customers import CustomerErasureRequested
from libs.common.events.envelope import Payload
from libs.common.events.issues import IssueReplacementOrdered
from libs.common.events.payment import RefundCompleted
from libs.common.events.registry import AnyEvent, event_class
from libs.common.events.sources import service_source, source_fault
from libs.common.events.storefront import OrderCancelled
from libs.common.events.topics import CARRIER_ORDERS, ISSUES, STOREFRONT_ORDERS
from libs.common.events.warehouse import ItemReceived

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)


def event(payload: type[Payload], source: str) -> AnyEvent:
    data: Any = payload.model_construct()
    return event_class(payload).model_construct(id="1", source=source, type=payload.TYPE, time=NOON, data=data)


@pytest.mark.parametrize("payload", [OrderCancelled, ItemReceived, ParcelScanned, RefundCompleted])
@pytest.mark.parametrize(
    "source",
    ["/intake", "/returns/timers", "/delivery_notify", "loyalty", "//Intake", " /returns", "/erase/1"],
)
def test_a_partner_does_not_speak_as_a_service(payload: type[Payload], source: str) -> None:
    fault = source_fault(event(payload, source), payload.TOPIC.name)
    assert fault
    assert f"source: {source!r} is the name of another author" in fault


@pytest.mark.parametrize(
    ("payload", "own", "other"),
    [
        (OrderCancelled, "/storefront/eu", "/warehouse"),
        (ItemReceived, "/warehouse", "/courier/yamato"),
        (ParcelScanned, "/carrier", "/payment_provider"),
        (ParcelScanned, "/courier", "/storefront"),
        (RefundCompleted, "/payment_provider/1", "/Carrier"),
    ],
)
def test_a_partner_speaks_as_itself_and_not_as_another(payload: type[Payload], own: str, other: str) -> None:
    assert source_fault(event(payload, own), payload.TOPIC.name) is None
    assert source_fault(event(payload, "/my-shop/intake"), payload.TOPIC.name) is None
    assert source_fault(event(payload, other), payload.TOPIC.name) is not None


@pytest.mark.parametrize("payload", [IssueReplacementOrdered, CustomerErasureRequested])
def test_topics_of_services_carry_no_partner_name(payload: type[Payload]) -> None:
    assert source_fault(event(payload, "/returns"), payload.TOPIC.name) is None
    assert source_fault(event(payload, "/erase"), payload.TOPIC.name) is None
    assert source_fault(event(payload, "/courier"), payload.TOPIC.name) is not None


def test_a_type_of_another_topic_is_refused_with_its_place() -> None:
    fault = source_fault(event(IssueReplacementOrdered, "/returns"), "carrier.events")
    assert (
        fault == "type: issue.replacement_ordered.v1 belongs on topic issues, not on carrier.events; publish it there"
    )


@pytest.mark.parametrize(
    ("topic", "source"),
    [(ISSUES, "/intake"), (CARRIER_ORDERS, "/intake"), (STOREFRONT_ORDERS, "/storefront/intake")],
)
def test_a_service_names_the_partner_on_whose_behalf_it_publishes(topic: Any, source: str) -> None:
    assert service_source("intake", topic) == source
