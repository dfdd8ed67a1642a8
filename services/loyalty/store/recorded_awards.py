"""Past awards with their stored inputs, for the simulation of other rules."""

import json
from datetime import datetime

import asyncpg

from libs.common.events.loyalty import GrantKind
from services.loyalty.domain.rule_simulation import RecordedAward

_RECORDED_AWARDS = """
    SELECT customer_id, at, cause, grant_kind, rule, points, inputs, false AS held_out FROM entries
    WHERE kind = 'grant' AND grant_kind IN ('apology', 'purchase') AND ($1::timestamptz IS NULL OR at >= $1)
    UNION ALL
    SELECT customer_id, at, cause, 'apology', inputs ->> 'rule', 0, inputs, code = 'holdout' FROM withheld_grants
    WHERE inputs IS NOT NULL AND code <> 'approved' AND ($1::timestamptz IS NULL OR at >= $1)"""


async def read_recorded_awards(database_url: str, since: datetime | None) -> list[RecordedAward]:
    conn = await asyncpg.connect(database_url)
    try:
        return [_recorded_award(row) for row in await conn.fetch(_RECORDED_AWARDS, since)]
    finally:
        await conn.close()


def _recorded_award(row: asyncpg.Record) -> RecordedAward:
    return RecordedAward(
        row["customer_id"],
        row["at"],
        row["cause"],
        GrantKind(row["grant_kind"]),
        row["rule"],
        row["points"],
        json.loads(row["inputs"]),
        row["held_out"],
    )
