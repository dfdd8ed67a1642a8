"""Legal name, address and telephone of the seller in notices about prepaid orders."""

import pytest

from libs.common.events.values import Language
from services.delivery_notify.rendering.renderer import Renderer
from services.delivery_notify.rendering.shop import Shop
from services.delivery_notify.rendering.template_lint import lint
from services.delivery_notify.rendering.template_samples import sample_content
from tests.delivery_notify.conversation_driver import CALENDAR
from tests.delivery_notify.rendered_notices import LINKS

SELLER = "さきだし商店、東京都渋谷区神宮前 9-99-9、電話 03-0000-0000"
SHOP = Shop("さきだし商店", SELLER)


@pytest.mark.parametrize("case", ["order accepted", "order delayed, prepaid"])
@pytest.mark.parametrize("language", Language)
def test_the_acceptance_and_a_change_of_its_date_contain_the_seller(case: str, language: Language) -> None:
    rendered = Renderer(CALENDAR, LINKS, SHOP).render(sample_content(case, language))
    assert SELLER in rendered.text
    assert SELLER in rendered.html


@pytest.mark.parametrize("language", Language)
def test_other_notices_do_not_contain_the_sellers_telephone(language: Language) -> None:
    rendered = Renderer(CALENDAR, LINKS, SHOP).render(sample_content("order delayed", language))
    assert "03-0000-0000" not in rendered.text


def test_our_templates_pass_the_linter_with_a_seller() -> None:
    assert lint(Renderer(CALENDAR, LINKS, SHOP)) == []
