"""`./run COMMAND`: every command of Sluice."""

import sys

import click

from cli.audit import audit
from cli.environment import env
from cli.importing import import_local
from cli.listen import listen
from cli.public_acls import public_acls
from cli.store import make_bucket, migrate
from cli.sweep import sweep
from cli.token import token
from shared.config import BadSettings


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def commands() -> None:
    """Sluice, a self-hosted upload pipeline."""


for command in (
    *(token, env, migrate, make_bucket, public_acls),
    *(sweep, audit, import_local, listen),
):
    commands.add_command(command)


def main() -> None:
    try:
        commands()
    except BadSettings as error:
        sys.exit(f"sluice: {error}")
