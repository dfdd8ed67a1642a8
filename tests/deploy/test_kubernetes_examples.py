"""The chart's generated files and the examples for Strimzi and CloudNativePG, against the contract they come from."""

import re
import subprocess
import sys
from typing import Any

import pytest
import yaml

from deploy.kafka.acls import PRINCIPALS, AclOperation, AclRight, PatternType, ResourceType, rights
from deploy.kubernetes import cloudnative_pg, prometheus_rules, strimzi
from deploy.kubernetes.generated import CHART, EXAMPLES, stale
from deploy.service_settings import settings_class
from libs.common import __version__
from libs.common.events.topics import ALL_SERVICES, SERVICES, TOPICS, dead_letter_topic
from libs.common.messaging.topic_settings import retention
from libs.common.postgres.pool import SESSION_SETTINGS
from tests.deploy.manifests import Manifest, documents, faults, of_kind

_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")
VALUES: dict[str, Any] = yaml.safe_load((EXAMPLES / "values.yaml").read_text("utf-8"))
DEFAULTS: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))
FILES = sorted(path for path in EXAMPLES.glob("*.yaml") if not path.name.startswith("values"))


def example(name: str) -> list[Manifest]:
    return documents((EXAMPLES / f"{name}.yaml").read_text("utf-8"))


def test_generated_files_follow_the_code() -> None:
    assert stale() == [], "run `make docs` and commit what it writes"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_example_has_the_fields_of_its_kind(path: Any) -> None:
    found = example(path.stem)
    assert found
    assert [fault for each in found for fault in faults(each, "1.37")] == []
    assert [each["metadata"]["name"] for each in found if not _NAME.fullmatch(each["metadata"]["name"])] == []


def test_a_misspelt_field_of_an_example_is_found() -> None:
    broken = example("strimzi-topics")[0]
    broken["spec"]["partition"] = broken["spec"].pop("partitions")
    assert faults(broken, "1.37")


def test_every_topic_of_the_contract_has_its_resource_with_its_retention() -> None:
    found = {each["spec"]["topicName"]: each["spec"] for each in example("strimzi-topics")}
    assert found.keys() == {topic.name for topic in TOPICS} | {dead_letter_topic(name) for name in ALL_SERVICES}
    for name, settings in retention().items():
        config = {key: str(value) for key, value in found[name]["config"].items()}
        assert settings.items() <= config.items()
        assert config["min.insync.replicas"] == "2"


def test_every_principal_has_the_rights_that_the_code_works_out_and_no_other() -> None:
    principals = {strimzi.resource_name(name): name for name in PRINCIPALS}
    found = {
        AclRight(
            principals[user["metadata"]["name"]],
            AclOperation[operation.upper()],
            ResourceType[acl["resource"]["type"].upper()],
            {"literal": PatternType.LITERAL, "prefix": PatternType.PREFIXED}[acl["resource"]["patternType"]],
            acl["resource"]["name"],
        )
        for user in example("strimzi-users")
        for acl in user["spec"]["authorization"]["acls"]
        for operation in acl["operations"]
    }
    assert found == set(rights())


def test_services_sign_in_to_kafka_as_the_users_of_the_example() -> None:
    users = {each["metadata"]["name"] for each in example("strimzi-users")}
    for name in SERVICES:
        user = VALUES["services"][name]["settings"]["KAFKA_SASL_USERNAME"]
        assert user in users
        assert VALUES["services"][name]["secrets"]["KAFKA_SASL_PASSWORD"] == {"name": user, "key": "password"}
    assert VALUES["topics"]["enabled"] is False


def test_each_service_has_a_cluster_with_its_two_roles_a_backup_and_a_pooler() -> None:
    clusters = {each["metadata"]["name"]: each["spec"] for each in example("cloudnative-pg-clusters")}
    assert clusters.keys() == {cloudnative_pg.cluster_name(name) for name in SERVICES}
    for name in SERVICES:
        cluster = cloudnative_pg.cluster_name(name)
        (role,) = clusters[cluster]["managed"]["roles"]
        service = VALUES["services"][name]
        assert clusters[cluster]["bootstrap"]["initdb"]["owner"] == f"{name}_owner"
        assert role["name"] == name
        assert service["secrets"]["DATABASE_URL"]["name"] == role["passwordSecret"]["name"]
        assert service["migration"] == {"name": f"{cluster}-app", "key": "uri"}
    for file, kind in (("backups", "ScheduledBackup"), ("poolers", "Pooler")):
        found = of_kind(example(f"cloudnative-pg-{file}"), kind)
        assert {each["spec"]["cluster"]["name"] for each in found} == clusters.keys()


def test_every_archive_is_the_store_of_the_backups() -> None:
    (store,) = of_kind(example("cloudnative-pg-backups"), "ObjectStore")
    plugins = [plugin for each in example("cloudnative-pg-clusters") for plugin in each["spec"]["plugins"]]
    assert {plugin["parameters"]["barmanObjectName"] for plugin in plugins} == {store["metadata"]["name"]}
    assert all(plugin["isWALArchiver"] for plugin in plugins)


def test_a_pooler_keeps_sessions_and_the_database_sets_what_it_drops() -> None:
    for each in example("cloudnative-pg-poolers"):
        bouncer = each["spec"]["pgbouncer"]
        assert bouncer["poolMode"] == "session"
        assert bouncer["parameters"]["ignore_startup_parameters"].split(",") == list(SESSION_SETTINGS)
    for each in example("cloudnative-pg-clusters"):
        statements = "".join(each["spec"]["bootstrap"]["initdb"]["postInitApplicationSQL"])
        assert re.findall(r"SET (\w+) = '(\w+)'", statements) == list(SESSION_SETTINGS.items())


@pytest.mark.parametrize("name", SERVICES)
def test_connections_of_all_processes_fit_into_the_database(name: str) -> None:
    pool = settings_class(name).model_fields["pool_size"].default
    assert DEFAULTS["services"][name]["autoscaling"]["maxReplicas"] * pool <= cloudnative_pg.MAX_CONNECTIONS - 20


def test_a_process_that_is_scaled_up_has_a_partition_to_read() -> None:
    partitions = min(
        each["spec"]["partitions"] for each in example("strimzi-topics") if "dead-letters" not in str(each)
    )
    scaled = [service["autoscaling"]["maxReplicas"] for service in DEFAULTS["services"].values()]
    assert max(scaled) <= partitions == DEFAULTS["topics"]["partitions"]


def test_every_alert_is_in_the_printed_rule_of_prometheus() -> None:
    command = [sys.executable, "-m", "deploy.kubernetes.prometheus_rules"]
    (rule,) = documents(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    names = re.findall(r"- alert: (\w+)", prometheus_rules.RULES.read_text("utf-8"))
    printed = [each["alert"] for group in rule["spec"]["groups"] for each in group["rules"] if "alert" in each]
    assert faults(rule, "1.37") == []
    assert printed == names != []


def test_the_chart_has_the_version_of_the_code() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text("utf-8"))
    assert (chart["version"], chart["appVersion"]) == (__version__, __version__)
