"""`sweep NAME`: one sweep, now, by hand; and what only a person can settle."""

import json

import click

from shared.config import settings
from shared.errors import AppError
from shared.services.sweeps import SWEEPS
from shared.wiring import build

_CLAIM, _OLDER = "replacements", "high-water"
_ALL = "\0"  # what `--settle` is without a value; no id


@click.command()
@click.argument("name", required=False)
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
@click.option(
    "--settle",
    metavar="[UPLOAD]",
    is_flag=False,
    flag_value=_ALL,
    help="With `replacements`: end the claim of this upload, and leave the key to the old file."
    " With `high-water`, and without an upload: go on with a database that is older than the bucket.",
)
def sweep(name: str | None, settle: str | None, *, dry_run: bool) -> None:
    """Run the sweep NAME and print its result as a line of JSON; without a name, list them."""
    names = [each.name for each in SWEEPS]
    if settle is not None:
        if name != (_OLDER if settle == _ALL else _CLAIM) or dry_run:
            raise click.UsageError(
                "--settle goes with `replacements` and an upload, or with `high-water` alone;"
                " and without --dry-run."
            )
        _settle(settle)
        return
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


def _settle(upload_id: str) -> None:
    services = build(settings())
    try:
        if upload_id == _ALL:
            services.sweeps.settle_older_database()
        else:
            services.sweeps.settle(upload_id)
    except AppError as refusal:
        click.echo(str(refusal), err=True)
        raise SystemExit(1) from None
    finally:
        services.records.close()
    what = "This database goes on" if upload_id == _ALL else f"The claim of {upload_id} is settled"
    click.echo(f"{what}; `./run audit` tells what lies there.")
