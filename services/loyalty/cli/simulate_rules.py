"""What other rules would have given: reads the ledger, changes nothing, and prints the difference.

    python -m services.loyalty.cli.simulate_rules --rules new.toml            # tables
    python -m services.loyalty.cli.simulate_rules --rules new.toml --json     # for machines

The exit code is 2 where the rules are wrong, with a message that names the field.
"""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import asyncpg
import typer
from rich.console import Console
from rich.table import Table

from libs.common.events.loyalty import GrantKind
from services.loyalty.domain.rule_simulation import Case, Comparison, Outcome, replay
from services.loyalty.settings import read_rules

SHOWN = 20

# All that rules were asked about: what they gave, and what came to words or to nothing.
_CASES = """
    SELECT customer_id, at, cause, what, rule, points, inputs, false AS held_out FROM entries
    WHERE kind = 'grant' AND what IN ('apology', 'purchase') AND ($1::timestamptz IS NULL OR at >= $1)
    UNION ALL
    SELECT customer_id, at, cause, 'apology', inputs ->> 'rule', 0, inputs, code = 'holdout' FROM withheld
    WHERE inputs IS NOT NULL AND code <> 'approved' AND ($1::timestamptz IS NULL OR at >= $1)"""


async def read_cases(database_url: str, since: datetime | None) -> list[Case]:
    conn = await asyncpg.connect(database_url)
    try:
        return [_case(row) for row in await conn.fetch(_CASES, since)]
    finally:
        await conn.close()


def _case(row: asyncpg.Record) -> Case:
    return Case(
        row["customer_id"],
        row["at"],
        row["cause"],
        GrantKind(row["what"]),
        row["rule"],
        row["points"],
        json.loads(row["inputs"]),
        row["held_out"],
    )


def as_json(comparison: Comparison) -> dict[str, Any]:
    return {
        "version": comparison.version,
        "cases": len(comparison.outcomes),
        "unknown": comparison.unknown,
        "points_before": comparison.before(),
        "points_after": comparison.after(),
        "by_rule": {rule: {"before": old, "after": new} for rule, (old, new) in comparison.by_rule().items()},
        "changed": [_line(outcome) for outcome in comparison.changed()],
    }


def _line(outcome: Outcome) -> dict[str, Any]:
    case = outcome.case
    names = {"cause": case.cause, "customer_id": case.customer_id, "at": case.at.isoformat()}
    return {**names, "rule": outcome.rule, "before": case.points, "after": outcome.points, "change": outcome.change}


def show(console: Console, comparison: Comparison) -> None:
    rules = _table("By rule", "rule")
    for rule, (old, new) in comparison.by_rule().items():
        rules.add_row(rule, f"{old:,}", f"{new:,}", f"{new - old:+,}")
    before, after = comparison.before(), comparison.after()
    rules.add_row("all", f"{before:,}", f"{after:,}", f"{after - before:+,}", style="bold")
    console.print(rules)
    changed = comparison.changed()
    cases = _table(f"{len(changed)} of {len(comparison.outcomes)} cases differ", "cause")
    for outcome in changed[:SHOWN]:
        cases.add_row(outcome.case.cause, f"{outcome.case.points:,}", f"{outcome.points:,}", f"{outcome.change:+,}")
    console.print(cases)
    if comparison.unknown:
        console.print(f"{comparison.unknown} grants are from before inputs were kept, and left out")


def _table(title: str, first: str) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column(first, overflow="fold")
    for column in ("points", "under new rules", "difference"):
        table.add_column(column, justify="right")
    return table


def main(
    rules: Annotated[Path, typer.Option(exists=True, dir_okay=False, help="TOML, in the form of award.toml")],
    database_url: Annotated[str, typer.Option(envvar="DATABASE_URL")],
    since: Annotated[datetime | None, typer.Option(help="Only what happened from then on (UTC)")] = None,
    as_data: Annotated[bool, typer.Option("--json", help="JSON instead of tables")] = False,
) -> None:
    """What these rules would have given for all that has happened."""
    try:
        new = read_rules(rules.read_text(encoding="utf-8"))
    except ValueError as error:
        typer.echo(f"{rules}: {error}", err=True)
        raise typer.Exit(2) from None
    begin = since.replace(tzinfo=UTC) if since else None
    comparison = replay(new, asyncio.run(read_cases(database_url, begin)))
    if as_data:
        typer.echo(json.dumps(as_json(comparison), indent=2, ensure_ascii=False))
    else:
        show(Console(), comparison)


if __name__ == "__main__":
    typer.run(main)
