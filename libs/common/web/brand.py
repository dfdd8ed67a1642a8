"""Look of a shop on customer pages: its name, its logo and its colour, as in its mails."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from libs.common.web.colors import DEFAULT_COLOR, lightened

STYLE_SHEET = "shop.css"
"""Name of the asset with the shop's colour; linked after the style sheet of the pages."""


@dataclass(frozen=True, slots=True)
class Brand:
    """`logo_url` is "" for the name in letters; `color` is dark enough for white text."""

    name: str
    logo_url: str = ""
    color: str = DEFAULT_COLOR

    @property
    def logo_origin(self) -> str:
        """Origin that the content security policy has to allow for the logo; "" without one."""
        parts = urlsplit(self.logo_url)
        return f"{parts.scheme}://{parts.netloc}" if self.logo_url else ""

    def style_sheet(self) -> dict[str, bytes]:
        """Return the asset that puts the shop's colour in place of ours; empty for ours."""
        if self.color.lower() == DEFAULT_COLOR:
            return {STYLE_SHEET: b""}
        dark = f"@media (prefers-color-scheme: dark) {{ :root {{ --accent: {lightened(self.color)}; }} }}"
        return {STYLE_SHEET: f":root {{ --accent: {self.color}; }}\n{dark}\n".encode()}
