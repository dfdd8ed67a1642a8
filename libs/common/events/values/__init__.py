"""Values of the contract: money, addresses, contacts, order lines."""

from libs.common.events.values.base import Currency, Identifier, Money, Quantity, Sha256, UtcTime, Value
from libs.common.events.values.codes import Choice, Condition, Fault, Reason, Remedy, StaffAction
from libs.common.events.values.lines import (
    CollectedLine,
    InspectedLine,
    IssueLine,
    LineQuantity,
    OrderLine,
    Prepayment,
    ReceivedLine,
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
    "Currency",
    "Fault",
    "Identifier",
    "InspectedLine",
    "IssueLine",
    "Language",
    "LineQuantity",
    "Money",
    "OrderLine",
    "Prepayment",
    "Quantity",
    "RawStatus",
    "Reason",
    "ReceivedLine",
    "Remedy",
    "ReportedLine",
    "Sha256",
    "ShippedLine",
    "StaffAction",
    "TimeWindow",
    "UtcTime",
    "Value",
    "Variant",
]
