"""Earlier purchases of customers, from the orders that are known: their number, and the item bought last.

Read for a batch of claimed notices, in one statement, where the shop stated neither; what it states takes precedence.
"""

from collections.abc import Sequence
from typing import Any

from libs.common.decisions.fast_replace import replace
from libs.common.postgres.pool import Connection
from services.delivery_notify.store.notice_queue import ClaimedNotice

# Of orders placed at the same time none is the earlier one. An item that was cancelled was not bought.
_EARLIER = """
    SELECT c.order_id, earlier.orders + 1 AS number, last.item
    FROM unnest($1::text[]) AS o (order_id) JOIN contacts c USING (order_id)
    CROSS JOIN LATERAL (
        SELECT count(*) AS orders FROM contacts b
        WHERE b.customer_id = c.customer_id AND b.placed_at < c.placed_at) AS earlier
    LEFT JOIN LATERAL (
        SELECT v.body #>> '{lines,0,name}' AS item FROM contacts b JOIN conversations v ON v.key = b.order_id
        WHERE b.customer_id = c.customer_id AND b.placed_at < c.placed_at
          AND v.body #>> '{lines,0,cancelled}' IS NULL
        ORDER BY b.placed_at DESC LIMIT 1) AS last ON true
    WHERE c.placed_at IS NOT NULL"""


async def with_purchases(
    conn: Connection, claimed: Sequence[ClaimedNotice], *, is_complete: bool
) -> list[ClaimedNotice]:
    """Return these notices with what the customer bought before; the number of the order only if the history
    `is_complete`, since it would be too low otherwise."""
    order_ids = {each.order_id for each in claimed if each.contact and each.contact.last_purchased_item is None}
    if not order_ids:
        return list(claimed)
    known = {row["order_id"]: row for row in await conn.fetch(_EARLIER, list(order_ids))}
    return [_with_purchase(each, known.get(each.order_id), is_complete=is_complete) for each in claimed]


def _with_purchase(notice: ClaimedNotice, row: Any, *, is_complete: bool) -> ClaimedNotice:
    contact = notice.contact
    if contact is None or row is None or contact.last_purchased_item:
        return notice
    number, item = row["number"], row["item"]
    return replace(
        notice, contact=replace(contact, last_purchased_item=item, purchase_count=number if is_complete else None)
    )
