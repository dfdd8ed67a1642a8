"""The README's snippets as files beside the addresses of the running demo, and the commands that run them."""

import os
import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from deploy.demo.system import DemoSystem, Infrastructure
from deploy.local.paths import LOCAL, ROOT

FOLDER = LOCAL / "demo"
ORDER_ID = "MY-ORDER-1"
_SNIPPETS = re.compile(r"```python\n(# (\w+\.py): .*?)```", re.DOTALL)


def write_snippets(infrastructure: Infrastructure, system: DemoSystem, folder: Path = FOLDER) -> Sequence[str]:
    """Write each snippet and a file with the variables; returns the commands, each safe to copy."""
    folder.mkdir(parents=True, exist_ok=True)
    for content, name in _SNIPPETS.findall((ROOT / "README.md").read_text(encoding="utf-8")):
        (folder / name).write_text(content, encoding="utf-8")
    variables = {
        "KAFKA_BOOTSTRAP_SERVERS": infrastructure.broker.bootstrap_servers,
        "KAFKA_TOPIC_PREFIX": infrastructure.topic_prefix,
        "INTAKE_URL": system.service_url("intake"),
        "API_KEY": system.keys["storefront"],
        "ORDER_ID": ORDER_ID,
    }
    lines = [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
    environment = folder / "env"
    environment.touch(mode=0o600)
    environment.write_text("\n".join(lines) + "\n", encoding="utf-8")
    place, python = (shlex.quote(os.path.relpath(path)) for path in (folder, sys.executable))
    return [
        f". {place}/env",
        f"{python} -m faststream run warehouse:app --app-dir {place} &",
        f"{python} {place}/storefront.py",
    ]
