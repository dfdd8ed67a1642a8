"""Length of the Python files: one that is longer holds more than one subject."""

from pathlib import Path

from deploy.local.paths import ROOT

FOLDERS = ("libs", "services", "deploy", "tests")
MAX_LINES = 350


def too_long(root: Path) -> list[str]:
    files = [file for folder in FOLDERS for file in sorted((root / folder).rglob("*.py"))]
    lengths = {file.relative_to(root).as_posix(): len(file.read_text("utf-8").splitlines()) for file in files}
    return [f"{name}: {lines} lines, {MAX_LINES} at most" for name, lines in lengths.items() if lines > MAX_LINES]


def test_no_python_file_is_longer_than_one_subject_needs() -> None:
    assert too_long(ROOT) == []


def test_a_file_with_one_line_more_is_found(tmp_path: Path) -> None:
    (tmp_path / "libs").mkdir()
    for lines in (MAX_LINES, MAX_LINES + 1):
        (tmp_path / "libs" / f"of_{lines}.py").write_text("pass\n" * lines)
    assert too_long(tmp_path) == ["libs/of_351.py: 351 lines, 350 at most"]
