"""History under other rules: nothing changes under the same ones, and the difference is told under new ones."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import asyncpg
from hypothesis import given, settings
from hypothesis import strategies as st
from typer import Typer
from typer.testing import CliRunner

from libs.common.events.loyalty import GrantKind
from libs.common.events.registry import AnyEvent
from libs.common.events.values import Fault, Reason
from services.loyalty.cli.simulate_rules import main
from services.loyalty.domain.rule_simulation import Case, replay
from services.loyalty.ledger.accounts import Entry, Kind, Withheld
from services.loyalty.settings import AWARD_FILE
from services.loyalty.store.ledger import Ledger
from tests.examples import examples
from tests.loyalty.histories import RULES, TERMS, Book, order_changed, refunded, reopened, resolved

SHIPPED = AWARD_FILE.read_text(encoding="utf-8")


def cases_of(book: Book) -> list[Case]:
    """As the command reads them from the database."""
    found = []
    for fact in (fact for facts in book.outcomes for fact in facts):
        if isinstance(fact, Entry) and fact.kind is Kind.GRANT and fact.what and fact.rule:
            inputs = json.loads(fact.inputs or "{}")
            found.append(Case(fact.customer_id, fact.at, fact.cause, fact.what, fact.rule, fact.points, inputs))
        if isinstance(fact, Withheld) and fact.inputs:
            inputs = json.loads(fact.inputs)
            found.append(Case(fact.customer_id, fact.at, fact.cause, GrantKind.APOLOGY, inputs["rule"], 0, inputs))
    return found


troubles = st.builds(
    resolved,
    issue_id=st.uuids(version=4),
    fault=st.sampled_from(Fault),
    reason=st.sampled_from(Reason),
    waited_days=st.integers(0, 40),
    promises_broken=st.integers(0, 5),
)


@settings(deadline=None, max_examples=examples(60))
@given(st.lists(troubles, max_size=12), st.lists(st.integers(0, 90_000), max_size=4))
def test_the_same_rules_give_the_same_points(issues: list[AnyEvent], amounts: list[int]) -> None:
    book = Book()
    for issue in issues:
        book.wait(timedelta(days=9)).take(issue)
    for amount in sorted(amounts):
        book.wait(timedelta(hours=1)).bought(str(amount)).take(order_changed())
    comparison = replay(RULES, cases_of(book))
    assert comparison.changed() == []


def test_other_rules_give_other_points() -> None:
    book = Book().take(resolved()).bought().take(order_changed())
    doubled = RULES.model_copy(update={"points_per_unit": {"JPY": 2}})
    assert replay(doubled, cases_of(book)).by_rule() == {"our_product": (549, 798), "purchase": (49, 99)}


def test_stricter_limits_are_applied_in_the_order_of_events() -> None:
    book = Book().take(*(resolved(UUID(int=n)) for n in range(1, 4)))
    assert RULES.limits
    strict = RULES.model_copy(update={"limits": RULES.limits.model_copy(update={"most_grants": 1})})
    assert [outcome.points for outcome in replay(strict, cases_of(book)).outcomes] == [549, 0, 0]


def test_what_has_no_inputs_is_left_out_and_counted() -> None:
    [case] = cases_of(Book().take(resolved()))
    old = Case(case.customer_id, case.at, case.cause, case.what, case.rule, case.points, {})
    assert replay(RULES, [old]).unknown == 1


def run(url: str, tmp_path: Path, text: str, *options: str) -> tuple[int, str]:
    app, rules = Typer(), tmp_path / "new.toml"
    app.command()(main)
    rules.write_text(text, encoding="utf-8")
    result = CliRunner().invoke(app, ["--rules", str(rules), "--database-url", url, *options])
    return result.exit_code, result.output


async def test_the_command_reads_the_ledger_and_tells_the_difference(
    database: Callable[[str], Awaitable[str]], tmp_path: Path
) -> None:
    url = await database("loyalty")
    book = Book().take(resolved(), reopened(), resolved(resolution=2, reason=Reason.CHANGED_MIND, fault=Fault.CUSTOMER))
    book.bought().take(order_changed(), refunded("980"))
    conn = await asyncpg.connect(url)
    records = [fact for facts in book.outcomes for fact in facts if isinstance(fact, Entry | Withheld)]
    await Ledger(TERMS).save(conn, {}, records)
    await conn.close()
    new = SHIPPED.replace('share_of_value = "0.05"', 'share_of_value = "0.10"')
    code, output = await asyncio.to_thread(run, url, tmp_path, new, "--json")
    told = json.loads(output)
    assert (code, told["cases"], told["points_before"], told["points_after"]) == (0, 3, 598, 847)
    assert [line["change"] for line in told["changed"]] == [249]
    code, output = await asyncio.to_thread(run, url, tmp_path, new)
    assert (code, "+249" in output) == (0, True)


async def test_wrong_rules_are_refused_with_the_name_of_the_field(tmp_path: Path) -> None:
    wrong = SHIPPED.replace("points = 200", "points = -1")
    code, output = await asyncio.to_thread(run, "postgresql://nowhere", tmp_path, wrong)
    assert code == 2
    assert "rules.2.points" in output
