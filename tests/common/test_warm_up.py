"""Work of the first event is done before a service starts."""

import subprocess
import sys
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from deploy.api.api_docs import example_app
from deploy.local.paths import ROOT
from libs.common.decisions import shop_calendar
from libs.common.events import registry
from libs.common.runtime.service import Service
from libs.common.runtime.warm_up import warm_up


@pytest.mark.parametrize("name", ["returns", "delivery_notify"])
def test_a_service_that_asks_for_holidays_knows_them_before_its_first_event(name: str) -> None:
    shop_calendar._holidays.cache_clear()
    service: Service = example_app(name).state.service
    warm_up(service.publishes, service.preparations)
    known = shop_calendar._holidays.cache_info().currsize
    year = datetime.now(ZoneInfo("Asia/Tokyo")).year
    for each in (year, year + 1):
        shop_calendar._holidays("JP", each)
    assert shop_calendar._holidays.cache_info().currsize == known


def test_the_decoder_is_built_before_the_first_event() -> None:
    registry._decoder.cache_clear()
    warm_up(())
    assert registry._decoder.cache_info().currsize == 1


def test_a_start_ends_with_the_collector_on_and_its_objects_exempt() -> None:
    script = "import gc; gc.disable(); from libs.common.runtime.server import freeze_gc; freeze_gc()"
    asked = f"{script}; print(gc.isenabled(), gc.get_freeze_count() > 10_000)"
    done = subprocess.run([sys.executable, "-c", asked], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "True True\n"
