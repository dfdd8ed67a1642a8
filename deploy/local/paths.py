"""Folders of local runs: `.local/` for data and logs of a run, `.cache/` for downloads."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from deploy.local.process_guard import PROCESS_GUARD

ROOT = Path(__file__).resolve().parents[2]
LOCAL = ROOT / ".local"
CACHE = ROOT / ".cache"
LOGS = LOCAL / "logs"


@contextmanager
def run_folder(kind: str, parent: Path | None = None) -> Iterator[Path]:
    """A new folder that is removed afterwards, even after SIGKILL."""
    parent = parent or LOCAL / "run"
    parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{kind}-", dir=parent))
    PROCESS_GUARD.remove_at_exit(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def package_folder(name: str) -> Path:
    """The folder of an installed package, without importing it. Raises `ModuleNotFoundError` if it is not installed."""
    spec = find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(f"{name} is not installed: run `make env`", name=name)
    return Path(spec.submodule_search_locations[0])
