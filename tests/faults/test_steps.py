"""Every named failpoint occurs in the code once, and every one in the code is named."""

import re
from pathlib import Path

from deploy.local.paths import ROOT
from libs.common.messaging.failpoints import STEPS
from tests.faults.run import SERVICE_STEPS

LIBS = Path(__file__).parents[2] / "libs" / "common"


def test_the_list_of_steps_is_that_of_the_code() -> None:
    source = "\n".join(file.read_text("utf-8") for file in LIBS.rglob("*.py") if file.name != "failpoints.py")
    calls = " ".join(re.findall(r"failpoint\((.*)\)\n", source))
    assert sorted(re.findall(r'"(\w+)"', calls)) == sorted(STEPS)


def test_the_steps_of_a_service_of_its_own_stand_in_its_code() -> None:
    for service, steps in SERVICE_STEPS.items():
        source = "\n".join(file.read_text("utf-8") for file in (ROOT / "services" / service).rglob("*.py"))
        assert set(steps) <= set(re.findall(r'failpoint\("(\w+)"\)', source))
