"""Settings of commands from environment variables; a wrong value raises `CommandError` with the variable's name."""

import os
from collections.abc import Mapping
from pathlib import Path

from deploy.local.command_line import CommandError


def integer(
    name: str, default: int, minimum: int = 0, maximum: int = 2**31 - 1, environ: Mapping[str, str] = os.environ
) -> int:
    text = environ.get(name) or str(default)
    if not (text.isascii() and text.isdecimal()) or not minimum <= int(text) <= maximum:
        raise CommandError(f"{name}: {text!r} is not a whole number from {minimum:,} to {maximum:,}")
    return int(text)


def positive_number(name: str, default: float, maximum: float, environ: Mapping[str, str] = os.environ) -> float:
    text = environ.get(name) or str(default)
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number <= maximum:
        raise CommandError(f"{name}: {text!r} is not a number above 0 and up to {maximum:,g}")
    return number


def flag(name: str, environ: Mapping[str, str] = os.environ) -> bool:
    return environ.get(name, "").lower() not in ("", "0", "false")


def output_file(name: str, environ: Mapping[str, str] = os.environ) -> Path | None:
    """The file to write at the end of the run; checked before the run begins."""
    text = environ.get(name)
    if not text:
        return None
    path = Path(text).absolute()
    if path.is_dir():
        raise CommandError(f"{name}: {text} is a folder; name a file")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise CommandError(f"{name}: the folder {path.parent} does not exist or is not writable; create it first")
    return path


def input_folder(name: str, environ: Mapping[str, str] = os.environ) -> Path | None:
    text = environ.get(name)
    if not text:
        return None
    path = Path(text).resolve()
    if not path.is_dir():
        raise CommandError(f"{name}: {text} is not a folder; name an existing folder")
    return path
