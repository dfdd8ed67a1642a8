"""Generic plan of a prepared statement, as it is cached.

The criterion is what a plan reads, not its cost. A sequential scan, or an index scan without a condition, makes a
statement slower with every row.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from libs.common.postgres.pool import Connection

_SCANS = {"Index Scan", "Index Only Scan", "Bitmap Index Scan"}


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan: `indexes` used by conditions, `whole` tables or indexes read from end to end, `all_with_all` join
    conditions tried on every pair of rows.
    """

    indexes: frozenset[str]
    whole: frozenset[str] = frozenset()
    all_with_all: frozenset[str] = frozenset()


def by(*indexes: str) -> Plan:
    """Return a good plan with these indexes only."""
    return Plan(frozenset(indexes))


async def plan_of(conn: Connection, statement: str) -> Plan:
    """Return the plan with the pool's settings. Parameter types must follow from the statement."""
    parameters = max((int(number) for number in re.findall(r"\$(\d+)", statement)), default=0)
    values = f"({', '.join(['NULL'] * parameters)})" if parameters else ""
    async with conn.transaction():
        await conn.execute("SET LOCAL enable_seqscan = off")
        await conn.execute("SET LOCAL plan_cache_mode = force_generic_plan")
        await conn.execute(f"PREPARE hot AS {statement}")
        (plan,) = json.loads(await conn.fetchval(f"EXPLAIN (FORMAT JSON) EXECUTE hot{values}"))
        await conn.execute("DEALLOCATE hot")
    nodes = list(_nodes(plan["Plan"]))
    scans = [node for node in nodes if node["Node Type"] in _SCANS]
    bound = {node["Index Name"] for node in scans if "Index Cond" in node}
    whole = {node["Relation Name"] for node in nodes if node["Node Type"] == "Seq Scan"}
    whole |= {node["Index Name"] for node in scans if "Index Cond" not in node}
    pairs = {node["Join Filter"] for node in nodes if "Join Filter" in node}
    return Plan(frozenset(bound), frozenset(whole), frozenset(pairs))


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for below in node.get("Plans", ()):
        yield from _nodes(below)
