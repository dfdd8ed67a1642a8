"""Every time on a page is in the shop's time zone."""

import re
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from libs.common.http.signed_links import SignedLinks
from services.intake.customer_pages.links import CustomerPageLinks
from tests.intake.desk.conftest import Desk
from tests.intake.issue_states import an_order, store_dead_letter
from tests.running import LINK_SECRETS

ZONE = ZoneInfo("Asia/Tokyo")
TIME = re.compile(r'<time datetime="([^"]+)">([^<]*)</time>')
CLOCK_TIME = re.compile(r"\b\d{1,2}:\d{2}\b")
FULL_HOUR = re.compile(r"\b\d{1,2}:00\b")


def faults_of(page: str) -> list[str]:
    """Return clock times that are not in the shop's zone; full hours (collection windows) are local by contract."""
    moments = TIME.findall(page)
    faults = [text for at, text in moments if f"{datetime.fromisoformat(at).astimezone(ZONE):%H:%M}" not in text]
    visible = re.sub(r"<pre.*?</pre>", "", TIME.sub("", page), flags=re.DOTALL)
    text = FULL_HOUR.sub("", re.sub(r"<[^>]*>", " ", visible))
    return faults + CLOCK_TIME.findall(text)


async def test_pages_show_moments_in_the_shops_time_zone(desk: Desk) -> None:
    case = desk.case
    await case.publish(case.ordered(), case.asked(), case.shipped(), case.arrived(), case.requested(), case.booked())
    dead_letter = await store_dead_letter(desk.live, "orders", [an_order("SD-9")])
    aki = await desk.as_("aki")
    status = CustomerPageLinks("http://service", SignedLinks([LINK_SECRETS])).status(
        case.ids["issue_id"], datetime.now(UTC)
    )
    pages = {
        "home": await aki.get("/desk"),
        "issue": await aki.get(desk.issue),
        "dead letter": await aki.get(f"/desk/dead-letters/intake/{dead_letter}"),
        "status": await desk.live.client.get(status, headers={"Accept-Language": "en"}),
    }
    for name, page in pages.items():
        assert page.status_code == 200, name
        assert TIME.search(page.text), name
        assert faults_of(page.text) == [], name
