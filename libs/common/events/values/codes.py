"""Enumerations about issues."""

from enum import StrEnum


class Reason(StrEnum):
    """Reason of a report."""

    DEFECTIVE = "defective"
    DAMAGED_IN_TRANSIT = "damaged_in_transit"
    MISSING_PART = "missing_part"
    MISSING_ITEM = "missing_item"
    WRONG_ITEM = "wrong_item"
    LOST_IN_TRANSIT = "lost_in_transit"
    CHANGED_MIND = "changed_mind"


class Remedy(StrEnum):
    """Remedy of an issue."""

    REPLACEMENT = "replacement"
    PART_SHIPMENT = "part_shipment"
    REFUND = "refund"


class Fault(StrEnum):
    """Party at fault."""

    MERCHANT = "merchant"
    CARRIER = "carrier"
    CUSTOMER = "customer"


class Condition(StrEnum):
    """Result of the warehouse's inspection of a returned unit."""

    SELLABLE = "sellable"
    REPAIRABLE = "repairable"
    SCRAP = "scrap"
    NOT_AS_REPORTED = "not_as_reported"
    OTHER_ITEM = "other_item"


class Reporter(StrEnum):
    """Person who reports an issue."""

    CUSTOMER = "customer"
    """Customer who placed the order and paid for it."""
    RECIPIENT = "recipient"
    """Receiver of a gift: is notified about the goods, not about the money."""


class RecipientNotices(StrEnum):
    """Issues of which the receiver of a gift gets the messages about goods. The customer gets all others."""

    NONE = "none"
    OWN_REPORTS = "own_reports"
    """Issues that the receiver reported."""
    ALL_REPORTS = "all_reports"
    """All issues of the order, also those that the customer reported."""


class Choice(StrEnum):
    """Customer's answer when a date cannot be kept or an item is out of stock."""

    WAIT = "wait"
    CHANGE = "change"
    CANCEL = "cancel"
    REFUND = "refund"


class StaffAction(StrEnum):
    """Decision that staff can make about an issue."""

    ACCEPT = "accept"
    REJECT = "reject"
    CHOOSE_REMEDY = "choose_remedy"
    WAIVE_COLLECTION = "waive_collection"
    REOPEN = "reopen"
    CANCEL = "cancel"
    APPROVE_REVIEW = "approve_review"
    REFUSE_REVIEW = "refuse_review"
