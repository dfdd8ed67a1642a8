"""Tracking numbers of replacements, by which an event about the parcel of another case is recognized.

An event that names a replacement of this case and the parcel of another one contradicts itself: one of both ids is
wrong, and nobody here can know which. Two cases of one customer may ship in one parcel, as their warehouse states.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from libs.common.decisions.facts import Record
from libs.common.decisions.shipments import plain_number
from libs.common.events.carrier import ParcelDelivered, ParcelException, ParcelScanned
from libs.common.events.envelope import Payload
from libs.common.events.warehouse import ReplacementShipmentChanged, ReplacementShipped
from services.returns.domain.state.case import Case

ParcelOwners = Mapping[str, Mapping[str, str]]
"""Customers of the cases that a tracking number belongs to, by plain number and issue id."""

_SHIPPING = (ReplacementShipped, ReplacementShipmentChanged)
_OF_A_PARCEL = (*_SHIPPING, ParcelDelivered, ParcelException, ParcelScanned)


@dataclass(frozen=True, slots=True)
class ParcelNumbered(Record):
    """A parcel of a case has this tracking number."""

    number: str
    issue_id: UUID
    at: datetime


def stated_number(data: Payload) -> str | None:
    """Return the plain tracking number that an event states for a replacement."""
    return plain_number(data.tracking_number) if isinstance(data, _OF_A_PARCEL) and data.replacement_id else None


def numbers_of(case: Case | None) -> frozenset[str]:
    """Return the plain tracking numbers of all parcels of a case."""
    legs = case.replacements if case else ()
    return frozenset(number for leg in legs for each in leg.parcels if (number := plain_number(each.tracking_number)))


def is_of_another_case(case: Case, owners: ParcelOwners, data: Payload) -> bool:
    """Return whether an event about a replacement of this case names a parcel of another case."""
    number = stated_number(data)
    of_number = owners.get(number) if number else None
    if not of_number or number in numbers_of(case):
        return False
    if getattr(data, "replacement_id", None) not in {leg.replacement_id for leg in case.replacements}:
        return False  # an unknown replacement, which is an anomaly of its own
    others = {customer for issue_id, customer in of_number.items() if issue_id != str(case.issue_id)}
    return bool(others - {case.customer_id} if isinstance(data, _SHIPPING) else others)
