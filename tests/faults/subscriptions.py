"""Event types that each service must consume, read from its published AsyncAPI document.

The services' wiring is not asked: a subscription that is missing in the code and promised in the document is a loss.
Only the names in the inboxes are of this module, since no document shows them.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from deploy.local.paths import ROOT
from libs.common.events.topics import ALL_SERVICES

DOCUMENTS = ROOT / "deploy" / "api"
_IN_EVERY_SERVICE = {"customers": "erasures", "storefront.customers": "customer_merges"}
INBOX_NAMES: Mapping[str, Mapping[str, str]] = {
    "intake": {
        **_IN_EVERY_SERVICE,
        "storefront.orders": "orders",
        "storefront.issues": "orders",
        "issues": "timeline",
        "notices": "timeline",
        "loyalty": "timeline",
        "anomalies": "anomalies",
    },
    "returns": {
        **_IN_EVERY_SERVICE,
        "storefront.orders": "order_snapshots",
        "issues": "cases",
        "warehouse.events": "cases",
        "carrier.events": "cases",
        "payment.events": "cases",
        "notices": "cases",
        "anomalies": "cases",
    },
    "delivery_notify": {
        **_IN_EVERY_SERVICE,
        "storefront.orders": "conversations",
        "issues": "conversations",
        "product.alerts": "conversations",
        "loyalty": "conversations",
        "messages": "conversations",
        "storefront.consents": "consents",
    },
    "loyalty": {**_IN_EVERY_SERVICE, "issues": "ledger", "storefront.orders": "orders"},
}
"""Names of the aggregates in the inboxes, by service and topic; partners has one for all topics."""

_ONLY_NAME = "feed"


@dataclass(frozen=True, slots=True)
class SubscribedType:
    """One event type that a service consumes from a topic; `aggregate` is the name in its inbox."""

    service: str
    aggregate: str
    topic: str
    type: str


@cache
def all_subscriptions(services: Sequence[str] = ALL_SERVICES) -> tuple[SubscribedType, ...]:
    """Every event type that the documents of these services say they receive."""
    found: list[SubscribedType] = []
    for service in services:
        document = json.loads((DOCUMENTS / f"{service}.asyncapi.json").read_text("utf-8"))
        for topic, type_ in received_types(document):
            name = INBOX_NAMES[service][topic] if service in INBOX_NAMES else _ONLY_NAME
            found.append(SubscribedType(service, name, topic, type_))
    return tuple(found)


def received_types(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Topic and event type of each message that an AsyncAPI 3 document lets its service receive."""
    for operation in document["operations"].values():
        if operation["action"] == "receive":
            topic = _resolve(document, operation["channel"])["address"]
            for reference in operation["messages"]:
                message = _resolve(document, _resolve(document, reference))
                yield from ((topic, type_) for type_ in _types(document, message["payload"]))


def _types(document: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[str]:
    """The constant `type` of each event in a schema: one event, one of several, or a batch of them."""
    schema = _resolve(document, schema)
    if "items" in schema:
        yield from _types(document, schema["items"])
    elif "anyOf" in schema:
        for each in schema["anyOf"]:
            yield from _types(document, each)
    else:
        yield schema["properties"]["type"]["const"]


def _resolve(document: Mapping[str, Any], node: Mapping[str, Any]) -> Mapping[str, Any]:
    """The node itself, or the one that it refers to."""
    if "$ref" not in node:
        return node
    found: Any = document
    for part in str(node["$ref"]).removeprefix("#/").split("/"):
        found = found[part.replace("~1", "/").replace("~0", "~")]
    return found  # type: ignore[no-any-return]
