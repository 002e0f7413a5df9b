"""`import-local FOLDER`: bring in the files of a folder, as uploads that the workers process."""

import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

import click

from shared.config import settings
from shared.model.caller import Caller
from shared.services.importing import ImportService, Outcome, Plan, What
from shared.wiring import build

_STOPPED: Final = 130  # as shells say of Ctrl-C
_PROGRESS_SECONDS: Final = 1.0
_PROGRESS_SECONDS_OF_LOGS: Final = 30.0


@click.command("import-local")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--prefix", default="", help="The folder that they come to; the root unless said.")
@click.option("--owner", default="import", show_default=True, help="Whose files they will be.")
@click.option("--tenant", default="default", show_default=True, help="Of which tenant.")
@click.option(
    "--parallel",
    default=8,
    show_default=True,
    type=click.IntRange(1, 64),
    help="How many files are read, or waited for, at once.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would come of it.")
def import_local(
    folder: Path, prefix: str, owner: str, tenant: str, parallel: int, *, dry_run: bool
) -> None:
    """Bring in all files below FOLDER; run it again to go on. Exit 1 when a file was refused."""
    plan = Plan(folder, Caller(owner, tenant), prefix, parallel, dry_run)
    services = build(settings())
    importing = ImportService(
        services.records, services.uploads, services.jobs, services.files, services.clock
    )
    counts: Counter[What] = Counter()
    try:
        with closing(importing.run(plan)) as outcomes:
            _told(outcomes, counts)
    except KeyboardInterrupt:
        click.echo("stopped; the same command goes on", err=True)
        raise SystemExit(_STOPPED) from None
    finally:
        services.records.close()
        click.echo(", ".join(f"{counts[what]} {what}" for what in What))
    if counts[What.REFUSED]:
        raise SystemExit(1)


def _told(outcomes: Iterator[Outcome], counts: Counter[What]) -> None:
    """Print what was refused or passed over as it comes, and now and then how far it is."""
    is_seen, size, told_at = sys.stderr.isatty(), 0, time.monotonic()
    every = _PROGRESS_SECONDS if is_seen else _PROGRESS_SECONDS_OF_LOGS
    for each in outcomes:
        counts[each.what] += 1
        size += each.size
        if each.what in {What.REFUSED, What.IGNORED}:
            click.echo(f"{each.what}: {each.name}: {each.reason}".encode(errors="replace"))
        if time.monotonic() - told_at >= every:
            told_at = time.monotonic()
            line = f"{counts.total()} files, {size / 1e6:.1f} MB imported"
            click.echo(f"\r{line}" if is_seen else line, err=True, nl=not is_seen)
    if is_seen:
        click.echo("\r\033[K", err=True, nl=False)
