"""Command that compares a new policy with the current ones, on recorded reports. It writes nothing.

python -m services.returns.cli.simulate_policy --policy new.toml                       # reports of this database
python -m services.returns.cli.simulate_policy --policy new.toml --reports all.jsonl   # reports of a file
"""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from libs.common.config.calendar_file import BUNDLED_CALENDAR, CalendarError, read_calendars
from libs.common.events.faults import fault_texts
from libs.common.events.issues import IssueAccepted
from services.returns.domain.policy_simulation import RecordedReport, compare_policies, summarize
from services.returns.policy.policy_loader import BUNDLED_POLICY, read_policies
from services.returns.policy.policy_versions import PolicyError
from services.returns.store.recorded_reports import load_reports

ALL_REPORTS = datetime(2000, 1, 1, tzinfo=UTC)


class ReportsError(ValueError):
    """Unreadable report file; the message names the line and the field."""


def read_reports(path: Path) -> list[RecordedReport]:
    """Return the `issue.accepted` events, or their data, of a JSON-lines file. Raises `ReportsError`."""
    lines = enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
    return [RecordedReport(_parse_report(number, text)) for number, text in lines if text.strip()]


def _parse_report(number: int, text: str) -> IssueAccepted:
    try:
        body = json.loads(text)
        return IssueAccepted.model_validate(body.get("data", body) if isinstance(body, dict) else body)
    except ValidationError as error:
        raise ReportsError(f"line {number}: {fault_texts(error, 'the line')[0]}") from None
    except ValueError as error:
        raise ReportsError(f"line {number}: not JSON: {error}") from None


def print_table(summary: dict[str, Any], version: str, console: Console) -> None:
    table = Table(title=f"{summary['changed']} of {summary['reports']} reports change under {version}")
    for column in ("issue", "reason", "policy", "value", "before", "after"):
        table.add_column(column, overflow="fold")
    for difference in summary["differences"]:
        first = (difference["issue_id"], difference["reason"], difference["policy_version"])
        names = [name for name in difference if name not in ("issue_id", "reason", "policy_version")]
        for position, name in enumerate(names):
            head = first if position == 0 else ("", "", "")
            table.add_row(*head, name, *(str(value) for value in difference[name]))
    console.print(table)
    for currency, cost in summary["cost"].items():
        console.print(f"cost of goods not collected, {currency}: {cost['before']} -> {cost['after']}")


def main(
    policy: Annotated[Path, typer.Option(help="The new policy, a TOML file.")],
    current: Annotated[
        Path, typer.Option(envvar="POLICY_FILE", help="The current policies: a file or a folder.")
    ] = BUNDLED_POLICY,
    reports: Annotated[
        Path | None, typer.Option(help="issue.accepted events as JSON lines; default: the database.")
    ] = None,
    database_url: Annotated[str, typer.Option(envvar="DATABASE_URL", help="The database of returns.")] = "",
    since: Annotated[datetime, typer.Option(help="Only reports accepted since then (UTC).")] = ALL_REPORTS,
    zone: Annotated[str, typer.Option(envvar="SHOP_TIME_ZONE", help="The shop's time zone.")] = "Asia/Tokyo",
    calendar: Annotated[
        Path, typer.Option(envvar="CALENDAR_FILE", help="The calendar of the shop, a TOML file.")
    ] = BUNDLED_CALENDAR,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Compare recorded reports under a new policy: changed outcomes, costs and dates."""
    if reports is None and not database_url:
        raise typer.BadParameter("no reports; name a file with --reports, or a database with --database-url")
    try:
        new = next(iter(read_policies(policy).versions.values()))
        old = read_policies(current)
        since_utc = since.replace(tzinfo=UTC)
        calendars = read_calendars(calendar, ZoneInfo(zone))
        found = read_reports(reports) if reports else asyncio.run(load_reports(database_url, since_utc))
    except (PolicyError, ReportsError, CalendarError, OSError) as error:
        raise typer.BadParameter(str(error)) from None
    summary = summarize(list(compare_policies(found, old, new, calendars)))
    if as_json:
        typer.echo(json.dumps(summary, indent=2, ensure_ascii=False))
    else:
        print_table(summary, new.version, Console())


if __name__ == "__main__":
    typer.run(main)
