"""Values of the contract: money, addresses, contacts, order lines."""

from libs.common.events.values.base import Currency, Identifier, Money, Quantity, Sha256, UtcTime, Value
from libs.common.events.values.codes import Choice, Condition, Fault, Reason, Remedy, StaffAction
from libs.common.events.values.lines import (
    CollectedLine,
    CountedLine,
    InspectedLine,
    IssueLine,
    LineQuantity,
    OrderLine,
    PaidLine,
    PointsSpent,
    Prepayment,
    ReceivedLine,
    ReplacementPart,
    ReportedLine,
    ShippedLine,
    Variant,
)
from libs.common.events.values.logistics import RawStatus, TimeWindow
from libs.common.events.values.people import Address, Contact, Language

__all__ = [
    "Address",
    "Choice",
    "CollectedLine",
    "Condition",
    "Contact",
    "CountedLine",
    "Currency",
    "Fault",
    "Identifier",
    "InspectedLine",
    "IssueLine",
    "Language",
    "LineQuantity",
    "Money",
    "OrderLine",
    "PaidLine",
    "PointsSpent",
    "Prepayment",
    "Quantity",
    "RawStatus",
    "Reason",
    "ReceivedLine",
    "Remedy",
    "ReplacementPart",
    "ReportedLine",
    "Sha256",
    "ShippedLine",
    "StaffAction",
    "TimeWindow",
    "UtcTime",
    "Value",
    "Variant",
]
