"""What another policy would have made of the reports that were accepted: outcomes, costs and dates that would change.

    python -m services.returns.cli.simulate_policy --policy new.toml  # against the database of this service
    python -m services.returns.cli.simulate_policy --policy new.toml --reports all.jsonl

Each report is decided twice by the same function that decides the real ones: under the version it came under and under
the new one. Nothing is written. Costs are at the price of the goods: what is given, less what is to come back.
"""

import asyncio
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from libs.common.decisions.shop_calendar import ShopCalendar
from libs.common.events.issues import IssueAccepted
from libs.common.postgres.pool import create_pool
from services.returns.domain.case import Case
from services.returns.domain.decide import opened
from services.returns.policy.policy import CollectOn, Policy, RefundOn, ShipOn
from services.returns.policy.policy_loader import BUNDLED, read_policies
from services.returns.policy.policy_versions import Policies, PolicyError
from services.returns.store.cases import accepted_since

LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


class ReportsError(ValueError):
    """A recorded report cannot be read; the message names the line and the field."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a policy makes of a report. `first_date`: the first day they hear; `cost`: given and not fetched."""

    remedy: str
    order: str
    collected: str
    human: bool
    first_date: date | None
    given: Decimal
    cost: Decimal
    currency: str


@dataclass(frozen=True, slots=True)
class Difference:
    issue_id: str
    reason: str
    version: str
    before: Outcome
    after: Outcome

    @property
    def changed(self) -> list[str]:
        """The names of what would be another."""
        before, after = asdict(self.before), asdict(self.after)
        return [name for name in before if before[name] != after[name]]


def outcome(report: IssueAccepted, policy: Policy, calendar: ShopCalendar) -> Outcome:
    case = opened(report, policy)
    value, human = case.value, policy.needs_a_human(case.value)
    kept = case.plan.collect_on is CollectOn.NEVER
    return Outcome(
        remedy=case.plan.remedy.value,
        order=_order(case),
        collected=case.plan.collect_on.value,
        human=human,
        first_date=_first_date(report, case, policy, calendar, human=human),
        given=value.amount,
        cost=value.amount if kept else Decimal(0),
        currency=value.currency,
    )


def _order(case: Case) -> str:
    """What moves first."""
    if case.plan.ship_on is ShipOn.ACCEPTED:
        return "ship first"
    if case.plan.refund_on is RefundOn.ACCEPTED:
        return "pay first"
    return "after receipt"


def _first_date(
    report: IssueAccepted, case: Case, policy: Policy, calendar: ShopCalendar, *, human: bool
) -> date | None:
    day, terms = calendar.day(report.accepted_at), policy.terms
    if human:
        return calendar.add_open_days(day, terms.review_open_days)
    return calendar.add_open_days(day, terms.promise_open_days) if case.plan.ship_on is ShipOn.ACCEPTED else None


def differences(
    reports: Iterable[tuple[IssueAccepted, str | None]], former: Policies, new: Policy, calendar: ShopCalendar
) -> Iterator[Difference]:
    """Of each report what would change; reports that come without a version are taken under the one in force then."""
    for report, version in reports:
        day = calendar.day(report.accepted_at)
        old = former.under(version, day) if version else former.in_force(day)
        before, after = outcome(report, old, calendar), outcome(report, new, calendar)
        yield Difference(str(report.issue_id), report.reason.value, old.version, before, after)


def from_file(path: Path) -> list[tuple[IssueAccepted, str | None]]:
    """`issue.accepted` events or their data, one a line. Raises `ReportsError`."""
    found: list[tuple[IssueAccepted, str | None]] = []
    for number, text in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if text.strip():
            found.append((_report(number, text), None))
    return found


def _report(number: int, text: str) -> IssueAccepted:
    try:
        body = json.loads(text)
        return IssueAccepted.model_validate(body.get("data", body) if isinstance(body, dict) else body)
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(map(str, fault["loc"])) or "the line"
        raise ReportsError(f"line {number}: {where}: {fault['msg']}") from None
    except ValueError as error:
        raise ReportsError(f"line {number}: not JSON: {error}") from None


def as_report(case: Case) -> IssueAccepted:
    """The report that a case came from."""
    return IssueAccepted(
        issue_id=case.issue_id,
        order_id=case.order_id,
        customer_id=case.customer_id,
        reason=case.reason,
        lines=case.lines,
        requested_remedy=case.requested_remedy,
        market=case.market,
        reported_at=case.accepted_at,
        accepted_at=case.accepted_at,
    )


async def from_database(url: str, since: datetime) -> list[tuple[IssueAccepted, str | None]]:
    pool = await create_pool(url, size=1, application_name="replay_policy")
    found: list[tuple[IssueAccepted, str | None]] = []
    try:
        async with pool.acquire() as conn:
            after = ""
            while page := await accepted_since(conn, since, after):
                found += [(as_report(case), case.policy_version) for case in page]
                after = str(page[-1].issue_id)
    finally:
        await pool.close()
    return found


def summary(found: list[Difference]) -> dict[str, Any]:
    """Totals by currency, and every report whose outcome, cost or date would be another."""
    changed = [each for each in found if each.changed]
    costs: dict[str, dict[str, Decimal]] = {}
    for each in found:
        cost = costs.setdefault(each.before.currency, {"before": Decimal(0), "after": Decimal(0)})
        cost["before"] += each.before.cost
        cost["after"] += each.after.cost
    return {
        "reports": len(found),
        "changed": len(changed),
        "cost": {currency: {when: str(sum_) for when, sum_ in cost.items()} for currency, cost in costs.items()},
        "differences": [
            {
                "issue_id": each.issue_id,
                "reason": each.reason,
                "policy_version": each.version,
                **{
                    name: [_text(getattr(each.before, name)), _text(getattr(each.after, name))] for name in each.changed
                },
            }
            for each in changed
        ],
    }


def _text(value: object) -> object:
    return value if isinstance(value, bool) or value is None else str(value)


def show(told: dict[str, Any], version: str, console: Console) -> None:
    table = Table(title=f"{told['changed']} of {told['reports']} reports would come out differently under {version}")
    for column in ("issue", "reason", "under", "what", "was", "would be"):
        table.add_column(column, overflow="fold")
    for each in told["differences"]:
        names = [name for name in each if name not in ("issue_id", "reason", "policy_version")]
        for place, name in enumerate(names):
            head = (each["issue_id"], each["reason"], each["policy_version"]) if place == 0 else ("", "", "")
            table.add_row(*head, name, *(str(value) for value in each[name]))
    console.print(table)
    for currency, cost in told["cost"].items():
        console.print(f"cost of goods not fetched, {currency}: {cost['before']} -> {cost['after']}")


def main(
    policy: Annotated[Path, typer.Option(help="The new policy, a TOML file.")],
    former: Annotated[
        Path, typer.Option(envvar="POLICY_FILE", help="The policies so far: a file or a folder.")
    ] = BUNDLED,
    reports: Annotated[
        Path | None, typer.Option(help="issue.accepted events as JSON lines; else the database.")
    ] = None,
    database_url: Annotated[str, typer.Option(envvar="DATABASE_URL")] = "",
    since: Annotated[datetime, typer.Option(help="Only reports accepted since then (UTC).")] = LONG_AGO,
    zone: Annotated[str, typer.Option(envvar="SHOP_TIME_ZONE")] = "Asia/Tokyo",
    country: Annotated[str, typer.Option(envvar="SHOP_COUNTRY")] = "JP",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Replay recorded reports against a new policy and print which outcomes, costs and dates would change."""
    if reports is None and not database_url:
        raise typer.BadParameter("name a file with --reports, or a database with --database-url or DATABASE_URL")
    try:
        new = next(iter(read_policies(policy).versions.values()))
        old = read_policies(former)
        found = from_file(reports) if reports else asyncio.run(from_database(database_url, since.replace(tzinfo=UTC)))
    except (PolicyError, ReportsError, OSError) as error:
        raise typer.BadParameter(str(error)) from None
    told = summary(list(differences(found, old, new, ShopCalendar(ZoneInfo(zone), country))))
    if as_json:
        typer.echo(json.dumps(told, indent=2, ensure_ascii=False))
    else:
        show(told, new.version, Console())


if __name__ == "__main__":
    typer.run(main)
