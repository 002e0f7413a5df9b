"""`sweep NAME`: one sweep, now, by hand."""

import json

import click

from shared.config import settings
from shared.services.sweeps import SWEEPS
from shared.wiring import build


@click.command()
@click.argument("name", required=False)
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
def sweep(name: str | None, *, dry_run: bool) -> None:
    """Run the sweep NAME and print its result as a line of JSON; without a name, list them."""
    names = [each.name for each in SWEEPS]
    if name is None:
        click.echo("\n".join(names))
        return
    if name not in names:
        click.echo(f"There is no sweep {name!r}; there are {', '.join(names)}.", err=True)
        raise SystemExit(2)
    services = build(settings())
    try:
        result = services.sweeps.run(name, dry_run=dry_run)
    finally:
        services.records.close()
    click.echo(json.dumps(result))
    if "error" in result:
        raise SystemExit(1)
