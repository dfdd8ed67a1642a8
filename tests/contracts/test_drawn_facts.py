"""Each service's random histories draw every fact that it reads, so that a new one cannot be forgotten."""

from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.common.events.topics import SERVICES
from tests.delivery_notify.test_fact_histories import FACTS as DELIVERY_NOTIFY
from tests.drawn_facts import Facts
from tests.examples import examples
from tests.faults.subscriptions import all_subscriptions
from tests.intake.test_fact_histories import FACTS as INTAKE
from tests.loyalty.test_fact_histories import FACTS as LOYALTY
from tests.returns.test_fact_histories import FACTS as RETURNS

DRAWN: Mapping[str, Facts] = {
    "intake": INTAKE,
    "returns": RETURNS,
    "delivery_notify": DELIVERY_NOTIFY,
    "loyalty": LOYALTY,
}


@pytest.mark.parametrize("service", SERVICES)
def test_every_fact_that_a_service_reads_is_drawn(service: str) -> None:
    read = {each.type for each in all_subscriptions() if each.service == service}
    assert {fact.TYPE for fact in DRAWN[service]} == read


@pytest.mark.parametrize("service", SERVICES)
def test_every_strategy_draws_the_fact_that_it_stands_for(service: str) -> None:
    facts = st.fixed_dictionaries(dict(DRAWN[service]))

    @settings(max_examples=examples(20))
    @given(facts)
    def check(drawn: dict[type, object]) -> None:
        assert [kind for kind, fact in drawn.items() if type(fact) is not kind] == []

    check()
