"""The plan of a statement as it is kept: made once, without a look at its values, and used for all that follow.

What counts is not what a plan costs but what it reads. A table that is read whole, by a sequential scan or through an
index without a condition, makes the statement dearer with every row there is.
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
    """`indexes` are what rows are found by; `whole` is read from end to end, `all_with_all` are conditions that are
    tried on every pair of two lists."""

    indexes: frozenset[str]
    whole: frozenset[str] = frozenset()
    all_with_all: frozenset[str] = frozenset()


def by(*indexes: str) -> Plan:
    """A good plan: everything is found by these."""
    return Plan(frozenset(indexes))


async def plan_of(conn: Connection, statement: str) -> Plan:
    """As the pool of a service would have it. The statement must give the types of its parameters away."""
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
