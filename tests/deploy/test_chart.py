"""The Helm chart: rendered with the values of the example, held against Kubernetes, the services and our rules.

No cluster is needed. Without helm the tests say so and pass by; with CI it is required.
"""

import copy
import importlib.util
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.api.api_docs import example_app
from deploy.kubernetes.generated import CHART, EXAMPLES
from deploy.kubernetes.values_schema import secret_settings
from deploy.local import compose_secrets
from deploy.service_settings import settings_class
from libs.common.config.kafka_security import KafkaSecurity
from libs.common.config.settings import load
from libs.common.events.topics import SERVICES
from libs.common.runtime.health import router as health
from tests.deploy.compose_rules import DRAIN_SECONDS
from tests.deploy.manifests import VERSIONS, Manifest, faults, helm, needs_helm, of_kind, pods, render
from tests.security.test_routes import routes_of

pytestmark = needs_helm
FOR_OPERATORS = re.compile(r"^/(ops|metrics|health|docs|openapi\.json)(/|$)|^/$")
SECRETS = "/run/secrets/sakidashi/"


@pytest.fixture(scope="module")
def rendered() -> list[Manifest]:
    return render()


@pytest.fixture(scope="module")
def plain() -> list[Manifest]:
    """The chart without operators: topics by a job, and a file of the shop."""
    calendar = "services.returns.files.CALENDAR_FILE=libs/common/config/shop_calendar.toml"
    return render("--set-file", calendar, values="values-plain.yaml")


def by_service(manifests: list[Manifest], kind: str) -> dict[str, Manifest]:
    return {each["metadata"]["labels"]["app.kubernetes.io/component"]: each for each in of_kind(manifests, kind)}


def component_of(manifest: Manifest) -> str:
    return str(manifest["metadata"]["labels"]["app.kubernetes.io/component"])


def components(policy: Manifest) -> list[str]:
    """The components that the selector of a network policy finds."""
    selector = policy["podSelector"]
    expressions = selector.get("matchExpressions", [])
    one = selector["matchLabels"].get("app.kubernetes.io/component")
    return [one] if one else [value for each in expressions for value in each["values"]]


def has_pods(manifest: Manifest) -> bool:
    return bool([*pods([manifest])])


def container(deployment: Manifest) -> Manifest:
    found: Manifest = deployment["spec"]["template"]["spec"]["containers"][0]
    return found


def test_helm_finds_nothing_to_complain_of() -> None:
    answer = helm("lint", CHART, "--strict", "--values", EXAMPLES / "values.yaml")
    assert answer.returncode == 0, answer.stdout


@pytest.mark.parametrize("version", VERSIONS)
def test_every_manifest_follows_the_schema_of_kubernetes(
    version: str, rendered: list[Manifest], plain: list[Manifest]
) -> None:
    assert [fault for each in (*rendered, *plain) for fault in faults(each, version)] == []


BROKEN: dict[str, tuple[str, Callable[[Manifest], object]]] = {
    "a number as text": ("Deployment", lambda each: each["spec"].update(revisionHistoryLimit="three")),
    "an unknown field": ("NetworkPolicy", lambda each: each["spec"].update(egres=[])),
    "an unknown field of KEDA": ("ScaledObject", lambda each: each["spec"].update(maxReplicas=3)),
    "a field that KEDA needs": ("ScaledObject", lambda each: each["spec"].pop("triggers")),
    "an old API": ("PodDisruptionBudget", lambda each: each.update(apiVersion="policy/v1beta1")),
}


@pytest.mark.parametrize("case", BROKEN)
def test_the_schemas_see_what_is_wrong(case: str, rendered: list[Manifest]) -> None:
    kind, break_it = BROKEN[case]
    broken = copy.deepcopy(of_kind(rendered, kind)[0])
    break_it(broken)
    assert faults(broken, VERSIONS[-1])


def test_each_service_has_all_that_it_needs(rendered: list[Manifest]) -> None:
    kinds = ("Deployment", "Service", "PodDisruptionBudget", "ScaledObject", "TriggerAuthentication")
    assert {kind: by_service(rendered, kind).keys() for kind in kinds} == {kind: set(SERVICES) for kind in kinds}


def test_a_network_policy_selects_each_pod_once(rendered: list[Manifest], plain: list[Manifest]) -> None:
    for manifests in (rendered, plain):
        selected = [component for each in of_kind(manifests, "NetworkPolicy") for component in components(each["spec"])]
        assert sorted(selected) == sorted(component_of(each) for each in manifests if has_pods(each))


def test_the_policy_of_jobs_is_there_before_them_and_gone_after_them(plain: list[Manifest]) -> None:
    hooks = [each for each in plain if "helm.sh/hook" in each["metadata"].get("annotations", {})]
    first = min(hooks, key=lambda each: int(each["metadata"]["annotations"]["helm.sh/hook-weight"]))
    assert first["kind"] == "NetworkPolicy"
    assert set(components(first["spec"])) == {component_of(each) for each in hooks if each["kind"] == "Job"}
    assert "hook-succeeded" in first["metadata"]["annotations"]["helm.sh/hook-delete-policy"]


def test_jobs_are_called_by_nobody(rendered: list[Manifest]) -> None:
    of_jobs = [
        each["spec"] for each in of_kind(rendered, "NetworkPolicy") if "matchExpressions" in each["spec"]["podSelector"]
    ]
    assert [("Ingress" in spec["policyTypes"], spec.get("ingress")) for spec in of_jobs] == [(True, None)] * 2


def test_keda_has_the_client_certificate_of_the_service() -> None:
    setting = "services.returns.secrets.KAFKA_CLIENT_CERTIFICATE"
    manifests = render("--set", f"{setting}.name=mutual-tls,{setting}.key=client.pem")
    trigger = by_service(manifests, "TriggerAuthentication")["returns"]
    references = {each.pop("parameter"): each for each in trigger["spec"]["secretTargetRef"]}
    assert references["cert"] == references["key"] == {"name": "mutual-tls", "key": "client.pem"}


@pytest.mark.parametrize("name", SERVICES)
def test_every_variable_is_a_setting_of_the_service(name: str, rendered: list[Manifest], plain: list[Manifest]) -> None:
    fields = settings_class(name).model_fields
    for manifests in (rendered, plain):
        env = [each["name"] for each in container(by_service(manifests, "Deployment")[name])["env"]]
        ours = [variable.lower() for variable in env if not variable.startswith("OTEL_TRACES_")]
        unknown = [each for each in ours if not {each, each.removesuffix("_file")} & fields.keys()]
        assert set(unknown) <= {"otel_metrics_exporter"}
        assert len(env) == len(set(env))


@pytest.mark.parametrize("name", SERVICES)
def test_each_service_starts_with_the_settings_it_is_given(
    name: str, rendered: list[Manifest], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compose_secrets.write(tmp_path)
    values = {"KAFKA_CA": "proxy_certificate", "DATABASE_URL": f"{name}_database_url", "KAFKA_SASL_PASSWORD": "ops_key"}
    for variable in set(os.environ) & {"DATABASE_URL", "KAFKA_BOOTSTRAP_SERVERS", "API_KEYS", "CLOCK_FILE"}:
        monkeypatch.delenv(variable)
    volumes = by_service(rendered, "Deployment")[name]["spec"]["template"]["spec"]["volumes"]
    (secrets,) = [each["projected"]["sources"] for each in volumes if each["name"] == "secrets"]
    for source in secrets:
        (item,) = source["secret"]["items"]
        setting = item["path"]
        (tmp_path / setting).write_text((tmp_path / values.get(setting, item["key"])).read_text("utf-8"), "utf-8")
    for each in container(by_service(rendered, "Deployment")[name])["env"]:
        monkeypatch.setenv(each["name"], each["value"].replace(SECRETS, f"{tmp_path}/"))
    settings = load(settings_class(name))
    assert settings.kafka_sasl_username == name.replace("_", "-")
    assert set(settings.api_keys) == {"storefront", "ops"}


@pytest.mark.parametrize("name", SERVICES)
def test_secrets_are_files_and_nothing_else(name: str, rendered: list[Manifest]) -> None:
    env = container(by_service(rendered, "Deployment")[name])["env"]
    assert {each["name"].lower() for each in env} & secret_settings(settings_class(name)) == set()
    assert [each for each in env if "valueFrom" in each] == []


def test_the_job_for_topics_is_given_settings_of_kafka_only(plain: list[Manifest]) -> None:
    (job,) = [each for each in of_kind(plain, "Job") if each["metadata"]["name"].endswith("-topics")]
    env = {each["name"].lower() for each in job["spec"]["template"]["spec"]["containers"][0]["env"]}
    own = {"kafka_bootstrap_servers", "kafka_topic_prefix", "kafka_partitions", "kafka_replication"}
    assert env - own - KafkaSecurity.model_fields.keys() == set()


def test_a_migration_of_each_service_precedes_an_upgrade(rendered: list[Manifest]) -> None:
    jobs = [each for each in of_kind(rendered, "Job") if "-migrate" in each["metadata"]["name"]]
    assert {each["metadata"]["annotations"]["helm.sh/hook"] for each in jobs} == {"pre-install,pre-upgrade"}
    scripts = "".join(each["spec"]["template"]["spec"]["containers"][0]["args"][0] for each in jobs)
    assert re.findall(r"libs\.common\.postgres\.migrate (\w+)", scripts) == sorted(SERVICES)


def test_every_pod_has_small_rights(rendered: list[Manifest], plain: list[Manifest]) -> None:
    found = list(pods([*rendered, *plain]))
    assert len(found) > 12
    for name, pod in found:
        assert (name, pod["securityContext"]["runAsNonRoot"], pod["automountServiceAccountToken"]) == (
            name,
            True,
            False,
        )
        for each in pod["containers"]:
            rights = each["securityContext"]
            assert (rights["readOnlyRootFilesystem"], rights["allowPrivilegeEscalation"]) == (True, False), name
            assert rights["capabilities"] == {"drop": ["ALL"]}, name
            assert "memory" in each["resources"]["limits"], name


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_given_the_time_to_drain(name: str, rendered: list[Manifest]) -> None:
    deployment = by_service(rendered, "Deployment")[name]
    pause = int(container(deployment)["lifecycle"]["preStop"]["exec"]["command"][-1])
    assert deployment["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] >= DRAIN_SECONDS + pause


@pytest.mark.parametrize("name", SERVICES)
def test_probes_are_routes_of_the_service(name: str, rendered: list[Manifest]) -> None:
    paths = {path for _, path in routes_of(health.routes)}
    probed = container(by_service(rendered, "Deployment")[name])
    kinds = ("startupProbe", "readinessProbe", "livenessProbe")
    assert {probed[kind]["httpGet"]["path"] for kind in kinds} <= paths
    assert probed["livenessProbe"]["httpGet"]["path"] == "/health/live"


@pytest.mark.parametrize("name", SERVICES)
def test_an_ingress_leads_to_every_route_but_those_of_operators(name: str) -> None:
    hosts = [part for each in SERVICES for part in ("--set", f"services.{each}.ingress.host={each[:4]}.example")]
    (rule,) = by_service(render(*hosts), "Ingress")[name]["spec"]["rules"]
    prefixes = [each["path"] for each in rule["http"]["paths"]]
    paths = {path for _, path in routes_of(example_app(name).routes)}
    open_paths = {path for path in paths if any(path == each or path.startswith(f"{each}/") for each in prefixes)}
    assert open_paths == {path for path in paths if not FOR_OPERATORS.match(path)}


def test_no_job_is_behind_a_service_or_counted_as_one_of_its_pods(rendered: list[Manifest]) -> None:
    selectors = [each["spec"]["selector"].items() for each in of_kind(rendered, "Service")]
    jobs = [each["spec"]["template"]["metadata"]["labels"].items() for each in of_kind(rendered, "Job")]
    assert jobs
    assert [(job, selector) for job in jobs for selector in selectors if selector <= job] == []


def test_the_desk_is_given_the_address_of_every_other_service(rendered: list[Manifest]) -> None:
    env = {each["name"]: each["value"] for each in container(by_service(rendered, "Deployment")["intake"])["env"]}
    urls = dict(each.split("=") for each in env["OPS_URLS"].split(","))
    names = {f"http://{each['metadata']['name']}:8000" for each in of_kind(rendered, "Service")}
    assert urls.keys() == set(SERVICES) - {"intake"}
    assert set(urls.values()) < names


def test_names_of_jobs_fit_into_a_label_however_long_the_release_is_called() -> None:
    answer = helm("template", "r" * 53, CHART, "--values", EXAMPLES / "values.yaml")
    names = re.findall(r"^  name: (\S+)", answer.stdout, re.MULTILINE)
    assert names
    assert [name for name in names if len(name) > 63] == []


def test_every_command_is_a_module_that_exists(rendered: list[Manifest], plain: list[Manifest]) -> None:
    words = [word for _, pod in pods([*rendered, *plain]) for each in pod["containers"] for word in each["args"]]
    modules = {name for word in words for name in re.findall(r"\b(?:libs|services|deploy)(?:\.\w+)+", word)}
    assert len(modules) >= 7
    assert [module for module in modules if importlib.util.find_spec(module) is None] == []


def test_a_file_of_the_shop_is_mounted_where_its_setting_points(plain: list[Manifest]) -> None:
    deployment = by_service(plain, "Deployment")["returns"]
    env = {each["name"]: each["value"] for each in container(deployment)["env"]}
    (files,) = of_kind(plain, "ConfigMap")
    (mount,) = [each for each in container(deployment)["volumeMounts"] if each["name"] == "files"]
    assert env["CALENDAR_FILE"] in {f"{mount['mountPath']}/{name}" for name in files["data"]}
    (volume,) = [each for each in deployment["spec"]["template"]["spec"]["volumes"] if each["name"] == "files"]
    assert volume["configMap"]["name"] == files["metadata"]["name"]


NONSENSE = {
    "settings.SHOP_TIMEZONE=Asia/Tokyo": "SHOP_TIMEZONE",
    "settings.POOL_SIZE=1000": "/settings/POOL_SIZE",
    "settings.LOG_LEVEL=LOUD": "/settings/LOG_LEVEL",
    "services.intake.settings.LINK_SECRETS=written-down": "LINK_SECRETS",
    "services.intake.settings.PUBLIC_URL=returns.shop.example": "PUBLIC_URL",
    "services.intake.settings.PUBLIC_URL=null": "PUBLIC_URL",
    "services.intake.settings.EVIDENCE_URL=null": "EVIDENCE_URL",
    "services.delivery_notify.secrets.SMTP_URL=null": "SMTP_URL",
    "services.loyalty.files.POLICY_FILE=x": "POLICY_FILE",
    "services.loyalty.replicas=0": "/services/loyalty/replicas",
    "services.mail.replicas=1": "mail",
    "image.digest=latest": "/image/digest",
    "topologySpread.zones=Never": "/topologySpread/zones",
    "settings.KAFKA_BOOTSTRAP_SERVERS=null": "KAFKA_BOOTSTRAP_SERVERS",
}


@pytest.mark.parametrize("value", NONSENSE)
def test_values_that_make_no_sense_are_refused_by_name(value: str) -> None:
    answer = helm("template", "shop", CHART, "--values", EXAMPLES / "values.yaml", "--set", value)
    assert answer.returncode != 0
    assert NONSENSE[value] in answer.stderr
