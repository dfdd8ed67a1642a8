"""Admission of events that a partner sends over HTTP: its own event types, source, orders and issues."""

from collections.abc import Mapping
from dataclasses import dataclass

from libs.common.events.faults import Fault
from libs.common.events.partner_rights import PartnerRole
from libs.common.events.registry import AnyEvent
from libs.common.events.sources import source_fault
from libs.common.events.storefront import CustomerMerged, OrderPlaced
from libs.common.events.warehouse import CountingEvent
from services.partners.domain.feed import author_of, ids_in
from services.partners.policy.partner_terms import PartnerTerms

_MUST_BE_GIVEN: dict[PartnerRole, frozenset[str]] = {
    PartnerRole.WAREHOUSE: frozenset({"issue_id", "replacement_id"}),
    PartnerRole.COURIER: frozenset({"collection_id"}),
    PartnerRole.PAYMENT: frozenset({"issue_id", "refund_id"}),
}
"""Ids that a partner can know from us only.

A courier learns of a replacement from its parcel, and a payment provider of an order from its purchase: these ids are
refused only if they were given to another partner of the role and not to this one. The same holds for counts of a
warehouse: goods come back without an order of ours to it, and without papers.
"""

PLACED_ORDER, BUYER = "placed_order", "buyer"
"""Kinds of an order and a customer that a storefront named in an `order.placed`; an order is placed by one storefront.

All storefronts receive the internal events of all orders, so the ids of these events make no order a storefront's own.
"""


@dataclass(frozen=True, slots=True)
class Given:
    """An id that a partner was given: the partner, and the Kafka key of the event with which it was given."""

    partner: str
    key: str


Owners = Mapping[tuple[PartnerRole, str, str], tuple[Given, ...]]
"""Partners that were given an id, by role, field and id."""


_NOT_GIVEN = "was not given to you; send the id of an event that you received"
_REMEDIES = {
    PLACED_ORDER: "was placed by another storefront; send an order of your own",
    BUYER: "is a customer of another storefront; send customers with orders of your own",
}


def type_fault(type_: str, terms: PartnerTerms) -> Fault | None:
    """Return why this partner may not send this event type, or None."""
    if type_ in terms.may_send:
        return None
    allowed = ", ".join(sorted(terms.may_send)) or "none"
    return "type", f"{type_[:80]!r} is not for role {terms.role}; this partner may send: {allowed}"


def faults_of_event(event: AnyEvent, name: str, terms: PartnerTerms, owners: Owners) -> list[Fault]:
    """Return all reasons for which this partner may not send this event."""
    faults: list[Fault] = []
    if author_of(event.source) != name:
        faults.append(("source", f"is not yours; send '/{name}' or '/{name}/' and a name of your choice"))
    elif fault := source_fault(event, event.data.TOPIC.name):
        field, _, message = fault.partition(": ")
        faults.append((field, message))
    must_be_given = (
        frozenset() if isinstance(event.data, CountingEvent) else _MUST_BE_GIVEN.get(terms.role, frozenset())
    )
    for path, kind, value in _checked_ids(event, terms.role):
        given = owners.get((terms.role, kind, value), ())
        is_own = any(each.partner == name for each in given)
        if not is_own and (given or kind in must_be_given):
            faults.append((f"data.{path}", _REMEDIES.get(kind, _NOT_GIVEN)))
    return faults


def _checked_ids(event: AnyEvent, role: PartnerRole) -> list[tuple[str, str, str]]:
    """Return path, kind and value of each id that may be another partner's."""
    named = [
        (kind, PLACED_ORDER if kind == "order_id" and role == PartnerRole.STOREFRONT else kind, value)
        for kind, value in ids_in(event).items()
    ]
    if isinstance(event.data, CustomerMerged):
        accounts = ("customer_id", "merged_customer_id")
        named += [(field, BUYER, getattr(event.data, field)) for field in accounts]
    for index, line in enumerate(getattr(event.data, "lines", None) or ()):
        if issue_id := getattr(line, "issue_id", None):
            named.append((f"lines.{index}.issue_id", "issue_id", str(issue_id)))
    return named


def looked_up_ids(event: AnyEvent, role: PartnerRole) -> set[tuple[str, str]]:
    """Return kind and value of each id whose owners `faults_of_event` and `kafka_key` need."""
    return {*ids_in(event).items(), *((kind, value) for _, kind, value in _checked_ids(event, role))}


def kafka_key(event: AnyEvent, name: str, role: PartnerRole, owners: Owners) -> str:
    """Return the key of the record that this event answers, as a partner on Kafka would send it; else its own."""
    if getattr(event.data, event.data.TOPIC.key, None):
        return event.data.key
    ids = [*ids_in(event).items(), *((kind, value) for _, kind, value in _checked_ids(event, role))]
    for kind, value in ids:
        for each in owners.get((role, kind, value), ()):
            if each.partner == name:
                return each.key
    return event.data.key


def claimed_ids(event: AnyEvent) -> dict[str, str]:
    """Return the ids that become the sender's own by this event, by kind."""
    if not isinstance(event.data, OrderPlaced):
        return {}
    order_id = event.data.order_id
    return {PLACED_ORDER: order_id, "order_id": order_id, BUYER: event.data.customer_id}
