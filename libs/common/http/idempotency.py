"""`Idempotency-Key` for writing calls that are no command of an aggregate: kept in the transaction of the change."""

import json
from collections.abc import Awaitable, Callable

from libs.common.http.problems import Answer, IdempotencyKey, Problem
from libs.common.postgres.pool import Connection
from libs.common.runtime.command_batcher import ADMIT, STORE, replayed, still_running


async def answer_once(conn: Connection, key: IdempotencyKey, do: Callable[[], Awaitable[Answer]]) -> Answer:
    """Do it and keep the answer, or give the first answer again. Raises `Problem` 409 or 422.

    `conn` is in a transaction, in which the key stays locked; two calls at once can never both do it.
    """
    (row,) = await conn.fetch(ADMIT, [key.caller], [key.key])
    if row["fingerprint"] is not None:
        before = replayed(key, row)
        if isinstance(before, Problem):
            raise before
        return before
    if not row["free"]:
        raise still_running()
    answer = await do()
    await conn.execute(STORE, [key.caller], [key.key], [key.fingerprint], [answer.status], [json.dumps(answer.body)])
    return answer
