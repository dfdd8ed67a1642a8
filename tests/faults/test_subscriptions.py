"""The types that a service must consume come from its AsyncAPI document, and name the inbox of the right aggregate."""

from deploy.api.api_docs import example_app
from libs.common.events.topics import ALL_SERVICES
from tests.faults.subscriptions import SubscribedType, all_subscriptions, received_types

DOCUMENT = {
    "channels": {
        "stock": {"address": "stock", "messages": {"Batch": {"$ref": "#/components/messages/stock~1in"}}},
        "sales": {"address": "sales", "messages": {"Sale": {"payload": {"$ref": "#/components/schemas/Sold"}}}},
    },
    "operations": {
        "in": {
            "action": "receive",
            "channel": {"$ref": "#/channels/stock"},
            "messages": [{"$ref": "#/channels/stock/messages/Batch"}],
        },
        "out": {
            "action": "send",
            "channel": {"$ref": "#/channels/sales"},
            "messages": [{"$ref": "#/channels/sales/messages/Sale"}],
        },
    },
    "components": {
        "messages": {"stock/in": {"payload": {"items": {"anyOf": [{"$ref": "#/components/schemas/Came"}]}}}},
        "schemas": {
            "Came": {"properties": {"type": {"const": "came.v1"}}},
            "Sold": {"properties": {"type": {"const": "sold.v1"}}},
        },
    },
}


def test_the_types_of_received_batches_are_read_and_sent_ones_are_not() -> None:
    assert list(received_types(DOCUMENT)) == [("stock", "came.v1")]


def test_each_service_as_wired_consumes_exactly_the_types_of_its_document() -> None:
    wired = {
        SubscribedType(name, each.aggregate.name, each.topic, payload.TYPE)
        for name in ALL_SERVICES
        for each in example_app(name).state.service.subscriptions
        for payload in each.payload_types
    }
    assert set(all_subscriptions()) == wired
