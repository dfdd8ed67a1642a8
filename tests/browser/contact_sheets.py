"""Contact sheets of the pictures that `PICTURES=<folder>` saves: several pages per image, one set per folder.

python -m tests.browser.contact_sheets <folder>
"""

import sys
from pathlib import Path

from PIL import Image, ImageDraw

SHEET_WIDTH, SHEET_HEIGHT = 1600, 1560
GAP, LABEL_HEIGHT = 8, 16
THUMBNAIL_WIDTHS = {"phone": 390, "desktop": 526, "wide": 790}
"""Width of one page on a sheet, in pixels, by the device in the folder's name."""


def thumbnails(folder: Path) -> list[tuple[str, Image.Image]]:
    """Return name and scaled picture of each page, the tallest first, so that rows waste little space."""
    width = next((each for device, each in THUMBNAIL_WIDTHS.items() if device in folder.name), 390)
    found = []
    for path in sorted(folder.glob("*.png")):
        with Image.open(path) as opened:
            height = round(opened.height * width / opened.width)
            found.append((path.stem, opened.convert("RGB").resize((width, height))))
    return sorted(found, key=lambda each: -each[1].height)


def sheets(pages: list[tuple[str, Image.Image]]) -> list[Image.Image]:
    """Lay the pages out in columns; a page longer than a sheet continues in the next column."""
    made: list[Image.Image] = []
    width = pages[0][1].width
    columns = max(1, (SHEET_WIDTH + GAP) // (width + GAP))
    tops = [SHEET_HEIGHT] * columns
    for name, page in pages:
        for part, top in enumerate(range(0, page.height, SHEET_HEIGHT - LABEL_HEIGHT)):
            piece = page.crop((0, top, width, min(page.height, top + SHEET_HEIGHT - LABEL_HEIGHT)))
            free = [column for column in range(columns) if tops[column] + LABEL_HEIGHT + piece.height <= SHEET_HEIGHT]
            if not free:
                made.append(Image.new("RGB", (columns * (width + GAP) - GAP, SHEET_HEIGHT), "#c8c8d8"))
                tops, free = [0] * columns, list(range(columns))
            column = min(free, key=lambda each: (tops[each], each))
            left, down = column * (width + GAP), tops[column]
            ImageDraw.Draw(made[-1]).text((left + 2, down + 2), f"{name} {part + 1 if part else ''}", fill="#a00000")
            made[-1].paste(piece, (left, down + LABEL_HEIGHT))
            tops[column] = down + LABEL_HEIGHT + piece.height + GAP
    return made


def main(folder: Path) -> None:
    for each in sorted(path for path in folder.iterdir() if path.is_dir()):
        for number, sheet in enumerate(sheets(pages)) if (pages := thumbnails(each)) else ():
            sheet.save(folder / f"{each.name}-{number + 1:02}.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
