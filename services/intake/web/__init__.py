"""Page settings of intake, and the style sheets and scripts of its pages in `assets/`."""

from pathlib import Path

ASSETS_FOLDER = Path(__file__).with_name("assets")
