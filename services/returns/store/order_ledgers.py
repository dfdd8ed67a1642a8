"""Order ledgers, keyed by order id, and the timers that pass their changes to the cases of the order.

A timer in the same transaction was chosen over an internal Kafka event, which would cost a round trip through the
broker and could arrive late. Each change has a timer name of its own, so that it never waits for a timer row that a
case in another transaction holds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from libs.common.decisions.facts import Facts, Record
from libs.common.decisions.fast_replace import replace
from libs.common.events.registry import AnyEvent
from libs.common.postgres.pool import Connection
from libs.common.postgres.state_table import StateTable
from services.returns.domain.handlers.order_watch import order_timer
from services.returns.domain.ledger_decisions import OrderEventArrived, OrderLedgerChanged, decide_ledger, order_of
from services.returns.domain.state.order_ledger import OrderLedger
from services.returns.store.documents import ORDER_LEDGER

# The trace is that of a timer that the case waits for, so that what follows is linked to the report.
_WAKE_CASES = """
    INSERT INTO timers (aggregate, key, name, due_at, trace)
    SELECT 'cases', c.key, changed.name, changed.at,
        (SELECT max(t.trace) FROM timers t WHERE t.aggregate = 'cases' AND t.key = c.key)
    FROM unnest($1::text[], $2::text[], $3::timestamptz[]) AS changed (order_id, name, at)
    JOIN cases c USING (order_id)
    ON CONFLICT DO NOTHING"""


@dataclass(frozen=True, slots=True)
class StoredLedger:
    """A ledger and the version that was loaded, for optimistic locking."""

    ledger: OrderLedger
    version: int


@dataclass
class OrderLedgers:
    """Order ledgers in the database: states of the aggregate of orders, and targets of events on other topics."""

    _table: StateTable[OrderLedger] = field(
        default_factory=lambda: StateTable("order_ledgers", ORDER_LEDGER, sparse=True)
    )

    async def load(self, conn: Connection, keys: Sequence[str]) -> dict[str, StoredLedger]:
        ledgers = await self._table.load(conn, keys)
        return {key: StoredLedger(ledger, version) for key, (version, ledger) in ledgers.items()}

    def decide(self, state: StoredLedger | None, event: AnyEvent, now: datetime) -> tuple[StoredLedger | None, Facts]:
        stored = state or StoredLedger(OrderLedger(order_of(event) or ""), 0)
        ledger, facts = decide_ledger(stored.ledger, event, now)
        return (state if ledger is stored.ledger else replace(stored, ledger=ledger)), facts

    async def save(self, conn: Connection, changed: Mapping[str, StoredLedger], records: Sequence[Record]) -> None:
        await self._table.save(conn, {key: (stored.version, stored.ledger) for key, stored in changed.items()})
        due = {record.order_id: record.at for record in records if isinstance(record, OrderLedgerChanged)}
        await wake_cases(conn, {(order, order_timer(changed[order].version + 1)): at for order, at in due.items()})

    async def record(self, conn: Connection, arrived: Sequence[OrderEventArrived]) -> None:
        """Apply events about orders that arrived on a topic of the cases."""
        if not arrived:
            return
        states = await self.load(conn, sorted({each.order_id for each in arrived}))
        changed: dict[str, StoredLedger] = {}
        records: list[Record] = []
        for each in arrived:
            before = states.get(each.order_id)
            after, facts = self.decide(before, each.event, each.at)
            if after and after is not before:
                states[each.order_id] = changed[each.order_id] = after
            records += [fact for fact in facts if isinstance(fact, Record)]
        await self.save(conn, changed, records)


async def wake_cases(conn: Connection, due: Mapping[tuple[str, str], datetime]) -> None:
    """Set timers of all cases of these orders, by order and timer name."""
    if due:
        keys = sorted(due)
        names = [name for _, name in keys]
        await conn.execute(_WAKE_CASES, [order for order, _ in keys], names, [due[key] for key in keys])
