"""Colour of a shop: of buttons and links, with white text on it."""

import re
from typing import Annotated

from pydantic import AfterValidator

DEFAULT_COLOR = "#2f5d50"
"""Background of buttons and colour of links; white text on it has a contrast of 7.5 (WCAG 2.2, 1.4.3 asks for 4.5)."""

_MIN_CONTRAST = 4.5
_LIGHT_ENOUGH = 0.36
_COLOR = re.compile(r"#[0-9a-fA-F]{6}")


def check_color(color: str) -> str:
    """Raises `ValueError` for a colour that is not `#rrggbb` or on which white text is hard to read."""
    if not _COLOR.fullmatch(color):
        raise ValueError("not a colour; write it as #rrggbb")
    contrast = 1.05 / (_luminance(color) + 0.05)
    if contrast < _MIN_CONTRAST:
        raise ValueError(
            f"white text on it has a contrast of {contrast:.1f}; use a darker one (at least {_MIN_CONTRAST})"
        )
    return color


def lightened(color: str) -> str:
    """Return the colour mixed with white until it stands out from a dark page, and dark text from it (both over 5)."""
    channels = [int(color[start : start + 2], 16) for start in (1, 3, 5)]
    mixed = color
    for share in range(0, 101, 5):
        mixed = "#" + "".join(f"{round(each + (255 - each) * share / 100):02x}" for each in channels)
        if _luminance(mixed) >= _LIGHT_ENOUGH:
            break
    return mixed


def _luminance(color: str) -> float:
    """Relative luminance of an sRGB colour (WCAG 2.2)."""
    channels = [int(color[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


Color = Annotated[str, AfterValidator(check_color)]
"""Colour `#rrggbb` on which white text can be read."""
