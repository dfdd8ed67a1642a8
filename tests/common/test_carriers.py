"""Carriers are named in the customer's language and their parcels linked; unknown ones are left as they are."""

import pytest

from libs.common.events.values import Language
from libs.common.web.carriers import carrier_name, tracking_url


@pytest.mark.parametrize(
    ("carrier", "japanese", "english"),
    [
        ("yamato", "ヤマト運輸", "Yamato Transport"),
        (" Yamato ", "ヤマト運輸", "Yamato Transport"),
        ("佐川急便", "佐川急便", "Sagawa Express"),
        ("やまねこ便", "やまねこ便", "やまねこ便"),
    ],
)
def test_a_carrier_is_named_in_the_language_of_the_customer(carrier: str, japanese: str, english: str) -> None:
    assert (carrier_name(carrier, Language.JA), carrier_name(carrier, Language.EN)) == (japanese, english)


@pytest.mark.parametrize(
    ("carrier", "number", "url"),
    [
        ("yamato", "1234-5678-9012", "https://jizen.kuronekoyamato.co.jp/jizen/servlet/crjz.b.NQ0010?id=123456789012"),
        ("UPS", "1Z 999 AA1", "https://www.ups.com/track?tracknum=1Z999AA1"),
        ("ups", "1Z&next=evil", "https://www.ups.com/track?tracknum=1Z%26next%3Devil"),
        ("やまねこ便", "1234", ""),
        ("yamato", None, ""),
        (None, "1234", ""),
        ("yamato", "- -", ""),
    ],
)
def test_a_parcel_is_linked_to_the_page_of_its_carrier(carrier: str | None, number: str | None, url: str) -> None:
    assert tracking_url(carrier, number) == url
