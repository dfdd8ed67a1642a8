"""Alert rules as a PrometheusRule: `python -m deploy.kubernetes.prometheus_rules | kubectl apply -f -`.

Printed and not kept as a file, so that there is one copy of the rules.
"""

from typing import Any

import yaml

from deploy.local.paths import ROOT

RULES = ROOT / "deploy" / "observability" / "prometheus" / "alerts.yml"


def prometheus_rule() -> dict[str, Any]:
    """Return the resource with all groups of `alerts.yml`."""
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "sakidashi", "labels": {"app.kubernetes.io/name": "sakidashi"}},
        "spec": yaml.safe_load(RULES.read_text("utf-8")),
    }


if __name__ == "__main__":
    print(yaml.safe_dump(prometheus_rule(), sort_keys=False, allow_unicode=True), end="")
