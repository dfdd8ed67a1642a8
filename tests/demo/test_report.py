"""Results of a run are counted from the topics."""

from deploy.demo.report import summarize
from deploy.demo.screen import first_dates_line, lateness_lines
from deploy.verification.auditor import TOPICS
from libs.common.events.topics import TOPICS as CONTRACT
from tests.verification.histories import LINE, ORDER_LINE, HistoryBuilder


def test_the_auditor_reads_every_topic() -> None:
    assert set(TOPICS) == {topic.name for topic in CONTRACT}


def test_a_cluster_a_held_lot_and_warned_buyers_are_shown() -> None:
    story = HistoryBuilder()
    about = {"sku": "KTL-01", "lot": "KTL-01-B", "cluster_id": "c"}
    story.add("product.alerts", "cluster.detected", 1, **about, reported_orders=6)
    story.add("product.alerts", "lot.held", 2, **about)
    for order in ("S1", "S2"):
        story.add("product.alerts", "buyer.warned", 2, **about, order_id=order)
    story.add("storefront.orders", "order.shipped", 3, order_id="S3", lines=[{"lot": "KTL-01-B-checked"}, {"lot": "A"}])
    assert summarize(story.history(), (), 1.0).product_insights == {
        "cluster found: KTL-01 KTL-01-B": 6,
        "lots held": 1,
        "buyers warned before they noticed": 2,
        "parcels picked from checked stock": 1,
    }


def test_choices_and_answers_are_counted() -> None:
    story = HistoryBuilder()
    answer = {"order_id": "S1", "choice": "change", "change": "address"}
    story.add("notices", "customer.decided", 1, **answer)
    story.add("notices", "customer.decided", 1, order_id="S2", choice="wait", by_default=True)
    story.add("notices", "customer.decided", 1, order_id="S3", issue_id="i1", choice="change", change="item")
    for issue, visit in (("i1", "v1"), ("i2", "v1"), ("i3", "v2")):
        story.add("carrier.orders", "collection.requested", 2, issue_id=issue, visit_id=visit)
    story.add("carrier.events", "parcel.found", 3, issue_id="i4", with_customer=False)
    for score in (10, 9, 7, 2):
        story.add("issues", "issue.rated", 4, issue_id="i1", score=score)
    assert summarize(story.history(), (), 1.0).behaviour == {
        "choice about an order: another address": 1,
        "choice about an order: wait, by default": 1,
        "choice about an issue: another item": 1,
        "one visit for several issues": 1,
        "lost parcel found on its way back": 1,
        "survey answered 9 or 10": 2,
        "survey answered 7 or 8": 1,
        "survey answered 0 to 6": 1,
    }


def test_only_replacements_that_nobody_had_to_decide_on_are_timed() -> None:
    """The second one waited an hour for staff, which is no latency of the system."""
    story = HistoryBuilder()
    for issue, reviewed in (("i1", False), ("i2", True), ("i3", False)):
        known = {"issue_id": issue}
        story.add("issues", "issue.reported", 1, **known)
        story.add("issues", "issue.accepted", 1, **known)
        if reviewed:
            story.add("issues", "issue.review_requested", 1, **known)
        ordered_at = 2 if reviewed else 1
        story.add("warehouse.orders", "replacement.ordered", ordered_at, **known)
        fact = story.add("issues", "issue.replacement_ordered", ordered_at, **known)
        story.ledger.append(
            {"issue_id": issue, "status": 202, "answered_at_ms": fact.written_ms - 5 - 3_600_000 * reviewed}
        )
    assert summarize(story.history(), (), 1.0).latencies == {"p50": 5.0, "p99": 5.0}


def test_the_line_of_first_dates_names_each_warehouse_with_its_share() -> None:
    story = HistoryBuilder()
    for number, shipped_at in ((1, 24), (2, 24), (3, 60)):
        line = {**ORDER_LINE, "warehouse": "osaka"}
        story.add("storefront.orders", "order.placed", 0, order_id=f"S{number}", customer_id="C1", lines=[line])
        story.add("storefront.orders", "order.shipped", shipped_at, order_id=f"S{number}", lines=[LINE])
    assert first_dates_line(summarize(story.history(), (), 1.0)) == "First dates kept: warehouse osaka 2 of 3 (67%)."


def test_a_warning_before_a_cutoff_is_one_line() -> None:
    warning = {"by": "warehouse", "name": "osaka", "day": "2026-03-14", "due": 3, "expected_late": 1}
    warning |= {"expected_by": "2026-03-17", "order_ids": ["S37345"]}
    (line,) = lateness_lines(summarize(HistoryBuilder().history(), (), 1.0, lateness_warnings=[warning]))
    assert line == (
        "Staff were warned before the cutoff of 2026-03-14: 1 of 3 dates of warehouse osaka late, by 2026-03-17 "
        "(orders S37345)."
    )
