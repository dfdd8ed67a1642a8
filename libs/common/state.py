"""States of a service as rows: one JSON document each, with a version.

A state is a frozen dataclass, kept whole in a `jsonb` column; what is searched by is a generated column or an
expression index of the migration, so that there is one truth. Chosen over a column per field, because every event
changes few fields of a state that is always read and written whole, hundreds at a time.

A table for it looks like this::

    CREATE TABLE cases (key text PRIMARY KEY, version bigint NOT NULL, body jsonb NOT NULL,
                        status text GENERATED ALWAYS AS (body ->> 'status') STORED);
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from pydantic import TypeAdapter

from libs.common.db import ConflictError, Connection

S = TypeVar("S")


@dataclass
class StateTable(Generic[S]):
    """Loads states locked, in key order, and saves them, a statement each way however many there are.

    `sparse` leaves out of a document what is as it is by default: shorter, where most fields of most states are. The
    defaults are then part of what is stored, and nothing may be looked for in the documents by SQL.
    """

    table: str
    adapter: TypeAdapter[S]
    sparse: bool = False
    _select: str = field(init=False)
    _upsert: str = field(init=False)

    def __post_init__(self) -> None:
        if not self.table.isidentifier():
            raise ValueError(f"table: {self.table!r} is not a plain SQL name")
        self._select = f"SELECT key, version, body FROM {self.table} WHERE key = ANY($1) ORDER BY key FOR UPDATE"  # noqa: S608
        # A key that did not exist could not be locked; if somebody else made it meanwhile the version tells.
        self._upsert = f"""
            INSERT INTO {self.table} AS old (key, version, body)
            SELECT * FROM unnest($1::text[], $2::bigint[], $3::jsonb[])
            ON CONFLICT (key) DO UPDATE SET version = excluded.version, body = excluded.body
            WHERE old.version = excluded.version - 1"""  # noqa: S608

    async def load(self, conn: Connection, keys: Sequence[str]) -> dict[str, tuple[int, S]]:
        """The states of these keys with their versions; keys without a state are absent."""
        rows = await conn.fetch(self._select, sorted(keys))
        return {row["key"]: (row["version"], self.adapter.validate_json(row["body"])) for row in rows}

    async def save(self, conn: Connection, states: Mapping[str, tuple[int, S]]) -> None:
        """Write states under the versions they were loaded with (0 where there was none).

        Raises `ConflictError` where another transaction made the same new key first: the batch is then done again.
        """
        if not states:
            return
        keys = sorted(states)
        versions = [states[key][0] + 1 for key in keys]
        bodies = [self.adapter.dump_json(states[key][1], exclude_defaults=self.sparse).decode() for key in keys]
        status = await conn.execute(self._upsert, keys, versions, bodies)
        if int(status.rsplit(" ", 1)[1]) != len(keys):
            raise ConflictError(f"{self.table}: a key was made by another transaction at the same time")
