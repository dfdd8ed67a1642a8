"""Merged customers: orders, issues and counts of the former account follow the one that remains.

An account that remains can be merged itself later; merges are applied in the order of their arrival. Orders and reports
that still arrive under the former id are not translated: a shop stops using it with the merge.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from libs.common.decisions.facts import Facts, Record
from libs.common.events.registry import AnyEvent
from libs.common.events.storefront import CustomerMerged
from libs.common.postgres.pool import Connection

_ORDERS = """
    UPDATE orders SET version = version + 1, body = jsonb_set(body, '{purchase,customer_id}', to_jsonb($2::text))
    WHERE body #>> '{purchase,customer_id}' = $1"""
_BY_CUSTOMER = (
    "UPDATE issues SET customer_id = $2 WHERE customer_id = $1",
    "UPDATE delivered_units SET customer_id = $2 WHERE customer_id = $1",
    "UPDATE reported_lines SET customer_id = $2 WHERE customer_id = $1",
)


@dataclass(frozen=True, slots=True)
class CustomersMerged(Record):
    """Two accounts of one customer became one."""

    former: str
    remaining: str


@dataclass
class CustomerMerges:
    """The aggregate of merged customers. It has no state: a repeated merge finds nothing to change."""

    name: str = "customer_merges"
    is_read_model = False

    def key_of(self, event: AnyEvent) -> str | None:
        return event.data.merged_customer_id if isinstance(event.data, CustomerMerged) else None

    async def load(self, conn: Connection, keys: Sequence[str], events: Sequence[AnyEvent]) -> dict[str, None]:
        return {}

    def decide(self, state: None, event: AnyEvent, now: datetime) -> tuple[None, Facts]:
        merged = event.data
        if not isinstance(merged, CustomerMerged):
            return None, ()
        return None, (CustomersMerged(merged.merged_customer_id, merged.customer_id),)

    async def save(self, conn: Connection, changed: Mapping[str, None], records: Sequence[Record]) -> None:
        for record in records:
            if isinstance(record, CustomersMerged) and record.former != record.remaining:
                await conn.execute(_ORDERS, record.former, record.remaining)
                for statement in _BY_CUSTOMER:
                    await conn.execute(statement, record.former, record.remaining)
