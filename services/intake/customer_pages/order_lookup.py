"""Lookup of an order by its number and a proof, without a link or an account.

A guess learns nothing: an unknown number and a wrong proof get the same page and status, and every refusal leaves
`REFUSAL_SECONDS` after its request arrived, which is longer than the work for it takes. The same statements are run for
both, and attempts are counted before any of them, for typed numbers whether or not there is such an order. One network
has a smaller limit per number than all together, so that a few guesses lock nobody else out. One that comes back every
15 minutes reaches the limit of the day within 45 minutes, and closes the lookup of that order until the next day.
"""

import asyncio
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import timedelta

from libs.common.events.values import Reporter
from libs.common.runtime.service import Service
from libs.common.telemetry.metrics import Count
from services.intake.domain.order_contacts import OrderContact, Proof, kind_of, number_key, number_spellings, reader_of
from services.intake.store.order_contacts import find_by_number
from services.intake.store.order_lookups import Limit, admit_lookup, clear_lookup, record_lookup

REFUSAL_SECONDS = 0.5
"""Time from a request to its refusal; a lookup takes some milliseconds."""

OWN_LIMIT = Limit(5, timedelta(minutes=15))
"""For one order number from one network."""
NETWORK_LIMIT = Limit(30, timedelta(minutes=15))
NUMBER_LIMIT = Limit(20, timedelta(days=1))

ACCEPTED: dict[str, frozenset[Proof]] = {
    "postcode_or_mail": frozenset(Proof),
    "mail": frozenset({Proof.MAIL}),
    "off": frozenset(),
}
"""Accepted proofs by the setting ORDER_LOOKUP."""


class TooManyLookupsError(Exception):
    """Too many attempts that found nothing; try again later."""


@dataclass(frozen=True, slots=True)
class FoundOrder:
    """An order whose number and proof match, and whose knowledge the proof is."""

    order_id: str
    customer_id: str
    reader: Reporter


@dataclass(frozen=True, slots=True)
class OrderLookup:
    """`refusal_seconds` is the time after which every refusal leaves."""

    service: Service
    accepted: Collection[Proof]
    count: Count
    refusal_seconds: float = REFUSAL_SECONDS

    @property
    def is_open(self) -> bool:
        return bool(self.accepted)

    async def find(self, number: str, proof: str, network: str) -> FoundOrder | None:
        """Return the order, or None after `refusal_seconds`. Raises `TooManyLookupsError`."""
        leaves_at = asyncio.get_running_loop().time() + self.refusal_seconds
        spellings = number_spellings(number)
        counted = number_key(number)
        own, *shared = limits = _limits(counted, network)
        now = self.service.clock.now()
        async with self.service.pool.acquire() as conn, conn.transaction():
            if not await admit_lookup(conn, limits, now):
                self.count.add("limited")
                raise TooManyLookupsError
        async with self.service.pool.acquire() as conn, conn.transaction():
            found = self._match(await find_by_number(conn, spellings), proof)
            order_id, reader = (found.order_id, found.reader) if found else (None, None)
            await record_lookup(conn, now, kind_of(proof), counted, order_id, reader)
            if found:
                await clear_lookup(conn, own, shared, now)
        self.count.add("found" if found else "refused")
        if found is None:
            await asyncio.sleep(leaves_at - asyncio.get_running_loop().time())
        return found

    def _match(self, contacts: Iterable[OrderContact], proof: str) -> FoundOrder | None:
        """Return the order whose contact knows this proof; two orders may be known by one number."""
        readers = [(contact, reader_of(contact, proof, self.accepted)) for contact in contacts]
        found = (FoundOrder(each.order_id, each.customer_id, reader) for each, reader in readers if reader)
        return next(found, None)


def _limits(number: str, network: str) -> dict[str, Limit]:
    """Return the limits by subject; the first subject is this caller's own."""
    return {
        f"network:{network} number:{number}": OWN_LIMIT,
        f"network:{network}": NETWORK_LIMIT,
        f"number:{number}": NUMBER_LIMIT,
    }
