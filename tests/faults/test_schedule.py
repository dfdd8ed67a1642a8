"""The schedule: pure data, equal for the same seed, and with every kind of fault."""

from collections import Counter
from itertools import pairwise

import pytest

from libs.common.messaging.failpoints import STEPS
from tests.faults.run import STEPS_BY_SERVICE
from tests.faults.schedule import FaultKind, FaultTargets, plan

THERE = FaultTargets(STEPS_BY_SERVICE)


def test_the_same_seed_gives_the_same_schedule_and_another_seed_another() -> None:
    assert plan(7, 300, THERE) == plan(7, 300, THERE)
    assert plan(7, 300, THERE) != plan(8, 300, THERE)


def test_a_longer_run_begins_like_the_shorter_one() -> None:
    short = plan(7, 100, THERE)
    assert set(short) <= set(plan(7, 300, THERE))


@pytest.mark.parametrize("seed", range(20))
def test_five_minutes_have_every_kind_and_every_step(seed: int) -> None:
    faults = plan(seed, 300, THERE)
    assert {fault.kind for fault in faults} == set(FaultKind)
    assert {fault.detail.partition(":")[0] for fault in faults if fault.kind is FaultKind.STEP} >= set(STEPS)


@pytest.mark.parametrize("seed", range(20))
def test_half_an_hour_has_every_step_of_every_service(seed: int) -> None:
    steps = [
        (fault.target, fault.detail.partition(":")[0])
        for fault in plan(seed, 1800, THERE)
        if fault.kind is FaultKind.STEP
    ]
    assert set(steps) == {(service, step) for service, steps in STEPS_BY_SERVICE.items() for step in steps}


@pytest.mark.parametrize("seed", range(20))
def test_faults_of_one_lane_do_not_overlap_and_end_in_time(seed: int) -> None:
    lanes: dict[str, list[tuple[float, float]]] = {}
    for fault in plan(seed, 120, THERE):
        lanes.setdefault(fault.lane, []).append((fault.at, fault.at + fault.seconds))
    for times in lanes.values():
        assert all(earlier[1] <= later[0] for earlier, later in pairwise(times))
        assert times[-1][1] <= 120


def test_without_a_disk_of_its_own_the_database_keeps_its_room() -> None:
    kinds = Counter(fault.kind for fault in plan(1, 900, FaultTargets(STEPS_BY_SERVICE, disk=False)))
    assert kinds[FaultKind.DISK_FULL] == 0
    assert kinds[FaultKind.CRASH] > 5
