"""Merged customers in delivery_notify: conversations, contacts, notices and consents become the other account's.

Promises are those of orders, and stay. An address that is suppressed stays so.
Events that came before the merge are released by a timer, since handling them is a decision.
"""

from datetime import datetime

from libs.common.decisions.facts import SetTimer
from libs.common.messaging import outbox
from libs.common.postgres.pool import Connection
from libs.common.privacy.customer_merges import Merge, current_customer
from services.delivery_notify.domain.conversation import Conversation
from services.delivery_notify.domain.decide import MERGED
from services.delivery_notify.store.consents import move_consents
from services.delivery_notify.store.conversation_table import ConversationTable, VersionedConversation
from services.delivery_notify.store.conversations import Conversations
from services.delivery_notify.store.preferences import move_preferences

# A notice may come before its order, which then names nobody yet. Few notices are unsettled; they have an index.
_ORDERS = """
    SELECT key FROM conversations WHERE customer_id = $1
    UNION SELECT order_id FROM contacts WHERE customer_id = $1
    UNION SELECT order_id FROM notices WHERE settled_at IS NULL AND customer_id = $1 ORDER BY 1"""
# In a chain the events that wait can be those of an account that is merged later than the order's.
_HOLDING = "SELECT key FROM conversations WHERE customer_id = $1 AND body -> 'held' IS NOT NULL"
_MOVE_CONTACTS = "UPDATE contacts SET customer_id = $2 WHERE customer_id = $1"
# By order and by settlement: the two indexes that hold all notices of a customer.
_MOVE_NOTICES = """
    UPDATE notices SET customer_id = $2
    WHERE customer_id = $1 AND (order_id = ANY($3) OR settled_at IS NOT NULL)"""


async def move_customer(conn: Connection, merge: Merge, now: datetime) -> None:
    former, remaining = merge.former_id, merge.customer_id
    orders = [row["key"] for row in await conn.fetch(_ORDERS, former, timeout=300)]
    holding = [row["key"] for row in await conn.fetch(_HOLDING, remaining, timeout=300)]
    await _move_conversations(conn, sorted({*orders, *holding}), merge, now)
    await conn.execute(_MOVE_CONTACTS, former, remaining, timeout=300)
    await conn.execute(_MOVE_NOTICES, former, remaining, orders, timeout=300)
    await move_preferences(conn, former, remaining)
    await move_consents(conn, former, remaining)


async def _move_conversations(conn: Connection, orders: list[str], merge: Merge, now: datetime) -> None:
    if not orders:
        return
    table = ConversationTable()
    loaded = await table.load(conn, orders)
    moved = {
        key: VersionedConversation(each.version, await _moved(conn, each.conversation, merge))
        for key, each in loaded.items()
    }
    await table.save(conn, moved)
    released = [key for key, each in moved.items() if each.conversation.is_released]
    timers = {(key, MERGED): (SetTimer(MERGED, now), None) for key in released}
    await outbox.write_effects(conn, (), Conversations.name, timers)


async def _moved(conn: Connection, conversation: Conversation, merge: Merge) -> Conversation:
    moved = conversation.with_customer(merge.former_id, merge.customer_id)
    for named in {each.customer_id for each in moved.held}:
        moved = moved.with_customer(named, await current_customer(conn, named))
    return moved
