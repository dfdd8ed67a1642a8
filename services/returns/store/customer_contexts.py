"""Customer contexts of a batch: addresses, purchases and exposure rows, loaded in one statement.

No case and no event about one carries an address (invariant 12), so it is joined here. Exposure rows are locked for
the transaction; cases of one customer share the row object, so that each sees the changes of the one before it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from typing import Any, NamedTuple

from libs.common.events.values import Address
from libs.common.postgres.column_keys import ColumnKeys, keys_of
from libs.common.postgres.pool import Connection
from services.returns.domain.state.case import Case
from services.returns.domain.state.exposure import CustomerContext, CustomerExposure, record_case
from services.returns.domain.state.order_ledger import OrderLedger
from services.returns.store.documents import EXPOSURE_DOCUMENT, ORDER_LEDGER
from services.returns.store.order_snapshots import open_ship_to

# Exposure rows are locked before anything else is read. The cases of the batch are locked already: every transaction
# locks cases first and customers second.
_CONTEXTS = """
    WITH exposures AS (SELECT key, version, body FROM customers WHERE key = ANY($2) ORDER BY key FOR UPDATE),
    ledgers AS (SELECT key, version, body FROM order_ledgers WHERE key = ANY($1) ORDER BY key FOR SHARE)
    SELECT 'exposure' AS kind, key, version, body::text AS body, NULL AS qualifier, NULL::bytea AS sealed FROM exposures
    UNION ALL
    SELECT 'ledger', key, version, body::text, NULL, NULL FROM ledgers
    UNION ALL
    SELECT 'order', order_id, address_version,
           jsonb_strip_nulls(ship_to || jsonb_build_object('phone', coalesce(ship_to ->> 'phone', phone)))::text,
           address_hash, sealed FROM order_snapshots WHERE order_id = ANY($1)
    UNION ALL
    SELECT 'purchases', customer_id, NULL, sum(value)::text, currency, NULL FROM order_snapshots
    WHERE customer_id = ANY($3) AND delivered_at IS NOT NULL AND currency IS NOT NULL GROUP BY customer_id, currency
    UNION ALL
    SELECT 'same_address', o.order_id, NULL, (
        SELECT count(*) FROM (
            SELECT DISTINCT s.customer_id FROM order_snapshots s
            WHERE s.address_hash = o.address_hash AND s.customer_id <> o.customer_id LIMIT 20) AS others)::text,
        NULL, NULL
    FROM order_snapshots o WHERE o.order_id = ANY($4) AND o.address_hash IS NOT NULL"""


class CaseOwner(NamedTuple):
    """Order and customer of a case."""

    order_id: str
    customer_id: str


@dataclass(slots=True)
class ExposureRow:
    """Exposure row of one customer in this batch, with the version it was loaded with."""

    key: str
    version: int = 0
    exposure: CustomerExposure = field(default_factory=CustomerExposure)
    is_changed: bool = False

    def record(self, case: Case, is_new: bool, address_hash: str | None) -> None:
        after = record_case(self.exposure, case, is_new, address_hash)
        self.is_changed = self.is_changed or after is not self.exposure
        self.exposure = after


@dataclass(slots=True)
class _ContextRows:
    """Rows of `_CONTEXTS` by their kind."""

    keys: ColumnKeys
    exposures: dict[str, ExposureRow] = field(default_factory=dict)
    addresses: dict[str, tuple[Address | None, str | None, int]] = field(default_factory=dict)
    purchases: dict[str, dict[str, Decimal]] = field(default_factory=dict)
    other_customers: dict[str, int] = field(default_factory=dict)
    ledgers: dict[str, OrderLedger] = field(default_factory=dict)

    def add(self, row: Any) -> None:
        key, body = row["key"], row["body"]
        match row["kind"]:
            case "exposure":
                self.exposures[key] = ExposureRow(key, row["version"], EXPOSURE_DOCUMENT.validate_json(body))
            case "ledger":
                self.ledgers[key] = _ledger(key, row["version"], body)
            case "order":
                if sealed := row["sealed"]:
                    ship_to = open_ship_to(sealed, self.keys)
                else:
                    ship_to = Address.model_validate_json(body) if body else None
                # Without a hash key, only orders with the same id are known to share an address.
                self.addresses[key] = (ship_to, row["qualifier"] or f"order {key}", row["version"])
            case "purchases":
                self.purchases.setdefault(key, {})[row["qualifier"]] = Decimal(body)
            case _:
                self.other_customers[key] = int(body)

    def context(self, owner: CaseOwner, row: ExposureRow | None) -> CustomerContext:
        ship_to, address_hash, address_version = self.addresses.get(owner.order_id, (None, None, 0))
        return CustomerContext(
            ship_to,
            exposure=row.exposure if row else CustomerExposure(),
            address_hash=address_hash,
            address_version=address_version,
            purchases=self.purchases.get(owner.customer_id, {}),
            other_customers_at_address=self.other_customers.get(owner.order_id, 0),
            order=ledger if (ledger := self.ledgers.get(owner.order_id)) and ledger.is_placed else None,
        )


@lru_cache(maxsize=4096)
def _ledger(key: str, version: int, body: str) -> OrderLedger:
    """Return a ledger; most events of an order find it unchanged."""
    return ORDER_LEDGER.validate_json(body)


async def load_contexts(
    conn: Connection,
    owners: Mapping[str, CaseOwner],
    new: Mapping[str, CaseOwner],
    changing: Iterable[str | None],
) -> dict[str, tuple[CustomerContext, ExposureRow | None]]:
    """Return the contexts by issue id, with the locked exposure row where a case among `changing` may change it.

    The history that the risk checks need is loaded for `new` cases only.
    """
    if not owners:
        return {}
    customers = {owners[key].customer_id for key in changing if key and key in owners}
    records = await conn.fetch(
        _CONTEXTS,
        list({owner.order_id for owner in owners.values()}),
        sorted(customers),
        list({owner.customer_id for owner in new.values()}),
        list({owner.order_id for owner in new.values()}),
    )
    rows = _ContextRows(keys_of(conn))
    for record in records:
        rows.add(record)
    exposures = {key: ExposureRow(key) for key in customers} | rows.exposures

    def loaded(owner: CaseOwner) -> tuple[CustomerContext, ExposureRow | None]:
        row = exposures.get(owner.customer_id)
        return rows.context(owner, row), row

    return {key: loaded(owner) for key, owner in owners.items()}
