"""`public-acls`: the ACLs of public files, by hand."""

import click

from shared.config import settings
from shared.services.opening import set_acls
from shared.wiring import build


@click.command()
@click.option("--remove", is_flag=True, help="Take them away instead, before the setting goes.")
def public_acls(*, remove: bool) -> None:
    """Give the objects of all public files the ACL that says so; wants S3_PUBLIC_ACL=true."""
    if not settings().s3_public_acl:
        click.echo("S3_PUBLIC_ACL is not set.", err=True)
        raise SystemExit(2)
    services = build(settings())
    try:
        done = set_acls(services.records, services.objects, remove=remove)
    finally:
        services.records.close()
    click.echo(f"{done} public files {'closed' if remove else 'opened'}")
