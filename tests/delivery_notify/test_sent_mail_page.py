"""Page that shows a sent mail to staff."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from libs.common.http.signed_links import Purpose, SignedLinks
from tests.conftest import MakeDatabase
from tests.delivery_notify.service import SECRETS, notifying, settled, take
from tests.delivery_notify.test_sender import later, order


@pytest.mark.parametrize("form", ["", "?as=html"])
async def test_staff_get_no_working_link_of_the_customer(database: MakeDatabase, form: str) -> None:
    async with notifying(await database("delivery_notify")) as live:
        await take(live, order(), later())
        (notice,) = await settled(live)
        token = SignedLinks([SECRETS.partition(",")[0]]).token(
            Purpose.STAFF_NOTICE, datetime.now(UTC) + timedelta(minutes=5), str(notice["notice_id"])
        )
        page = await live.client.get(f"/staff/notices/{token}{form}")
        links = re.findall(r"https?://[^\s\"<]+/[cs]/[^\s\"<]+", page.text)
        assert links
        for link in links:
            assert (await live.client.get("/" + link.split("/", 3)[3])).status_code != 200
