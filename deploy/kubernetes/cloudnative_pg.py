"""CloudNativePG resources: one Postgres cluster per service with backups and a pooler, generated for the four services.

The owner of a database is the one that CloudNativePG creates (Secret `<cluster>-app`, key `uri`); it migrates. The
service runs as a second role, whose password is in a Secret of the operator's own (`<cluster>-runtime`).

The pooler works in session mode only: the relay holds an advisory lock of its session, and asyncpg prepares
statements. PgBouncer refuses start-up parameters that it does not track, so those of `libs.common.postgres.pool` are
ignored there and are settings of the database instead.
"""

from typing import Any

from libs.common.events.topics import SERVICES
from libs.common.postgres.pool import SESSION_SETTINGS

API_VERSION = "postgresql.cnpg.io/v1"
PLUGIN = "barman-cloud.cloudnative-pg.io"
STORE = "sakidashi-backups"
MAX_CONNECTIONS = 100

Resource = dict[str, Any]


def cluster_name(service: str) -> str:
    return f"sakidashi-{service.replace('_', '-')}-db"


def clusters() -> list[Resource]:
    """Return the cluster of each service; a commit waits for one standby, so that a lost node loses nothing."""
    return [_cluster(service, {"initdb": _initdb(service)}) for service in SERVICES]


def _cluster(service: str, bootstrap: Resource, name: str | None = None) -> Resource:
    name = name or cluster_name(service)
    runtime = {"name": f"{cluster_name(service)}-runtime"}
    parameters = {"max_connections": str(MAX_CONNECTIONS), "log_error_verbosity": "terse"}
    return {
        **_head("Cluster", name),
        "spec": {
            "instances": 3,
            "bootstrap": bootstrap,
            "managed": {"roles": [{"name": service, "ensure": "present", "login": True, "passwordSecret": runtime}]},
            "postgresql": {"parameters": parameters, "synchronous": {"method": "any", "number": 1}},
            "storage": {"size": "20Gi"},
            "walStorage": {"size": "10Gi"},
            "plugins": [{"name": PLUGIN, "isWALArchiver": True, "parameters": {"barmanObjectName": STORE}}],
        },
    }


def _initdb(service: str) -> Resource:
    settings = [f"ALTER DATABASE {service} SET {name} = '{value}'" for name, value in SESSION_SETTINGS.items()]
    return {"database": service, "owner": f"{service}_owner", "encoding": "UTF8", "postInitApplicationSQL": settings}


def backups() -> list[Resource]:
    """Return the object store, and a nightly base backup of each cluster; WAL is archived all the time."""
    keys = {"accessKeyId": "access_key", "secretAccessKey": "secret_key"}
    credentials = {use: {"name": STORE, "key": key} for use, key in keys.items()}
    store = {
        "apiVersion": "barmancloud.cnpg.io/v1",
        "kind": "ObjectStore",
        "metadata": {"name": STORE},
        "spec": {
            "retentionPolicy": "30d",
            "configuration": {
                "destinationPath": "s3://my-shop-backups/sakidashi",
                "s3Credentials": credentials,
                "wal": {"compression": "gzip"},
                "data": {"compression": "gzip"},
            },
        },
    }
    return [store, *(_scheduled(service) for service in SERVICES)]


def _scheduled(service: str) -> Resource:
    spec = {
        "schedule": "0 30 2 * * *",  # seconds first
        "immediate": True,
        "backupOwnerReference": "self",
        "cluster": {"name": cluster_name(service)},
        "method": "plugin",
        "pluginConfiguration": {"name": PLUGIN},
    }
    return {**_head("ScheduledBackup", cluster_name(service)), "spec": spec}


def poolers() -> list[Resource]:
    """Return a pooler per service, in session mode, with room for every connection of the service."""
    parameters = {
        "max_client_conn": "200",
        "default_pool_size": str(MAX_CONNECTIONS - 20),
        "ignore_startup_parameters": ",".join(SESSION_SETTINGS),
    }
    return [
        {
            **_head("Pooler", f"{cluster_name(service)}-pooler"),
            "spec": {
                "cluster": {"name": cluster_name(service)},
                "instances": 2,
                "type": "rw",
                "pgbouncer": {"poolMode": "session", "parameters": parameters},
            },
        }
        for service in SERVICES
    ]


def restored(service: str = "returns", until: str = "2026-11-29 03:00:00.00000+00") -> list[Resource]:
    """Return a cluster that is restored from the backups of a service to a moment, beside the old one."""
    name = cluster_name(service)
    recovery = {
        "source": name,
        "database": service,
        "owner": f"{service}_owner",
        "recoveryTarget": {"targetTime": until},
    }
    resource = _cluster(service, {"recovery": recovery}, f"{name}-restored")
    source = {"name": PLUGIN, "parameters": {"barmanObjectName": STORE, "serverName": name}}
    resource["spec"]["externalClusters"] = [{"name": name, "plugin": source}]
    return [resource]


def _head(kind: str, name: str) -> Resource:
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name}}
