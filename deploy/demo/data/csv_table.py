"""Strict reading of order files: every error names the file, the line, the column and what would be right."""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    import _csv

MAX_PRICE = Decimal(100_000_000)
YEARS = range(2000, 2100)


class OrderFileError(ValueError):
    """An order file that cannot be replayed; the message names the place, the fault and the remedy."""


@dataclass(frozen=True, slots=True)
class CsvRow:
    """One record of a table: its file, its first line and its cells by column."""

    file: str
    line: int
    cells: dict[str, str]

    def __getitem__(self, column: str) -> str:
        return self.cells[column]

    def text(self, column: str) -> str:
        """The cell; it must not be empty."""
        if not (value := self.cells[column].strip()):
            raise self.error(column, "is empty; a value is required")
        return value

    def integer(self, column: str, minimum: int = 1, maximum: int = 10_000) -> int:
        value = self.text(column)
        if not (value.isascii() and value.isdecimal()) or not minimum <= int(value) <= maximum:
            raise self.error(column, f"{value!r} is not a whole number from {minimum} to {maximum}")
        return int(value)

    def price(self, column: str) -> Decimal:
        value = self.text(column)
        try:
            amount = Decimal(value)
        except InvalidOperation:
            amount = Decimal("NaN")
        if not (amount.is_finite() and 0 <= amount <= MAX_PRICE):
            raise self.error(column, f"{value!r} is not a price; write a number such as 12.99")
        return amount

    def day(self, column: str) -> date:
        value = self.text(column)
        try:
            day = date.fromisoformat(value)
        except ValueError as error:
            raise self.error(column, f"{value!r} is not a day; write YYYY-MM-DD") from error
        return self._checked(column, day)

    def time(self, column: str, zone: ZoneInfo | None = None) -> datetime:
        """The cell as a moment; `zone` is that of times without an offset, which are refused where it is None."""
        value = self.text(column)
        try:
            moment = datetime.fromisoformat(value)
        except ValueError as error:
            raise self.error(column, f"{value!r} is not a time; write YYYY-MM-DD HH:MM:SS") from error
        self._checked(column, moment.date())
        if zone is not None:
            return moment.replace(tzinfo=zone)
        if moment.tzinfo is None:
            raise self.error(column, f"{value!r} has no time zone; write for example 2026-03-02T10:00:00+09:00")
        return moment

    def _checked(self, column: str, day: date) -> date:
        if day.year not in YEARS:
            raise self.error(column, f"{day} is not a day from {YEARS[0]} to {YEARS[-1]}")
        return day

    def optional_time(self, column: str, zone: ZoneInfo | None = None) -> datetime | None:
        return self.time(column, zone) if self.cells[column].strip() else None

    def error(self, column: str, problem: str) -> OrderFileError:
        return OrderFileError(f"{self.file} line {self.line}, column {column}: {problem}")


def read_table(path: Path, required: Sequence[str], optional: Sequence[str] = ()) -> list[CsvRow]:
    """All rows of a CSV file in UTF-8, with or without a byte order mark. Raises `OrderFileError`."""
    reader = csv.reader(io.StringIO(_decoded(path), newline=""), strict=True)
    try:
        header = next(reader, None)
        if header is None:
            raise OrderFileError(f"{path.name}: the file is empty; its first line must name the columns")
        columns = [name.strip() for name in header]
        _check_header(path.name, columns, required, optional)
        return list(_rows(path.name, reader, columns, optional))
    except csv.Error as error:
        raise OrderFileError(f"{path.name} line {reader.line_num}: {error}; quote the cell as CSV wants it") from error


def _decoded(path: Path) -> str:
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise OrderFileError(f"{path}: the file is missing") from error
    except OSError as error:
        raise OrderFileError(f"{path}: {error.strerror}; the file must be readable") from error
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise OrderFileError(f"{path.name} line {line}: not UTF-8; save the file in UTF-8") from error


def _check_header(file: str, columns: Sequence[str], required: Sequence[str], optional: Sequence[str]) -> None:
    missing = [name for name in required if name not in columns]
    unknown = [name or "(empty)" for name in columns if name not in (*required, *optional)]
    repeated = sorted({name for name in columns if columns.count(name) > 1})
    for problem, names, remedy in (
        ("missing", missing, "add it"),
        ("unknown", unknown, f"remove it; the columns are {', '.join((*required, *optional))}"),
        ("repeated", repeated, "remove one of them"),
    ):
        if names:
            raise OrderFileError(f"{file} line 1, column {', '.join(names)}: {problem}; {remedy}")


def _rows(file: str, reader: "_csv.Reader", columns: Sequence[str], optional: Sequence[str]) -> Iterator[CsvRow]:
    line = reader.line_num + 1
    for cells in reader:
        if cells and len(cells) != len(columns):
            raise OrderFileError(f"{file} line {line}: {len(cells)} cells instead of {len(columns)}; complete the row")
        if cells:
            yield CsvRow(file, line, {**dict.fromkeys(optional, ""), **dict(zip(columns, cells, strict=True))})
        line = reader.line_num + 1
