"""Policy files: read, validated, and reloaded when they change.

An invalid policy is refused as a whole: the service does not start with it, and a running service keeps the last one.
"""

import asyncio
import logging
import tomllib
from collections.abc import Awaitable, Callable
from pathlib import Path

from pydantic import ValidationError

from libs.common.events.faults import fault_texts
from services.returns.policy.policy import ReturnPolicy
from services.returns.policy.policy_versions import PolicyError, ReturnPolicies

log = logging.getLogger(__name__)

BUNDLED_POLICY = Path(__file__).with_name("policy.toml")
POLL_SECONDS = 5.0


def read_policies(path: Path = BUNDLED_POLICY) -> ReturnPolicies:
    """Return the policy of a file, or all versions of a folder. Raises `PolicyError`."""
    try:
        return ReturnPolicies.from_policies([_read_policy(file) for file in _files(path)])
    except OSError as error:
        raise PolicyError(f"{path.name}: cannot be read ({error.strerror})") from None


def _files(path: Path) -> list[Path]:
    return sorted(path.glob("*.toml")) if path.is_dir() else [path]


def _read_policy(file: Path) -> ReturnPolicy:
    try:
        return parse_policy(file.read_text(encoding="utf-8"))
    except UnicodeDecodeError:
        raise PolicyError(f"{file.name}: not UTF-8; save it as UTF-8") from None
    except PolicyError as error:
        raise PolicyError(f"{file.name}: {error}") from None


def parse_policy(text: str) -> ReturnPolicy:
    """Return the policy in this TOML text. Raises `PolicyError` with every wrong key."""
    try:
        return ReturnPolicy.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise PolicyError(f"policy: not TOML: {error}") from None
    except RecursionError:
        raise PolicyError("policy: nested too deeply; write tables as in the bundled policy.toml") from None
    except ValidationError as error:
        faults = (f"  {text}" for text in fault_texts(error, "policy"))
        raise PolicyError("policy is invalid:\n" + "\n".join(faults)) from None


def _fingerprint(path: Path) -> object:
    return [(file.name, file.stat().st_mtime_ns, file.stat().st_size) for file in _files(path)]


def watch(
    path: Path, on_change: Callable[[ReturnPolicies], None], seconds: float = POLL_SECONDS
) -> Callable[[], Awaitable[None]]:
    """Return a loop that polls the files and passes on each valid change."""

    async def poll() -> None:
        last = _fingerprint(path)
        while True:
            await asyncio.sleep(seconds)
            try:
                if (current := _fingerprint(path)) == last:
                    continue
                last = current
                on_change(read_policies(path))
                log.info("reloaded policies path=%s", path)
            except (PolicyError, OSError) as error:
                log.error("refused changed policies, kept the last valid ones path=%s error=%s", path, error)

    return poll
