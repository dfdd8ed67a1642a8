"""Merged customers in intake: orders, issues and counts of the former account become those of the other."""

from datetime import datetime

from pydantic import TypeAdapter

from libs.common.decisions.fast_replace import replace
from libs.common.postgres.pool import Connection
from libs.common.privacy.customer_merges import Merge
from services.intake.domain.orders import Order

_ORDER: TypeAdapter[Order] = TypeAdapter(Order)

# Orders have no index by customer, so this scans the table: rare, and it locks the customer's own rows only. A report
# that waits for its order holds its own customer id.
_ORDERS = """
    SELECT key, body FROM orders
    WHERE body #>> '{purchase,customer_id}' = $1
       OR jsonb_path_exists(body, '$.awaiting_order[*].submission.customer_id ? (@ == $customer_id)',
                            jsonb_build_object('customer_id', $1::text))
    ORDER BY key FOR UPDATE"""
_REWRITE = """
    UPDATE orders o SET body = moved.body, version = o.version + 1
    FROM unnest($1::text[], $2::jsonb[]) AS moved (key, body) WHERE o.key = moved.key"""
_BY_CUSTOMER = (
    "UPDATE issues SET customer_id = $2 WHERE customer_id = $1",
    "UPDATE customer_messages SET customer_id = $2 WHERE customer_id = $1",
    "UPDATE order_contacts SET customer_id = $2 WHERE customer_id = $1",
    "UPDATE delivered_units SET customer_id = $2 WHERE customer_id = $1",
    "UPDATE reported_lines SET customer_id = $2 WHERE customer_id = $1",
)


async def move_customer(conn: Connection, merge: Merge, now: datetime) -> None:
    former, remaining = merge.former_id, merge.customer_id
    rows = await conn.fetch(_ORDERS, former, timeout=300)
    moved = [_of_customer(_ORDER.validate_json(row["body"]), former, remaining) for row in rows]
    if rows:
        bodies = [_ORDER.dump_json(order).decode() for order in moved]
        await conn.execute(_REWRITE, [row["key"] for row in rows], bodies)
    for statement in _BY_CUSTOMER:
        await conn.execute(statement, former, remaining, timeout=300)


def _of_customer(order: Order, former: str, remaining: str) -> Order:
    """Return the order, and the reports that wait in it, as those of the remaining account."""
    purchase = order.purchase
    if purchase and purchase.customer_id == former:
        purchase = replace(purchase, customer_id=remaining)
    return replace(
        order,
        purchase=purchase,
        awaiting_order=tuple(report.of_customer(former, remaining) for report in order.awaiting_order),
        awaiting_details=tuple(
            replace(pending, report=pending.report.of_customer(former, remaining)) for pending in order.awaiting_details
        ),
    )
