"""Checks on corrections: what the shop states last counts in every service and for every partner (invariant 18).

Lines in the databases are compared with the topics, addresses on the orders to warehouse and courier with the addresses
that the shop stated. A parcel that left soon after a correction may have either address, unless the correction had been
read everywhere when it was ordered: a short run shows that by the moments at which nothing was left to read.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from deploy.verification.evidence import Fact, History
from deploy.verification.order_versions import OrderStatement, line_versions, remaining_accounts, statements
from deploy.verification.verdict import InsufficientDataError, Violation, violation

TOO_LATE = timedelta(hours=2)
"""A correction that came less than this before a parcel left, or a courier came, may have missed it."""

PLACE = ("street", "city", "postal_code")
"""Fields of an address that are compared."""

CASE_ENDS = ("issue.resolved", "issue.cancelled", "issue.reopened")


class GoodsMovement(NamedTuple):
    """Orders to a partner about one movement of goods, and what ends it."""

    id_field: str
    orders: tuple[str, ...]
    address_field: str
    ends: tuple[str, ...]


MOVEMENTS = (
    GoodsMovement(
        "replacement_id",
        ("replacement.ordered", "replacement.readdressed"),
        "ship_to",
        ("replacement.shipped", "replacement.rejected", "replacement.cancelled"),
    ),
    GoodsMovement(
        "collection_id",
        ("collection.requested",),
        "collect_from",
        ("collection.collected", "collection.attempt_failed", "collection.cancelled", "item.received"),
    ),
)


def corrections_count(history: History) -> Iterator[Violation]:
    """The newest lines in every service, the newest address on each order to a partner, one account after a merge."""
    yield from _quantities(history)
    yield from _addresses(history)
    yield from _merged_accounts(history)


def _quantities(history: History) -> Iterator[Violation]:
    """Every service has the number of units that the shop stated last."""
    corrected = {
        (order, line_id): versions[-1]
        for order, lines in line_versions(history).items()
        for line_id, versions in lines.items()
        if any(version.fact.type == "order.changed" for version in versions)
    }
    rows = {service: database.rows("order_lines") for service, database in history.databases.items()}
    if corrected and not any(rows.values()):
        raise InsufficientDataError("the lines of corrected orders were not read")
    for service, known in rows.items():
        for row in known:
            newest = corrected.get((row["order_id"], row["line_id"]))
            if newest and row["quantity"] != newest.value["quantity"]:
                what = f"order {row['order_id']} line {row['line_id']}: {row['quantity']} units in {service}"
                yield violation(f"{what}, {newest.value['quantity']} by the shop", newest.fact)


def _addresses(history: History) -> Iterator[Violation]:
    stated = statements(history, "ship_to")
    for issue, facts in history.issues():
        for movement in MOVEMENTS:
            for name in dict.fromkeys(fact.data[movement.id_field] for fact in facts if fact.type in movement.orders):
                about = [fact for fact in facts if fact.data.get(movement.id_field) == name]
                given = [fact for fact in about if fact.type in movement.orders]
                ended = [fact for fact in about if fact.type in movement.ends]
                ended += [fact for fact in facts if fact.type in ("item.received", *CASE_ENDS)]
                known_by = min((fact.event_time for fact in ended), default=history.now) - TOO_LATE
                for each in given:
                    yield from _against_what_was_known(history, issue, stated.get(each.order, ()), each, movement)
                yield from _sent_elsewhere(issue, stated.get(given[0].order, ()), given[-1], movement, known_by)


def _sent_elsewhere(
    issue: str, stated: Sequence[OrderStatement], given: Fact, movement: GoodsMovement, known_by: datetime
) -> Iterator[Violation]:
    """Compare the address that a partner was given last with the newest that was published in time."""
    in_time = [version for version in stated if version.fact.event_time <= known_by]
    if len(stated) < 2 or not in_time:
        return
    later = [version for version in stated if version.fact.event_time > known_by]
    address = given.data[movement.address_field]
    if not any(_is_same_place(address, version.value) for version in (in_time[-1], *later)):
        yield violation(f"issue {issue}: {given.type} has an address that was corrected", in_time[-1].fact, given)


def _against_what_was_known(
    history: History, issue: str, stated: Sequence[OrderStatement], given: Fact, movement: GoodsMovement
) -> Iterator[Violation]:
    """Compare the address in an order to a partner with the newest that every service had read by then."""
    rest = max((moment for moment in history.rests if moment < given.written_at), default=None)
    known = [version for version in stated if rest and version.fact.written_at < rest]
    if not known:
        return
    later = [version for version in stated if version not in known]
    address = given.data[movement.address_field]
    if not any(_is_same_place(address, version.value) for version in (known[-1], *later)):
        what = f"issue {issue}: {given.type} has an address that was corrected before"
        yield violation(what, known[-1].fact, given)


def _is_same_place(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return _words(one.get(name) for name in PLACE) == _words(other.get(name) for name in PLACE)


def _words(texts: Iterable[Any]) -> list[str]:
    return ["".join(str(text or "").split()) for text in texts]


def _merged_accounts(history: History) -> Iterator[Violation]:
    """A former account keeps no points: they follow the account that remains."""
    former = remaining_accounts(history)
    merges = {fact.data["merged_customer_id"]: fact for fact in history.of("customer.merged")}
    for row in history.database("loyalty").rows("balances"):
        if row["customer_id"] in former and any(row[account] for account in ("pending", "available", "reserved")):
            what = f"customer {row['customer_id']}: points stay with an account that was merged"
            yield violation(what, merges[row["customer_id"]])
