"""`sakidashi`: the commands of an operator. Connections are read from the same variables as those of the services."""

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from deploy.cli.lazy import LazyCommand, group
from libs.common import __version__

SETUP, OPERATION, PRIVACY, SIMULATION = "Set-up", "Operation", "Privacy", "Simulation"

COMMANDS: tuple[LazyCommand | TyperGroup, ...] = (
    group(
        "config",
        "Settings of a service.",
        LazyCommand("check", "deploy.cli.config_check:check", "Validate the settings of a service."),
        panel=SETUP,
    ),
    LazyCommand("migrate", "libs.common.postgres.migrate:main", "Migrate the database of a service.", SETUP),
    group(
        "topics",
        "Kafka topics.",
        LazyCommand("create", "libs.common.messaging.create_topics:main", "Create the topics of all services."),
        panel=SETUP,
    ),
    group(
        "acls",
        "Kafka access rights.",
        LazyCommand("print", "deploy.cli.acls:print_acls", "Print the commands that grant the access rights."),
        LazyCommand("apply", "deploy.cli.acls:apply_acls", "Apply the access rights to the broker."),
        panel=SETUP,
    ),
    LazyCommand("staff", "services.intake.cli.staff:app", "Staff accounts of the desk.", SETUP),
    LazyCommand("dead-letters", "libs.common.messaging.dead_letters_cli:app", "Dead letters of a service.", OPERATION),
    LazyCommand("webhooks", "services.partners.cli.webhooks:app", "Webhooks to partners.", OPERATION),
    LazyCommand("reconcile", "deploy.cli.reconcile:main", "Name what the services lost, and repair it.", OPERATION),
    LazyCommand("offsets", "deploy.cli.offsets:main", "Let a stopped service read records again.", OPERATION),
    group(
        "verify",
        "Audits of topics.",
        LazyCommand("promises", "deploy.cli.verify_promises:main", "Count promises kept and broken, from the topics."),
        panel=OPERATION,
    ),
    LazyCommand("deliver-mail", "deploy.cli.deliver_mail:main", "Pass a mail from a mail server to intake.", OPERATION),
    LazyCommand("rejoin", "deploy.cli.rejoin:main", "Prepare a service that was restored from a backup.", OPERATION),
    LazyCommand("erase", "libs.common.privacy.erase_cli:main", "Erase a customer in every service.", PRIVACY),
    LazyCommand(
        "verify-erasure",
        "libs.common.privacy.verify_erasure:main",
        "Search databases, topics and files for remains of an erased customer.",
        PRIVACY,
    ),
    group(
        "keys",
        "Keys of encrypted columns.",
        LazyCommand("generate", "deploy.cli.keys:generate", "Print a new key."),
        LazyCommand("rotate", "deploy.cli.keys:rotate_command", "Encrypt all rows of a service under the first key."),
        panel=PRIVACY,
    ),
    group(
        "policy",
        "Remedy policies of returns.",
        LazyCommand(
            "simulate", "services.returns.cli.simulate_policy:main", "Compare a new policy with past decisions."
        ),
        panel=SIMULATION,
    ),
    group(
        "rules",
        "Award rules of loyalty.",
        LazyCommand(
            "simulate", "services.loyalty.cli.simulate_rules:simulate_rules", "Compare new rules with past awards."
        ),
        panel=SIMULATION,
    ),
)


class RootGroup(TyperGroup):
    """The root command with `COMMANDS`."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for command in COMMANDS:
            self.add_command(command)


app = typer.Typer(cls=RootGroup, name="sakidashi", no_args_is_help=True)


def _print_version(requested: bool) -> None:
    if requested:
        typer.echo(f"sakidashi {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Operate Sakidashi: set up databases and topics, replay dead letters, erase customers, simulate rules.

    Commands read their connections from the variables that the services use: DATABASE_URL, KAFKA_BOOTSTRAP_SERVERS
    and KAFKA_SECURITY_PROTOCOL with its companions.
    """
