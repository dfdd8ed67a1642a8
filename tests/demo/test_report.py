"""What a run came to: what the shop learnt about its goods is read from the topics."""

from deploy.demo.audit import TOPICS
from deploy.local.demo_report import count
from libs.common.events.topics import TOPICS as CONTRACT
from tests.demo.histories import Story


def test_the_auditor_reads_every_topic() -> None:
    assert set(TOPICS) == {topic.name for topic in CONTRACT}


def test_a_cluster_a_held_lot_and_warned_buyers_are_shown() -> None:
    story = Story()
    about = {"sku": "KTL-01", "lot": "KTL-01-B", "cluster_id": "c"}
    story.add("product.alerts", "cluster.detected", 1, **about, reported_orders=6)
    story.add("product.alerts", "lot.held", 2, **about)
    for order in ("S1", "S2"):
        story.add("product.alerts", "buyer.warned", 2, **about, order_id=order)
    story.add("storefront.orders", "order.shipped", 3, order_id="S3", lines=[{"lot": "KTL-01-B-checked"}, {"lot": "A"}])
    assert count(story.history(), (), 1.0).learning == {
        "cluster found: KTL-01 KTL-01-B": 6,
        "lots held": 1,
        "buyers warned before they noticed": 2,
        "parcels picked from checked stock": 1,
    }
