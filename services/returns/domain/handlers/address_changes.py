"""Corrected addresses: open replacements and collections go to the address that the shop stated last (invariant 18).

A replacement that has not shipped is readdressed, a collection is requested again at the new door. A parcel that has
left for the former address is a decision of staff: to have it diverted, or to send another one. A case compares
versions, because it holds no address itself; a repeated or late correction changes no version.
"""

from libs.common.events.warehouse import ReplacementReaddressed
from services.returns.domain.context import CaseDecision
from services.returns.domain.handlers import inbound
from services.returns.domain.state.outbound_leg import AWAITING_SHIPMENT, OutboundLeg, OutboundStatus
from services.returns.domain.state.review_causes import ReviewCause


def follow_address(decision: CaseDecision) -> None:
    """Bring partners and staff up to date with the address of the order."""
    if decision.ship_to is None or decision.case.is_closed:
        return
    leg, version = decision.case.outbound, decision.customer.address_version
    if leg.status is OutboundStatus.SHIPPED and _left_for_former_address(leg, version):
        decision.change_outbound(address_version=version, readdressed_at=None)
        decision.open_review(ReviewCause.ADDRESS_CHANGED)
    elif leg.status in AWAITING_SHIPMENT and leg.address_version != version:
        _readdress(decision)
    if decision.case.inbound.is_pending and decision.case.inbound.address_version != version:
        _move_collection(decision)


def _left_for_former_address(leg: OutboundLeg, version: int) -> bool:
    """Return whether a parcel left before the correction was made, or before the warehouse could know of it."""
    readdressed_at = leg.readdressed_at
    left = [parcel.shipped_at for parcel in leg.parcels if parcel.shipped_at and not parcel.delivered_at]
    return leg.address_version != version or bool(readdressed_at and any(at <= readdressed_at for at in left))


def _readdress(decision: CaseDecision) -> None:
    assert decision.ship_to is not None
    leg, version = decision.case.outbound, decision.customer.address_version
    decision.change_outbound(address_version=version, readdressed_at=decision.now)
    decision.emit(
        ReplacementReaddressed(
            **decision.ids,
            replacement_id=leg.replacement_id,
            ship_to=decision.ship_to,
            readdressed_at=decision.now,
        )
    )


def _move_collection(decision: CaseDecision) -> None:
    """Request the collection at the new door; it stays a swap only while one courier brings and takes."""
    leg = decision.case.inbound
    is_swap = leg.is_swap and not decision.case.in_review(ReviewCause.ADDRESS_CHANGED)
    earliest = max(leg.window_day or leg.earliest_date or decision.today, decision.today)
    inbound.request_collection(decision, earliest, swap=is_swap)
