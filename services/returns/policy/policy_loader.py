"""The files of the policy: read, checked, and read again when they change.

What is wrong is refused whole: at start the service does not start, later it keeps what it has and says so.
"""

import asyncio
import logging
import tomllib
from collections.abc import Awaitable, Callable
from pathlib import Path

from pydantic import ValidationError

from services.returns.policy.policy import Policy
from services.returns.policy.policy_versions import Policies, PolicyError

log = logging.getLogger(__name__)

BUNDLED = Path(__file__).with_name("policy.toml")
LOOK_SECONDS = 5.0


def read_policies(path: Path = BUNDLED) -> Policies:
    """The policy in that file, or all in that folder. Raises `PolicyError`."""
    try:
        files = sorted(path.glob("*.toml")) if path.is_dir() else [path]
        return Policies.of([_named(file) for file in files])
    except OSError as error:
        raise PolicyError(f"{path.name}: cannot be read ({error.strerror})") from None


def _named(file: Path) -> Policy:
    try:
        return parse_policy(file.read_text(encoding="utf-8"))
    except UnicodeDecodeError:
        raise PolicyError(f"{file.name}: not UTF-8; save it as UTF-8") from None
    except PolicyError as error:
        raise PolicyError(f"{file.name}: {error}") from None


def parse_policy(text: str) -> Policy:
    """The policy that this TOML says. Raises `PolicyError` with every wrong key."""
    try:
        return Policy.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise PolicyError(f"policy: not TOML: {error}") from None
    except RecursionError:
        raise PolicyError("policy: not TOML of ours: nested too deeply") from None
    except ValidationError as error:
        faults = (_fault(fault["loc"], fault["msg"]) for fault in error.errors())
        raise PolicyError("policy is wrong:\n" + "\n".join(faults)) from None


def _fault(place: tuple[int | str, ...], message: str) -> str:
    where = ".".join(str(part) for part in place if part != "[key]")
    return f"  {where or 'policy'}: {message.removeprefix('Value error, ')}"


def _stamp(path: Path) -> object:
    files = sorted(path.glob("*.toml")) if path.is_dir() else [path]
    return [(file.name, file.stat().st_mtime_ns, file.stat().st_size) for file in files]


def watch(
    path: Path, changed: Callable[[Policies], None], seconds: float = LOOK_SECONDS
) -> Callable[[], Awaitable[None]]:
    """A loop that hands over the policies whenever their files have changed and are right."""

    async def look() -> None:
        known = _stamp(path)
        while True:
            await asyncio.sleep(seconds)
            try:
                if (stamp := _stamp(path)) == known:
                    continue
                known = stamp
                changed(read_policies(path))
                log.info("policies read anew from %s", path)
            except (PolicyError, OSError) as error:
                log.error("the changed policy is refused, the former stays: %s", error)

    return look
