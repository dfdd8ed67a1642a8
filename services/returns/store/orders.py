"""Orders of the storefront: the address and value of each (`order_snapshots`), and its money (`order_ledgers`)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from libs.common.decisions.facts import Facts, Ignored, Record
from libs.common.events.registry import AnyEvent
from libs.common.postgres.pool import Connection
from services.returns.domain.handlers.order_watch import address_timer
from services.returns.domain.ledger_decisions import order_of
from services.returns.store.order_ledgers import OrderLedgers, StoredLedger, wake_cases
from services.returns.store.order_snapshots import AddressChanged, OrderSnapshot, OrderSnapshots


class OrderStates(NamedTuple):
    """Both states of one order; None where nothing is known yet."""

    ledger: StoredLedger | None = None
    snapshot: OrderSnapshot | None = None


@dataclass
class KnownOrders:
    """Aggregate of orders by order id."""

    snapshots: OrderSnapshots
    name: str = "order_snapshots"
    is_read_model = True
    ledgers: OrderLedgers = field(default_factory=OrderLedgers)

    def key_of(self, event: AnyEvent) -> str | None:
        return order_of(event)

    async def load(self, conn: Connection, keys: Sequence[str], events: Sequence[AnyEvent]) -> dict[str, OrderStates]:
        ledgers = await self.ledgers.load(conn, keys)
        snapshots = await self.snapshots.load(conn, keys, events)
        return {key: OrderStates(ledgers.get(key), snapshots.get(key)) for key in ledgers.keys() | snapshots.keys()}

    def decide(self, state: OrderStates | None, event: AnyEvent, now: datetime) -> tuple[OrderStates | None, Facts]:
        before = state or OrderStates()
        ledger, of_ledger = self.ledgers.decide(before.ledger, event, now)
        snapshot, of_snapshot = self.snapshots.decide(before.snapshot, event, now)
        if ledger is before.ledger and snapshot is before.snapshot:
            return state, of_ledger
        facts = [fact for fact in (*of_ledger, *of_snapshot) if not isinstance(fact, Ignored)]
        return OrderStates(ledger, snapshot), facts

    async def save(self, conn: Connection, changed: Mapping[str, OrderStates], records: Sequence[Record]) -> None:
        snapshots = {key: order.snapshot for key, order in changed.items() if order.snapshot}
        if snapshots:
            await self.snapshots.save(conn, snapshots, records)
        ledgers = {key: order.ledger for key, order in changed.items() if order.ledger}
        await self.ledgers.save(conn, ledgers, records)
        await wake_cases(
            conn,
            {
                (record.order_id, address_timer(record.version)): record.at
                for record in records
                if isinstance(record, AddressChanged)
            },
        )
