"""Logo and colour of a shop on customer pages."""

from zoneinfo import ZoneInfo

import pytest

from libs.common.events.values import Language
from libs.common.web.brand import STYLE_SHEET, Brand
from libs.common.web.colors import DEFAULT_COLOR, lightened
from services.delivery_notify.http.pages.rendering import open_renderer

SHOP = Brand("さきだし商店", "https://pictures.example/logo.png", "#7a1f3d")


def answer(shop: Brand) -> tuple[str, str]:
    """Return body and content security policy of a page of the shop."""
    pages = open_renderer("https://shop.example", shop, ZoneInfo("Asia/Tokyo"))
    response = pages.page("closed.html", Language.JA, code="bad_link")
    return bytes(response.body).decode(), response.headers["Content-Security-Policy"]


def test_the_logo_is_shown_and_its_origin_is_allowed() -> None:
    body, policy = answer(SHOP)
    assert '<img src="https://pictures.example/logo.png" alt="さきだし商店"' in body
    assert "img-src 'self' blob: https://pictures.example;" in policy


def test_a_shop_without_a_logo_shows_its_name_and_allows_no_other_origin() -> None:
    body, policy = answer(Brand("さきだし商店"))
    assert '<p class="shop">さきだし商店</p>' in body
    assert "img-src 'self' blob:;" in policy


def test_the_colour_of_the_shop_is_a_style_sheet_that_the_page_links() -> None:
    assert f"/{STYLE_SHEET}" in answer(SHOP)[0]
    assert b"--accent: #7a1f3d" in SHOP.style_sheet()[STYLE_SHEET]


def test_our_own_colour_needs_no_style_sheet() -> None:
    assert Brand("x", color=DEFAULT_COLOR).style_sheet() == {STYLE_SHEET: b""}


def luminance(color: str) -> float:
    channels = [int(color[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("color", ["#000000", "#0000ff", "#7a1f3d", "#123456", "#767676", "#a00000"])
def test_a_colour_can_be_read_on_a_dark_page_and_dark_text_on_it(color: str) -> None:
    assert contrast(lightened(color), "#262522") >= 4.5
    assert contrast(lightened(color), "#12201c") >= 4.5
