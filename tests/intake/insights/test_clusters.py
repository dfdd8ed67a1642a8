"""Clusters: detection, staff decisions and their effects, each once, in tables and random histories."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.decisions.facts import Anomaly, CancelTimer, Fact, Ignored, SetTimer, TimerFired
from libs.common.events.envelope import Payload
from libs.common.events.products import BuyerWarned, ClusterDetected, LotHeld, LotReleased, WarningCause
from libs.common.events.values import LineQuantity, Reason
from services.intake.insights.cluster_decisions import DECISION_REMINDER, decide
from services.intake.insights.clusters import (
    Buyer,
    BuyersChanged,
    BuyerWarningSent,
    Cluster,
    ClusterDecided,
    ClusterFound,
    ClusterReleased,
    ClusterState,
    ClusterStatus,
)
from services.intake.insights.detection import LotHistory, ProductHistory, detect_clusters
from services.intake.insights.sequential import Counts, DailyCounts
from services.intake.policy import detection_policy as policies
from services.intake.policy.detection_policy import (
    ActionMode,
    DetectionPolicy,
    DetectionPolicyError,
    load_detection_policy,
)
from tests.intake.event_builders import NOON, event

POLICY = load_detection_policy()
ID = UUID(int=7)
TODAY = date(2026, 3, 10)
ZONE = ZoneInfo("Asia/Tokyo")
BUYERS = tuple(Buyer(f"O-{n}", f"C-{n}", (LineQuantity(line_id="1", quantity=1),)) for n in range(3))

FOUND = ClusterFound(cluster_id=ID, sku="KYUSU", lot="B", reasons=(Reason.DEFECTIVE,), units=40, orders=6, expected=0.8)
APPROVE = ClusterDecided(cluster_id=ID, approve=True, staff="sato", comment="Handles break at the seam")
HOLD = APPROVE.model_copy(update={"warn": False})
WARN = APPROVE.model_copy(update={"hold": False})
REFUSE = ClusterDecided(cluster_id=ID, approve=False, staff="sato", comment="A buyer's joke")
RELEASE = ClusterReleased(cluster_id=ID, staff="sato", comment="Checked piece by piece")
NEWS = BuyersChanged(cluster_id=ID)
ASKED = TimerFired(name=DECISION_REMINDER, due_at=NOON)


def acting(hold: ActionMode, warn: ActionMode) -> DetectionPolicy:
    act = POLICY.actions.model_copy(update={"hold": hold, "warn": warn})
    return POLICY.model_copy(update={"actions": act})


def live(commands: Sequence[Payload], policy: DetectionPolicy = POLICY) -> tuple[Cluster | None, list[list[Fact]]]:
    """Apply the commands in turn; buyers who were warned leave the list of buyers to warn."""
    cluster, facts, warned = None, [], set()
    for command in commands:
        left = tuple(buyer for buyer in BUYERS if buyer.order_id not in warned)
        after, new = decide(ClusterState(cluster, left), event(command), NOON, policy)
        cluster = after.cluster if after else None
        warned |= {fact.order_id for fact in new if isinstance(fact, BuyerWarningSent)}
        facts.append(list(new))
    return cluster, facts


def kinds(facts: Sequence[Fact]) -> list[object]:
    """Return the types of the facts, and the reasons of ignored events and anomalies."""
    return [fact.reason if isinstance(fact, Ignored | Anomaly) else type(fact) for fact in facts]


WARNINGS = [BuyerWarned, BuyerWarningSent] * 3


@pytest.mark.parametrize(
    ("before", "command", "status", "expected"),
    [
        ([], FOUND, ClusterStatus.PROPOSED, [ClusterDetected, SetTimer]),
        ([FOUND], FOUND, ClusterStatus.PROPOSED, ["cluster_known"]),
        ([FOUND], APPROVE, ClusterStatus.ACTING, [CancelTimer, LotHeld, *WARNINGS]),
        ([FOUND], HOLD, ClusterStatus.ACTING, [CancelTimer, LotHeld]),
        ([FOUND, HOLD], WARN, ClusterStatus.ACTING, [CancelTimer, *WARNINGS]),
        ([FOUND], REFUSE, ClusterStatus.REFUSED, [CancelTimer]),
        ([FOUND, REFUSE], APPROVE, ClusterStatus.REFUSED, ["already_decided"]),
        ([FOUND, APPROVE], APPROVE, ClusterStatus.ACTING, ["nothing_to_do"]),
        ([FOUND, APPROVE], REFUSE, ClusterStatus.ACTING, ["already_decided"]),
        ([FOUND, APPROVE], NEWS, ClusterStatus.ACTING, []),
        ([FOUND, HOLD], NEWS, ClusterStatus.ACTING, ["cluster_not_concerned"]),
        ([FOUND, APPROVE], RELEASE, ClusterStatus.RELEASED, [CancelTimer, LotReleased]),
        ([FOUND, WARN], RELEASE, ClusterStatus.RELEASED, [CancelTimer]),
        ([FOUND], RELEASE, ClusterStatus.PROPOSED, ["not_acting"]),
        ([FOUND, APPROVE, RELEASE], APPROVE, ClusterStatus.RELEASED, ["already_decided"]),
        ([FOUND], ASKED, ClusterStatus.PROPOSED, ["cluster_decision_overdue", SetTimer]),
        ([FOUND, APPROVE], ASKED, ClusterStatus.ACTING, ["cluster_not_concerned"]),
        ([], APPROVE, None, ["unknown_cluster"]),
        ([], ASKED, None, ["unknown_cluster"]),
    ],
)
def test_every_command_has_its_outcome(
    before: list[Payload], command: Payload, status: ClusterStatus | None, expected: list[object]
) -> None:
    cluster, facts = live([*before, command])
    assert (cluster.status if cluster else None, kinds(facts[-1])) == (status, expected)


@pytest.mark.parametrize(
    ("hold", "warn", "expected"),
    [
        (ActionMode.ASK, ActionMode.ASK, [ClusterDetected, SetTimer]),
        (ActionMode.NEVER, ActionMode.NEVER, [ClusterDetected]),
        (ActionMode.ALWAYS, ActionMode.NEVER, [ClusterDetected, LotHeld]),
        (ActionMode.ALWAYS, ActionMode.ASK, [ClusterDetected, LotHeld, SetTimer]),
        (ActionMode.ALWAYS, ActionMode.ALWAYS, [ClusterDetected, LotHeld, *WARNINGS]),
    ],
)
def test_what_happens_without_staff_is_the_policys_choice(
    hold: ActionMode, warn: ActionMode, expected: list[object]
) -> None:
    _, facts = live([FOUND], acting(hold, warn))
    assert kinds(facts[0]) == expected


def test_the_facts_name_who_decided_and_why() -> None:
    cluster, facts = live([FOUND, APPROVE])
    held = next(fact for fact in facts[1] if isinstance(fact, LotHeld))
    assert (held.sku, held.lot, held.staff, held.comment) == ("KYUSU", "B", "sato", "Handles break at the seam")
    warned = next(fact for fact in facts[1] if isinstance(fact, BuyerWarned))
    assert (warned.order_id, warned.customer_id, warned.cause) == ("O-0", "C-0", WarningCause.MAY_BE_DEFECTIVE)
    assert cluster is not None
    assert cluster.decision is not None
    assert (cluster.is_held, cluster.warns_buyers, cluster.decision.staff) == (True, True, "sato")


ANY = st.lists(st.sampled_from([FOUND, APPROVE, HOLD, WARN, REFUSE, RELEASE, NEWS, ASKED]), max_size=12)
ANY_POLICY = st.builds(acting, st.sampled_from(ActionMode), st.sampled_from(ActionMode))


@given(ANY, ANY_POLICY)
def test_a_lot_is_held_and_released_in_turn_and_each_buyer_warned_once(
    commands: list[Payload], policy: DetectionPolicy
) -> None:
    cluster, batches = live(commands, policy)
    facts = [fact for batch in batches for fact in batch]
    moves = [fact for fact in facts if isinstance(fact, LotHeld | LotReleased)]
    assert [move.TYPE for move in moves] == ["lot.held.v1", "lot.released.v1"][: len(moves)]
    orders = [fact.order_id for fact in facts if isinstance(fact, BuyerWarned)]
    assert len(orders) == len(set(orders))
    assert sum(isinstance(fact, ClusterDetected) for fact in facts) == (1 if FOUND in commands else 0)
    if cluster:
        assert cluster.is_held == (len(moves) == 1)


@given(ANY)
def test_nothing_is_held_and_nobody_warned_unless_staff_decided_so(commands: list[Payload]) -> None:
    _, batches = live([command for command in commands if command not in (APPROVE, HOLD, WARN)])
    assert not [fact for facts in batches for fact in facts if isinstance(fact, LotHeld | BuyerWarned)]


def lot(name: str, pieces: int, orders: int, reasons: dict[Reason, int] | None = None, back: int = 3) -> LotHistory:
    days = (DailyCounts(TODAY - timedelta(days=back), Counts(pieces, orders)),)
    return LotHistory(name, days, reasons or {Reason.DEFECTIVE: orders})


SHOP = Counts(5_000, 60)
GOOD = lot("A", 300, 3)
BAD = lot("B", 40, 8, {Reason.DEFECTIVE: 2, Reason.MISSING_PART: 6})


def found(product: ProductHistory, shop: Counts = SHOP) -> list[tuple[str, int, int]]:
    return [
        (cluster.lot, cluster.orders, cluster.units) for cluster in detect_clusters(product, shop, POLICY, TODAY, ZONE)
    ]


def cluster_of(detected: ClusterFound, status: ClusterStatus = ClusterStatus.PROPOSED) -> Cluster:
    state, _ = decide(None, event(detected), NOON, POLICY)
    assert state
    assert state.cluster
    return replace(state.cluster, status=status)


def test_a_bad_lot_is_found_with_its_reasons_the_most_frequent_first() -> None:
    [cluster] = detect_clusters(ProductHistory("KYUSU", (GOOD, BAD)), SHOP, POLICY, TODAY, ZONE)
    assert (cluster.lot, cluster.orders, cluster.reasons) == ("B", 8, (Reason.MISSING_PART, Reason.DEFECTIVE))


def test_nothing_is_found_where_there_is_nothing() -> None:
    assert found(ProductHistory("KYUSU", (GOOD,))) == []
    assert found(ProductHistory("KYUSU", ())) == []
    assert found(ProductHistory("KYUSU", (lot("A", 3, 1),)), Counts()) == []


def test_without_lots_the_product_itself_is_found() -> None:
    assert found(ProductHistory("KYUSU", (lot("", 40, 10),))) == [("", 10, 40)]


def test_a_fault_in_all_lots_is_the_products() -> None:
    lots = tuple(lot(name, 30, 3) for name in "ABCDEF")
    assert found(ProductHistory("KYUSU", lots)) == [("", 18, 180)]


def test_a_lot_with_a_cluster_is_not_found_again_nor_taken_for_its_product() -> None:
    [cluster] = detect_clusters(ProductHistory("KYUSU", (GOOD, BAD)), SHOP, POLICY, TODAY, ZONE)
    for status in (ClusterStatus.PROPOSED, ClusterStatus.ACTING, ClusterStatus.REFUSED, ClusterStatus.RELEASED):
        assert found(ProductHistory("KYUSU", (GOOD, BAD), (cluster_of(cluster, status),))) == []


def test_after_a_refusal_only_new_reports_make_another_cluster() -> None:
    [cluster] = detect_clusters(ProductHistory("KYUSU", (GOOD, BAD)), SHOP, POLICY, TODAY, ZONE)
    refused = cluster_of(cluster, ClusterStatus.REFUSED)
    assert [lot for lot, *_ in found(ProductHistory("KYUSU", (GOOD, lot("B", 45, 10)), (refused,)))] == []
    [again] = detect_clusters(ProductHistory("KYUSU", (GOOD, lot("B", 80, 16)), (refused,)), SHOP, POLICY, TODAY, ZONE)
    assert (again.orders, again.units) == (8, 40)
    assert again.cluster_id != cluster.cluster_id


def test_what_was_refused_in_the_morning_of_the_shop_is_not_found_again_that_day() -> None:
    today = lot("", 40, 10, back=0)
    [cluster] = detect_clusters(ProductHistory("KYUSU", (today,)), SHOP, POLICY, TODAY, ZONE)
    early = datetime(2026, 3, 9, 20, tzinfo=UTC)  # five o'clock of 10 March in the shop
    refused = replace(cluster_of(cluster, ClusterStatus.REFUSED), detected_at=early)
    assert found(ProductHistory("KYUSU", (today,), (refused,))) == []


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (("false_alarm_probability = 0.001", "false_alarm_probability = 2"), "lot.false_alarm_probability"),
        (("rate_multiple = 4", "rate_multiple = 1"), "product.rate_multiple"),
        (('hold = "ask"', 'hold = "perhaps"'), "actions.hold"),
        (('wrong_item = "may', 'changed_mind = "may'), "has no wrong_item"),
        (("default_rate = 0.02", "default = 0.02"), "base.default_rate"),
        (("[base]", "[base"), "detection_policy.toml"),
    ],
)
def test_a_wrong_policy_is_refused_by_name(tmp_path: Path, change: tuple[str, str], named: str) -> None:
    file = tmp_path / "detection_policy.toml"
    text = policies.DEFAULT_FILE.read_text(encoding="utf-8")
    assert change[0] in text
    file.write_text(text.replace(*change), encoding="utf-8")
    with pytest.raises(DetectionPolicyError, match=named.replace(".", r"\.")):
        load_detection_policy(file)
