"""The screen of a run: addresses, one sentence of result, tables, and links to what is open."""

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table

from deploy.demo.clock_driver import ClockDriver
from deploy.demo.open_work import Link
from deploy.demo.promise_accuracy import COLUMNS, SHOWN_MISMATCHES, PromiseAccuracy
from deploy.demo.report import DemoResult
from deploy.demo.system import DemoSystem
from deploy.verification.auditor import NUMBERS
from deploy.verification.verdict import Verdict

SHOWN_VIOLATIONS = 5


def show_addresses(console: Console, system: DemoSystem, password: str) -> None:
    """The pages that work from now on; until the replay has ended, days pass in a second and sign-ins expire."""
    addresses = [
        (f"desk: sign in as demo, password {password}", system.service_url("intake") + "/desk"),
        ("mails", system.mail_url + "/"),
        ("traces", system.traces_url + "/"),
        *((f"HTTP interface of {name}", process.url + "/docs") for name, process in system.services.items()),
    ]
    show_links(console, "Running now:", addresses)


def show_links(console: Console, title: str, links: Sequence[Link]) -> None:
    """Each link on a line of its own, whole, so that it can be copied and clicked."""
    console.print(f"\n[bold]{title}[/bold]", highlight=False)
    for text, link in links:
        console.print(f"  {text}\n    {link}", highlight=False, markup=False, soft_wrap=True)


def show_commands(console: Console, commands: Sequence[str]) -> None:
    console.print("\n[bold]Plug in your own, with the snippets of the README:[/bold]", highlight=False)
    for command in commands:
        console.print(f"  {command}", highlight=False, markup=False, soft_wrap=True)


def show(console: Console, outcome: DemoResult, seconds: float, driver: ClockDriver) -> None:
    console.print(f"\n[bold]{sentence(outcome, seconds)}[/bold]\n", highlight=False, soft_wrap=True)
    for line in (first_dates_line(outcome), *lateness_lines(outcome)):
        console.print(line, highlight=False, soft_wrap=True)
    console.print()
    console.print(_table("Issues by outcome", outcome.issues))
    console.print(_table("Notices by kind", outcome.notices))
    console.print(_table("Behaviour", outcome.behaviour))
    console.print(_table("Points", {name: points for name, points in outcome.points.items() if points}))
    console.print(_table("Product insights", outcome.product_insights))
    console.print(_table("Promise integrity: dates given to customers", _integrity_rows(outcome)))
    if outcome.promises:
        _show_promises(console, outcome.promises)
    console.print(_invariants(outcome.verdicts))
    for verdict in outcome.verdicts:
        _show_violations(console, verdict)
    if driver.timeouts:
        console.print(f"[yellow]{driver.timeouts} times the clock advanced while work was in flight[/yellow]")


def sentence(outcome: DemoResult, seconds: float) -> str:
    """The result of the run in one sentence."""
    issues, mails = sum(outcome.issues.values()), sum(outcome.notices.values())
    resolved = sum(count for name, count in outcome.issues.items() if name.startswith("resolved"))
    refused = sum(count for name, count in outcome.issues.items() if name.startswith("refused"))
    still_open = sum(count for name, count in outcome.issues.items() if name in ("open", "in review"))
    violated = [verdict.name for verdict in outcome.verdicts if verdict.violations]
    judged = sum(verdict.violations is not None for verdict in outcome.verdicts)
    verdict = f"violated: {', '.join(violated)}" if violated else f"no violation in {judged} checks of the invariants"
    cancelled = outcome.issues.get("cancelled", 0)
    return (
        f"{issues:,} reports in {seconds:.0f} s: {resolved:,} resolved, {still_open:,} open, {refused:,} refused, "
        f"{cancelled:,} cancelled; {mails:,} notices; {outcome.integrity.get('silent', 0)} of "
        f"{outcome.integrity.get('made', 0):,} dates broken in silence; {verdict}."
    )


def first_dates_line(outcome: DemoResult) -> str:
    """The share of first dates kept by each warehouse and carrier, in one line."""
    counts: dict[str, list[int]] = {}
    for each in outcome.first_dates:
        if each.dimension != "product_group":
            count = counts.setdefault(f"{each.dimension} {each.name}", [0, 0])
            count[0] += each.kept.part
            count[1] += each.kept.whole
    shares = [f"{name} {kept} of {whole} ({kept / whole:.0%})" for name, (kept, whole) in counts.items() if whole]
    return f"First dates kept: {', '.join(shares) or 'none yet'}."


def lateness_lines(outcome: DemoResult) -> list[str]:
    """One line for each warning to staff before the cutoff of a day."""
    return [
        f"Staff were warned before the cutoff of {each['day']}: {each['expected_late']} of {each['due']} dates of "
        f"{each['by']} {each['name']} late, by {each['expected_by']} (orders {', '.join(each['order_ids'])})."
        for each in outcome.lateness_warnings
    ]


def _integrity_rows(outcome: DemoResult) -> dict[str, int]:
    names = {"silent": "broken in silence", "announced_before": "announced before they broke"}
    return {names.get(name, name): count for name, count in outcome.integrity.items()}


def _table(title: str, rows: Mapping[str, float]) -> Table:
    table = Table(title=title, title_justify="left", show_header=False, min_width=60)
    table.add_column()
    table.add_column(justify="right")
    for name, value in rows.items():
        table.add_row(name.replace("_", " "), f"{value:,}")
    return table


def _show_promises(console: Console, confusion: PromiseAccuracy) -> None:
    """Rows: the fate of the promise in the data. Columns: the announcement before it broke."""
    table = Table(title="Promises made with the orders: broken or kept, and announced", title_justify="left")
    for column in ("", *COLUMNS):
        table.add_column(column, justify="right" if column else "left")
    for promise, fates in confusion.as_json().items():
        for fate, columns in fates.items():
            table.add_row(f"{promise}, {fate}", *(f"{number:,}" for number in columns.values()))
    console.print(table)
    for each in confusion.mismatches[:SHOWN_MISMATCHES]:
        console.print(f"    {each}", highlight=False, markup=False)


def _invariants(verdicts: Sequence[Verdict]) -> Table:
    table = Table(title="Invariants (docs/explanation/invariants.md)", title_justify="left", min_width=60)
    for column in ("", "name", "violations"):
        table.add_column(column, justify="right" if column != "name" else "left")
    for verdict in verdicts:
        text = f"not judged: {verdict.reason}" if verdict.violations is None else str(len(verdict.violations))
        table.add_row(str(NUMBERS[verdict.name]), verdict.name, f"[red]{text}[/red]" if verdict.violations else text)
    return table


def _show_violations(console: Console, verdict: Verdict) -> None:
    for each in (verdict.violations or ())[:SHOWN_VIOLATIONS]:
        console.print(f"[red]{verdict.name}[/red]: {each.description}", highlight=False)
        for shown in each.records[:4]:
            console.print(f"    {shown}", highlight=False, markup=False)
