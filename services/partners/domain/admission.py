"""Admission of events that a partner sends over HTTP: its own event types, source, orders and issues."""

from collections.abc import Mapping
from dataclasses import dataclass

from libs.common.events.faults import Fault
from libs.common.events.partner_rights import PartnerRole
from libs.common.events.registry import AnyEvent
from libs.common.events.sources import source_fault
from libs.common.events.storefront import OrderPlaced
from services.partners.domain.feed import author_of, ids_in
from services.partners.policy.partner_terms import PartnerTerms

_MUST_BE_GIVEN: dict[PartnerRole, frozenset[str]] = {
    PartnerRole.WAREHOUSE: frozenset({"issue_id", "replacement_id"}),
    PartnerRole.COURIER: frozenset({"collection_id"}),
    PartnerRole.PAYMENT: frozenset({"issue_id", "refund_id"}),
}
"""Ids that a partner can know from us only.

A courier learns of a replacement from its parcel, and a payment provider of an order from its purchase: these ids are
refused only if they were given to another partner of the role and not to this one.
"""


@dataclass(frozen=True, slots=True)
class Given:
    """An id that a partner was given: the partner, and the Kafka key of the event with which it was given."""

    partner: str
    key: str


Owners = Mapping[tuple[PartnerRole, str, str], tuple[Given, ...]]
"""Partners that were given an id, by role, field and id."""


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
    for kind, value in ids_in(event).items():
        given = owners.get((terms.role, kind, value), ())
        is_own = any(each.partner == name for each in given)
        must_be_given = kind in _MUST_BE_GIVEN.get(terms.role, ())
        if not is_own and (given or must_be_given):
            faults.append((f"data.{kind}", "was not given to you; send the id of an event that you received"))
    return faults


def kafka_key(event: AnyEvent, name: str, role: PartnerRole, owners: Owners) -> str:
    """Return the key of the record that this event answers, as a partner on Kafka would send it; else its own."""
    if getattr(event.data, event.data.TOPIC.key, None):
        return event.data.key
    for kind, value in ids_in(event).items():
        for each in owners.get((role, kind, value), ()):
            if each.partner == name:
                return each.key
    return event.data.key


def claimed_order(event: AnyEvent) -> str | None:
    """Return the order that becomes the sender's own by this event, or None."""
    return event.data.order_id if isinstance(event.data, OrderPlaced) else None
