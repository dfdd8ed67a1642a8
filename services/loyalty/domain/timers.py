"""Names of the ledger's durable timers: `<kind>` or `<kind>:<key>`."""

VEST = "vest"
PURCHASE = "purchase"
RESERVATION = "reservation"
REVIEW = "review"
EXPIRY = "expiry"
TIER = "tier"
BIRTHDAY = "birthday"
MERGE = "merge"
MERGED_REFUND = "merged_refund"
MERGED_REVERSAL = "merged_reversal"


def timer_name(kind: str, key: object) -> str:
    return f"{kind}:{key}"


def split_timer_name(name: str) -> tuple[str, str]:
    """Return kind and key; the key may contain colons, and is empty if there is none."""
    kind, _, key = name.partition(":")
    return kind, key


def purchase_timer(order_id: str, version: int) -> str:
    """Timer for one change of an order. The version keeps changes apart, so that none overwrites another."""
    return timer_name(PURCHASE, f"{version}:{order_id}")


def purchase_order_id(key: str) -> str:
    return key.partition(":")[2]
