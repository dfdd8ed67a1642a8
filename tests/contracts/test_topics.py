"""Topics: their events, their keys, and where personal data is allowed."""

from collections.abc import Iterator
from typing import Any, ClassVar

import pytest

from libs.common.events import topics
from libs.common.events.envelope import Payload
from libs.common.events.issues import IssueEvent
from libs.common.events.registry import BY_TYPE, PAYLOADS
from libs.common.events.schemas_export import schema_of
from libs.common.events.topics import TOPICS, Direction
from libs.common.events.values import Address, Contact, OrderLine
from tests.contracts.reading import each_payload

CONVERSATIONS: dict[str, tuple[str, Direction, str]] = {
    "storefront.orders": (
        "order_id",
        Direction.IN,
        "order.placed order.changed order.promise_changed order.delayed order.shipped shipment.changed "
        "order.delivered order.cancelled order.refunded "
        "order.change_answered preorder.progressed",
    ),
    "warehouse.orders": (
        "issue_id",
        Direction.OUT,
        "replacement.ordered replacement.cancelled replacement.readdressed item.return_ordered",
    ),
    "storefront.issues": ("order_id", Direction.IN, "issue.submitted issue.withdrawn"),
    "storefront.customers": ("merged_customer_id", Direction.IN, "customer.merged"),
    "storefront.consents": ("customer_id", Direction.IN, "customer.consent_changed"),
    "warehouse.events": (
        "issue_id",
        Direction.IN,
        "replacement.confirmed replacement.rejected replacement.delayed replacement.shipped replacement.recalled "
        "replacement.shipment_changed "
        "item.received item.inspected",
    ),
    "carrier.orders": ("issue_id", Direction.OUT, "collection.requested collection.cancelled"),
    "carrier.events": (
        "issue_id",
        Direction.IN,
        "parcel.delivered parcel.exception parcel.scanned parcel.found collection.booked collection.attempt_failed "
        "collection.collected collection.declined",
    ),
    "payment.orders": ("issue_id", Direction.OUT, "refund.requested"),
    "payment.events": (
        "issue_id",
        Direction.IN,
        "refund.completed refund.failed refund.reversed payment.charged_back payment.chargeback_reversed",
    ),
    "issues": (
        "issue_id",
        Direction.INTERNAL,
        "issue.reported issue.accepted issue.rejected issue.review_requested issue.details_requested "
        "issue.details_provided issue.staff_decided issue.collection_window_chosen "
        "issue.collection_window_declined "
        "issue.replacement_ordered issue.replacement_promised issue.replacement_delayed issue.replacement_shipped "
        "issue.replacement_tracked "
        "issue.replacement_part_shipped issue.collection_attempted issue.collection_reminded "
        "issue.staff_decision_applied "
        "issue.replacement_delivery_changed issue.refund_reversed "
        "issue.replacement_delivered issue.choice_requested issue.collection_requested issue.collection_booked "
        "issue.collected issue.item_received issue.item_inspected issue.refund_requested issue.refunded "
        "issue.resolved issue.rated issue.reopened issue.cancelled issue.anomaly_detected "
        "issue.customer_wrote",
    ),
    "notices": (
        "order_id",
        Direction.INTERNAL,
        "notice.sent notice.failed notice.suppressed customer.decided customer.decision_overdue "
        "customer.decision_settled",
    ),
    "messages": ("issue_id", Direction.INTERNAL, "message.replied"),
    "loyalty": (
        "customer_id",
        Direction.INTERNAL,
        "points.granted points.vested points.reversed points.reserved points.released points.redeemed "
        "points.expiring points.expired points.adjusted points.withheld tier.changed",
    ),
    "customers": (
        "customer_id",
        Direction.INTERNAL,
        "customer.erasure_requested customer.erased customer.consent_recorded customer.unsubscribed",
    ),
    "anomalies": (
        "cause",
        Direction.INTERNAL,
        "anomaly.detected anomaly.cleared count.staff_decided count.staff_decision_applied",
    ),
    "events.rejected": ("topic", Direction.OUT, "event.rejected"),
    "product.alerts": ("sku", Direction.INTERNAL, "cluster.detected lot.held lot.released buyer.warned"),
}

PUBLIC = (topics.ISSUES, topics.NOTICES, topics.LOYALTY, topics.PRODUCT_ALERTS, topics.ANOMALIES, topics.CUSTOMERS)
PERSONAL_MODELS = {Address.__name__, Contact.__name__}
PERSONAL_FIELDS = {
    *Address.model_fields,
    *Contact.model_fields,
    *("address", "contact", "ship_to", "collect_from", "recipient", "mail", "tel", "mobile", "first_name"),
    *("last_name", "full_name", "birthday", "description", "body"),
} - {"language"}


def test_the_topics_are_those_of_the_design() -> None:
    assert {topic.name: (topic.subject, topic.direction) for topic in TOPICS} == {
        name: (subject, direction) for name, (subject, direction, _) in CONVERSATIONS.items()
    }


def test_every_topic_about_orders_and_issues_is_keyed_by_the_customer() -> None:
    others = {topic.name: topic.key for topic in TOPICS if topic.key != "customer_id"}
    assert others == {"product.alerts": "sku", "anomalies": "cause", "events.rejected": "topic"}


@each_payload
def test_what_a_service_publishes_names_the_customer_that_is_its_key(payload: type[Payload]) -> None:
    if payload.TOPIC.direction is not Direction.IN:
        assert payload.model_fields[payload.TOPIC.key].is_required()


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_a_topic_carries_the_events_of_the_design(name: str) -> None:
    events = {payload.TYPE.removesuffix(".v1") for payload in PAYLOADS if payload.TOPIC.name == name}
    assert events == set(CONVERSATIONS[name][2].split())


@each_payload
def test_every_payload_has_the_subject_of_its_topic(payload: type[Payload]) -> None:
    # A partner's fact about goods or money may name no issue; such a payload derives its subject by a property.
    assert payload.model_fields[payload.TOPIC.subject].is_required() or payload.subject is not Payload.subject


def test_no_type_is_listed_twice() -> None:
    assert len(BY_TYPE) == len(PAYLOADS)


@each_payload
def test_a_type_is_dotted_past_tense_and_versioned(payload: type[Payload]) -> None:
    thing, _, fact = payload.TYPE.removesuffix(".v1").partition(".")
    assert thing.isidentifier()
    assert fact.isidentifier()
    assert payload.TYPE.endswith(".v1")


@pytest.mark.parametrize("payload", [one for one in PAYLOADS if one.TOPIC in PUBLIC], ids=lambda one: one.TYPE)
def test_no_personal_data_is_on_the_topics_that_everybody_reads(payload: type[Payload]) -> None:
    assert list(personal(schema_of(payload))) == []


def test_what_may_hold_personal_data_is_on_topics_that_let_go_of_it_within_a_week() -> None:
    """Derived from the schemas, so that a new event with an address on a topic of longer retention is found."""
    personal_topics = {one.TOPIC.name for one in PAYLOADS if list(personal(schema_of(one)))}
    assert personal_topics == {topic.name for topic in TOPICS if topic.personal}
    assert {topic.retention_days for topic in TOPICS if topic.personal} == {topics.PERSONAL_RETENTION_DAYS} == {7}


class IssueWithMail(IssueEvent):
    TYPE: ClassVar = "issue.mailed.v1"

    email: str


class IssueWithAddress(IssueEvent):
    TYPE: ClassVar = "issue.addressed.v1"

    deliver: Address | None = None


class IssueWithName(IssueEvent):
    TYPE: ClassVar = "issue.named.v1"

    name: str


class IssueWithItem(IssueEvent):
    TYPE: ClassVar = "issue.itemised.v1"

    lines: tuple[OrderLine, ...]


@pytest.mark.parametrize(
    ("payload", "found"),
    [
        (IssueWithMail, {"IssueWithMail.email"}),
        (IssueWithAddress, {"Address"} | {f"Address.{field}" for field in Address.model_fields}),
        (IssueWithName, {"IssueWithName.name"}),
        (IssueWithItem, set()),
    ],
)
def test_personal_data_is_found_where_it_is(payload: type[Payload], found: set[str]) -> None:
    assert set(personal(schema_of(payload))) == found


def personal(schema: dict[str, Any]) -> Iterator[str]:
    """Yield models and fields of personal data anywhere in a schema; an item's name (beside its SKU) is none."""
    for name, model in schema["$defs"].items():
        if name in PERSONAL_MODELS:
            yield name
        fields = set(model.get("properties", {}))
        allowed = {"name"} if "sku" in fields else set()
        yield from sorted(f"{name}.{field}" for field in fields & PERSONAL_FIELDS - allowed)
