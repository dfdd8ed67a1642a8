"""The decoder of photos: its memory is bounded, and what goes wrong in it stays in its process."""

import subprocess
import sys
import time
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from services.intake.evidence import decoder, photos
from services.intake.evidence.photos import TooLargeError, UnreadableError

MEGABYTE = 1024 * 1024
MOST_MEGABYTES = 300
"""Memory for the decoder beside the service, in a container of 512 MB."""


def photo(format_: str, mode: str, size: tuple[int, int], **options: object) -> bytes:
    file = BytesIO()
    with Image.new(mode, size, 1) as picture:
        picture.save(file, format_, **options)
    return file.getvalue()


MEASURE = """
import os, subprocess, sys
with open(sys.argv[2], "rb") as given:
    process = subprocess.Popen([sys.executable, "-I", sys.argv[1]], stdin=given, stdout=subprocess.PIPE)
line = process.stdout.read().partition(b"\\n")[0].decode()
_, status, usage = os.wait4(process.pid, 0)
print(os.waitstatus_to_exitcode(status), usage.ru_maxrss, line)
"""


def run(content: bytes, file: Path) -> tuple[str, float]:
    """Return the first line of the decoder's answer, and its peak memory in megabytes.

    A small process starts it: the peak of a process includes that of the one that it was forked from.
    """
    file.write_bytes(content)
    command = [sys.executable, "-I", "-c", MEASURE, decoder.__file__, str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    status, peak, line = done.stdout.split(" ", 2)
    assert status == "0"
    return line, int(peak) / (MEGABYTE if sys.platform == "darwin" else 1024)


@pytest.mark.parametrize(
    ("format_", "mode", "size", "options", "answer"),
    [
        ("JPEG", "RGB", (8160, 6120), {}, '"width": 4080'),
        ("JPEG", "RGB", (6120, 4080), {"progressive": True, "subsampling": 0}, '"width": 4096'),
        ("PNG", "RGBA", (4000, 4000), {}, '"width": 4000'),
        ("PNG", "I;16", (4000, 4000), {}, '"width": 4000'),
        ("WEBP", "RGBA", (4000, 3000), {"lossless": True}, '"width": 4000'),
        ("PNG", "RGB", (7071, 7071), {}, '"refused": "too_large"'),
        ("JPEG", "RGB", (8160, 6120), {"progressive": True}, '"refused": "too_large"'),
        ("WEBP", "RGB", (7000, 7000), {}, '"refused": "unreadable"'),
    ],
)
def test_the_largest_pictures_of_each_format_take_little_memory(
    format_: str, mode: str, size: tuple[int, int], options: dict[str, object], answer: str, tmp_path: Path
) -> None:
    line, megabytes = run(photo(format_, mode, size, **options), tmp_path / "photo")
    assert answer in line
    assert megabytes < MOST_MEGABYTES


def replaced_by(program: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run this program in place of the decoder, under the same limits."""
    script = folder / "decoder.py"
    limits = f"import sys; sys.path.insert(0, {str(Path(decoder.__file__).parent)!r})\nimport decoder\n"
    script.write_text(f"{limits}decoder._limit_resources()\n{program}\n", encoding="utf-8")
    monkeypatch.setattr(photos, "_DECODER", script)


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS does not limit the address space")
def test_a_picture_that_needs_more_memory_than_the_limit_is_refused_and_ends_no_other_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replaced_by("decoder.decode = lambda content: bytearray(10**9)\ndecoder.main()", tmp_path, monkeypatch)
    with pytest.raises(TooLargeError, match="memory"):
        photos.prepare_photo(b"any")


def test_a_decoder_that_dies_is_an_unreadable_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replaced_by("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", tmp_path, monkeypatch)
    with pytest.raises(UnreadableError):
        photos.prepare_photo(b"any")


def test_a_decoder_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photos, "SECONDS", 0.5)
    replaced_by("while True: pass", tmp_path, monkeypatch)
    begun = time.monotonic()
    with pytest.raises(UnreadableError, match="too long"):
        photos.prepare_photo(b"any")
    assert time.monotonic() - begun < 5


def test_a_decoder_has_no_secrets_and_writes_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LINK_SECRETS", "SECRET")
    program = f"""
import json, os
try:
    with open({str(tmp_path / "file")!r}, "wb") as file:
        file.write(b"x" * 100)
    wrote = True
except OSError:
    wrote = False
print(json.dumps({{"refused": "unreadable", "reason": f"{{wrote}} {{sorted(os.environ)}}"}}))"""
    replaced_by("import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)" + program, tmp_path, monkeypatch)
    with pytest.raises(UnreadableError) as refused:
        photos.prepare_photo(b"any")
    assert "LINK_SECRETS" not in str(refused.value)
    assert str(refused.value).startswith("False")
