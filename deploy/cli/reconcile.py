"""`sakidashi reconcile`: differences between the services after a loss, and the events that repair them."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated

import asyncpg
import typer

from deploy.database_urls import databases
from deploy.reconciliation.comparison import compare
from deploy.reconciliation.desk import open_desk_items
from deploy.reconciliation.discrepancies import Discrepancy
from deploy.reconciliation.reading import Connections, IncompleteDatabasesError, connected, read_snapshot
from deploy.reconciliation.republication import publish_again
from libs.common.postgres.column_keys import ColumnKeyError
from libs.common.telemetry.counters import Counters
from libs.common.telemetry.metrics import Metrics

FOUND, NOT_ASKED = 1, 2
"""Exit codes: differences were found; the databases could not be read."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Range of a reconciliation: days looked back, grace period, and pause before the second look."""

    days: int
    grace: timedelta
    second_look: timedelta


async def reconcile(connections: Connections, scope: Scope, now: datetime) -> list[Discrepancy]:
    """Return the differences. Those whose time is not known exactly must still be there at a second look."""
    since = now - timedelta(days=scope.days)
    found = compare(await read_snapshot(connections, since), now, scope.grace)
    if not any(finding.needs_second_look for finding in found):
        return found
    await asyncio.sleep(scope.second_look.total_seconds())
    again = {finding.identity for finding in compare(await read_snapshot(connections, since), now, scope.grace)}
    return [finding for finding in found if finding.identity in again]


@dataclass(frozen=True, slots=True)
class Reconciled:
    """Findings of a run, and how many events and desk items it published."""

    found: Sequence[Discrepancy]
    published: int = 0
    desk_items: int = 0


async def _run(urls: dict[str, str], scope: Scope, redrive: bool, desk: bool, prefix: str) -> Reconciled:
    async with connected(urls) as connections:
        now = datetime.now(UTC)
        found = await reconcile(connections, scope, now)
        published = await publish_again(connections, found, prefix) if redrive else 0
        return Reconciled(found, published, await open_desk_items(connections, found, now, prefix) if desk else 0)


def _count(found: Sequence[Discrepancy], endpoint: str | None) -> None:
    """Export the findings by kind as `sakidashi.outcomes`, where an OTLP endpoint is set."""
    if not endpoint:
        return
    metrics = Metrics("reconciliation", endpoint)
    counters = Counters(metrics)
    for finding in found:
        counters.add("reconciled", finding.kind.value)
    metrics.shutdown()  # exports a last time


def main(
    database_urls: Annotated[str, typer.Option(envvar="DATABASE_URLS", help="URLs of all four, separated by blanks.")],
    grace_minutes: Annotated[
        int,
        typer.Option(envvar="RECONCILE_GRACE_MINUTES", min=0, help="Age up to which an event counts as in transit."),
    ] = 60,
    days: Annotated[int, typer.Option(min=1, max=45, help="Days looked back; open issues always count.")] = 30,
    second_look_seconds: Annotated[
        float,
        typer.Option(
            envvar="RECONCILE_SECOND_LOOK_SECONDS",
            min=0,
            help="Pause before the second look at differences of unknown age.",
        ),
    ] = 60.0,
    redrive: Annotated[bool, typer.Option("--redrive", help="Publish the lost events again.")] = False,
    desk: Annotated[bool, typer.Option("--desk", help="List at the desk what no event repairs.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")] = False,
    prefix: Annotated[str, typer.Option(envvar="KAFKA_TOPIC_PREFIX", help="Prefix of all topic names.")] = "",
    otlp_endpoint: Annotated[
        str | None,
        typer.Option(envvar="OTEL_EXPORTER_OTLP_ENDPOINT", help="Collector for counts of findings, by kind."),
    ] = None,
) -> None:
    """Name what the services lost or disagree about, and publish it again with --redrive.

    Exit code 0: nothing found. 1: differences found (also where --redrive repairs them). 2: a database could not be
    read. The runtime roles of the services are enough; without --redrive and --desk everything is read in read-only
    transactions.
    """
    scope = Scope(days, timedelta(minutes=grace_minutes), timedelta(seconds=second_look_seconds))
    try:
        result = asyncio.run(_run(databases(database_urls), scope, redrive, desk, prefix))
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, IncompleteDatabasesError, ColumnKeyError) as error:
        typer.echo(f"could not read the databases: {type(error).__name__}: {error}", err=True)
        raise typer.Exit(NOT_ASKED) from None
    _count(result.found, otlp_endpoint)
    _print(result.found, as_json)
    if redrive:
        typer.echo(f"published again: {result.published}", err=True)
    if desk:
        typer.echo(f"shown at the desk: {result.desk_items}", err=True)
    raise typer.Exit(FOUND if result.found else 0)


def _print(found: Sequence[Discrepancy], as_json: bool) -> None:
    for finding in found:
        typer.echo(json.dumps(finding.as_dict(), ensure_ascii=False) if as_json else _line(finding))


def _line(finding: Discrepancy) -> str:
    about = f"issue {finding.issue_id} order {finding.order_id}" if finding.issue_id else f"order {finding.order_id}"
    since = finding.since.isoformat(timespec="seconds")
    return f"{finding.kind} {about} since {since}: {finding.detail} [{finding.repair}]"
