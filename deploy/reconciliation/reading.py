"""Reading of the snapshot from the four databases, in read-only transactions.

Intake is read first and returns last: what the archive of intake holds is then in the case as well, unless it was lost.
"""

from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from deploy.reconciliation.archive import read_archive
from deploy.reconciliation.snapshot import (
    Grant,
    Issue,
    NoticeThread,
    SystemSnapshot,
    UnannouncedPromise,
)
from libs.common.config.column_key_settings import ColumnKeySettings
from libs.common.config.settings import load
from libs.common.events.loyalty import PointsGranted, PointsWithheld, WithheldCode
from libs.common.events.topics import SERVICES
from libs.common.postgres.column_keys import NO_KEYS, ColumnKeys, configured_keys
from libs.common.postgres.key_register import registered_keys
from libs.common.postgres.pool import Connection
from services.delivery_notify.store import reconciliation as delivery_notify
from services.intake.store import reconciliation as intake
from services.loyalty.store import reconciliation as loyalty
from services.returns.store import case_queries

Connections = Mapping[str, Connection]


class IncompleteDatabasesError(ValueError):
    """A database is missing among those given; the message names it."""


@asynccontextmanager
async def connected(urls: Mapping[str, str]) -> AsyncIterator[dict[str, Connection]]:
    """Open one connection per service. Raises `IncompleteDatabasesError` unless all are given, and `ColumnKeyError`.

    What is written by them is encrypted with the present key of each service.
    """
    if absent := [service for service in SERVICES if service not in urls]:
        raise IncompleteDatabasesError(f"DATABASE_URLS: {', '.join(absent)} missing; name the database of each service")
    opened: dict[str, Connection] = {}
    keys = configured_keys(load(ColumnKeySettings))
    try:
        for service in SERVICES:
            plain = await _connect(urls[service], NO_KEYS)
            try:
                present = await registered_keys(plain, keys)
            finally:
                await plain.close()
            opened[service] = await _connect(urls[service], present)
        yield opened
    finally:
        for conn in opened.values():
            await conn.close()


async def _connect(url: str, keys: ColumnKeys) -> Connection:
    application = {"application_name": "reconcile"}
    return await asyncpg.connect(url, timeout=10, server_settings=application, connection_class=keys.connection_class)


async def read_snapshot(connections: Connections, since: datetime) -> SystemSnapshot:
    """Read all that the services hold about issues that are open, or changed since then."""
    issue_ids = await _issue_ids(connections, since)
    issues = await _issues(connections["intake"], issue_ids)
    archive = await read_archive(connections, issues)
    grants, withheld, causes = await _points(connections["loyalty"], issue_ids)
    order_ids = {issue.order_id for issue in issues.values()}
    threads, dates, unannounced = await _notices(connections["delivery_notify"], order_ids, issue_ids, since)
    async with connections["returns"].transaction(readonly=True):
        cases = await case_queries.list_cases_by_id(connections["returns"], issue_ids)
    return SystemSnapshot(
        issues,
        archive,
        {case.issue_id: case for case in cases},
        grants,
        withheld,
        causes,
        threads,
        dates,
        unannounced,
    )


async def _issue_ids(connections: Connections, since: datetime) -> set[UUID]:
    found = await intake.issues_since(connections["intake"], since)
    found |= await loyalty.issues_since(connections["loyalty"], since)
    return found | await case_queries.issues_since(connections["returns"], since)


async def _issues(conn: Connection, issue_ids: Collection[UUID]) -> dict[UUID, Issue]:
    async with conn.transaction(readonly=True):
        rows = await intake.read_issues(conn, issue_ids)
    return {
        row["issue_id"]: Issue(
            row["issue_id"],
            row["order_id"],
            row["customer_id"],
            row["status"],
            row["is_open"],
            row["is_accepted"],
            max(row["reported_at"], row["lifecycle_at"]),
        )
        for row in rows
    }


async def _points(
    conn: Connection, issue_ids: Collection[UUID]
) -> tuple[list[Grant], list[PointsWithheld], frozenset[str]]:
    async with conn.transaction(readonly=True):
        grants = [_grant(row) for row in await loyalty.read_grants(conn, issue_ids)]
        rows = await loyalty.read_withheld(conn, issue_ids)
    published = [_withheld(row) for row in rows if row["code"] in list(WithheldCode)]
    return grants, published, frozenset(row["cause"] for row in rows)


def _grant(row: asyncpg.Record) -> Grant:
    fields = ("customer_id", "entry_id", "points", "cause", "text", "issue_id", "order_id", "rule", "rule_version")
    details = {"kind": row["grant_kind"], "legal_basis": row["legal_basis"], "expires_on": row["expires_on"]}
    payload = PointsGranted(
        **{name: row[name] for name in fields},
        **details,
        granted_at=row["at"],
        counts_for_tier=row["counts_for_tier"],
    )
    return Grant(payload, row["net"])


def _withheld(row: asyncpg.Record) -> PointsWithheld:
    fields = ("customer_id", "issue_id", "order_id", "cause", "code", "points", "review_by")
    return PointsWithheld(**{name: row[name] for name in fields}, withheld_at=row["at"])


async def _notices(
    conn: Connection, order_ids: Collection[str], issue_ids: Collection[UUID], since: datetime
) -> tuple[dict[UUID, NoticeThread], dict[UUID, Any], list[UnannouncedPromise]]:
    async with conn.transaction(readonly=True):
        threads = await delivery_notify.read_threads(conn, order_ids, issue_ids)
        dates = await delivery_notify.read_replacement_dates(conn, order_ids)
        rows = await delivery_notify.read_unannounced(conn, since)
    unannounced = [
        UnannouncedPromise(
            row["order_id"],
            row["issue_id"],
            row["subject"],
            row["subject_id"],
            row["day"],
            row["cause"] or row["status"],
            row["settled_at"],
        )
        for row in rows
    ]
    return (
        {row["issue_id"]: NoticeThread(row["closed_by"], row["resolution"]) for row in threads},
        {UUID(row["subject_id"]): row["day"] for row in dates},
        unannounced,
    )
