"""`migrate` and `make-bucket`: what must be there before anything starts."""

import click

from shared.adapters.migrate import migrate as bring_up
from shared.config import settings


@click.command()
def migrate() -> None:
    """Bring the database to the newest schema."""
    settings().data_dir.mkdir(parents=True, exist_ok=True)
    bring_up(settings().database)
    click.echo("migrated")


@click.command()
def make_bucket() -> None:
    """Make the bucket and allow browsers to use it; for a store of your own, embedded or not."""
    # What speaks to stores takes half a second to import, and `migrate` needs none of it.
    from shared.adapters.objects_s3 import S3Objects  # noqa: PLC0415
    from shared.wiring_parts import build_objects  # noqa: PLC0415

    objects = build_objects(settings())
    if isinstance(objects, S3Objects):
        objects.make_bucket(settings().browser_origins)
    click.echo("made")
