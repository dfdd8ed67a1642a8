"""Rule simulation: no change under the same rules, and the difference under new ones."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer import Typer
from typer.testing import CliRunner

from libs.common.events.loyalty import GrantKind
from libs.common.events.registry import AnyEvent
from libs.common.events.values import Fault, Money, Reason
from services.loyalty.cli.simulate_rules import simulate_rules
from services.loyalty.domain.rule_simulation import RecordedAward, simulate
from services.loyalty.ledger.entries import Entry, EntryKind, WithheldGrant
from services.loyalty.settings import AWARD_FILE
from services.loyalty.store.ledger import LedgerStore
from tests.examples import examples
from tests.loyalty.histories import (
    HOLD,
    LEDGER_RULES,
    RULES,
    InMemoryLedger,
    order_changed,
    refunded,
    reopened,
    resolved,
)

SHIPPED = AWARD_FILE.read_text(encoding="utf-8")


def recorded_awards_of(ledger: InMemoryLedger) -> list[RecordedAward]:
    """Return recorded awards as the command reads them from the database."""
    found = []
    for fact in (fact for facts in ledger.decisions for fact in facts):
        if isinstance(fact, Entry) and fact.kind is EntryKind.GRANT and fact.grant_kind and fact.rule:
            inputs = json.loads(fact.inputs or "{}")
            found.append(
                RecordedAward(fact.customer_id, fact.at, fact.cause, fact.grant_kind, fact.rule, fact.points, inputs)
            )
        if isinstance(fact, WithheldGrant) and fact.inputs:
            inputs = json.loads(fact.inputs)
            found.append(
                RecordedAward(fact.customer_id, fact.at, fact.cause, GrantKind.APOLOGY, inputs["rule"], 0, inputs)
            )
    return found


resolutions = st.builds(
    resolved,
    issue_id=st.uuids(version=4),
    fault=st.sampled_from(Fault),
    reason=st.sampled_from(Reason),
    waited_days=st.integers(0, 40),
    promises_broken=st.integers(0, 5),
)


@settings(deadline=None, max_examples=examples(60))
@given(st.lists(resolutions, max_size=12), st.lists(st.integers(0, 90_000), max_size=4))
def test_the_same_rules_give_the_same_points(issues: list[AnyEvent], amounts: list[int]) -> None:
    ledger = InMemoryLedger()
    for issue in issues:
        ledger.advance(timedelta(days=9)).apply(issue)
    for amount in sorted(amounts):
        ledger.advance(timedelta(hours=1)).with_purchase(str(amount)).apply(order_changed())
    comparison = simulate(RULES, recorded_awards_of(ledger))
    assert comparison.changed() == []


def test_a_later_delivery_is_simulated_at_the_rate_of_the_first_one() -> None:
    ledger = InMemoryLedger().with_purchase("60000", "A-1").apply(order_changed("A-1"))
    ledger.with_purchase("200000", "A-2").apply(order_changed("A-2")).advance(HOLD)
    assert ledger.account.current_membership().tier == "silver"
    ledger.with_purchase("90000", "A-1").apply(order_changed("A-1", 2))
    assert [award.points for award in simulate(RULES, recorded_awards_of(ledger)).awards] == [600, 2000, 300]


def test_without_points_for_purchases_they_are_worth_nothing_in_the_simulation() -> None:
    ledger = InMemoryLedger().with_purchase().apply(order_changed())
    assert simulate(RULES.model_copy(update={"purchase": None}), recorded_awards_of(ledger)).by_rule() == {
        "purchase": (49, 0)
    }


@pytest.mark.parametrize(("max_points", "points"), [(549, [549, 0]), (550, [549, 1]), (None, [549, 549])])
def test_the_limit_of_points_cuts_the_last_apology(max_points: int | None, points: list[int]) -> None:
    ledger = InMemoryLedger().apply(*(resolved(UUID(int=n)) for n in (1, 2)))
    assert RULES.limits
    limits = RULES.limits.model_copy(update={"max_points": max_points, "max_grants": None})
    comparison = simulate(RULES.model_copy(update={"limits": limits}), recorded_awards_of(ledger))
    assert [award.points for award in comparison.awards] == points


def test_an_apology_before_the_period_of_the_limit_does_not_count() -> None:
    assert RULES.limits
    limits = RULES.limits.model_copy(update={"max_grants": 1})
    for days, points in ((limits.days, [549, 549]), (limits.days - 1, [549, 0])):
        ledger = InMemoryLedger().apply(resolved(UUID(int=1))).advance(timedelta(days=days))
        ledger.apply(resolved(UUID(int=2)))
        comparison = simulate(RULES.model_copy(update={"limits": limits}), recorded_awards_of(ledger))
        assert [award.points for award in comparison.awards] == points, days


def test_the_largest_difference_is_listed_first() -> None:
    history = [resolved(UUID(int=n), value=Money(amount=Decimal(n * 1000), currency="JPY")) for n in (1, 9, 4)]
    doubled = RULES.model_copy(update={"points_per_unit": {"JPY": Decimal(2)}})
    changes = [
        award.change for award in simulate(doubled, recorded_awards_of(InMemoryLedger().apply(*history))).changed()
    ]
    assert changes == [450, 200, 50]


def test_other_rules_give_other_points() -> None:
    ledger = InMemoryLedger().apply(resolved()).with_purchase().apply(order_changed())
    doubled = RULES.model_copy(update={"points_per_unit": {"JPY": 2}})
    assert simulate(doubled, recorded_awards_of(ledger)).by_rule() == {"our_product": (549, 798), "purchase": (49, 99)}


def test_stricter_limits_are_applied_in_the_order_of_events() -> None:
    ledger = InMemoryLedger().apply(*(resolved(UUID(int=n)) for n in range(1, 4)))
    assert RULES.limits
    strict = RULES.model_copy(update={"limits": RULES.limits.model_copy(update={"max_grants": 1})})
    assert [award.points for award in simulate(strict, recorded_awards_of(ledger)).awards] == [549, 0, 0]


def test_awards_without_inputs_are_skipped_and_counted() -> None:
    [case] = recorded_awards_of(InMemoryLedger().apply(resolved()))
    old = RecordedAward(case.customer_id, case.at, case.cause, case.kind, case.rule, case.points, {})
    assert simulate(RULES, [old]).skipped == 1


def run(url: str, tmp_path: Path, text: str, *options: str) -> tuple[int, str]:
    app, rules = Typer(), tmp_path / "new.toml"
    app.command()(simulate_rules)
    rules.write_text(text, encoding="utf-8")
    result = CliRunner().invoke(app, ["--rules", str(rules), "--database-url", url, *options])
    return result.exit_code, result.output


async def test_the_command_reads_the_ledger_and_prints_the_difference(
    database: Callable[[str], Awaitable[str]], tmp_path: Path
) -> None:
    url = await database("loyalty")
    ledger = InMemoryLedger().apply(
        resolved(), reopened(), resolved(resolution=2, reason=Reason.CHANGED_MIND, fault=Fault.CUSTOMER)
    )
    ledger.with_purchase().apply(order_changed(), refunded("980"))
    conn = await asyncpg.connect(url)
    records = [fact for facts in ledger.decisions for fact in facts if isinstance(fact, Entry | WithheldGrant)]
    await LedgerStore(LEDGER_RULES).save(conn, {}, records)
    await conn.close()
    new = SHIPPED.replace('share_of_value = "0.05"', 'share_of_value = "0.10"')
    code, output = await asyncio.to_thread(run, url, tmp_path, new, "--json")
    document = json.loads(output)
    assert (code, document["awards"], document["points_before"], document["points_after"]) == (0, 3, 598, 847)
    assert [line["change"] for line in document["changed"]] == [249]
    code, output = await asyncio.to_thread(run, url, tmp_path, new)
    assert (code, "+249" in output) == (0, True)


async def test_wrong_rules_are_refused_with_the_name_of_the_field(tmp_path: Path) -> None:
    wrong = SHIPPED.replace("points = 200", "points = -1")
    code, output = await asyncio.to_thread(run, "postgresql://nowhere", tmp_path, wrong)
    assert code == 2
    assert "rules.2.points" in output


@pytest.mark.parametrize("content", [b"\xff\xfe", b"[[[", b"version = 1"])
async def test_a_file_that_holds_no_rules_is_refused_by_its_name(tmp_path: Path, content: bytes) -> None:
    rules, app = tmp_path / "new.toml", Typer()
    rules.write_bytes(content)
    app.command()(simulate_rules)
    options = ["--rules", str(rules), "--database-url", "postgresql://nowhere"]
    result = await asyncio.to_thread(CliRunner().invoke, app, options)
    assert (result.exit_code, result.output.startswith(f"{rules}: ")) == (2, True)
