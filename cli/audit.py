"""`audit`: the auditor, now, by hand, for people to read."""

from collections.abc import Mapping
from typing import Any

import click

from shared.config import settings
from shared.wiring import build


@click.command()
@click.option("--dry-run", is_flag=True, help="Only say what is wrong; repair nothing.")
@click.option("--reread", is_flag=True, help="Also read stored bytes again, up to a night's worth.")
def audit(*, dry_run: bool, reread: bool) -> None:
    """Compare rows, objects, staging, quotas and the board.

    Exits with 1 when something stays wrong, or was not looked at.
    """
    services = build(settings())
    names = ["audit", "reread"] if reread else ["audit"]
    try:
        well = [_told(name, services.sweeps.run(name, dry_run=dry_run)) for name in names]
    finally:
        services.records.close()
    if not all(well):
        raise SystemExit(1)


def _told(name: str, result: Mapping[str, Any]) -> bool:
    """Print the report of one run; say whether nothing stays wrong."""
    if "skipped" in result:
        click.echo(f"{name}: {result['skipped']}", err=True)
        return False
    click.echo(f"{name}: {result['seen']} things looked at in {result['took_ms'] / 1000:.1f} s")
    for kind, count in result.get("findings", {}).items():
        click.echo(f"  {count:6d}  {kind}")
    for each in result.get("report", ()):
        repaired = ", repaired" if each["repaired"] else ""
        click.echo(f"  {each['kind']}  {each['subject']}: {each['detail']}{repaired}")
    untold = sum(result.get("findings", {}).values()) - len(result.get("report", ()))
    if untold:
        click.echo(f"  … and {untold} more")
    wrong, repaired_count = result.get("unrepaired", 0), result.get("repaired", 0)
    left = _left(result)
    for reason in left:
        click.echo(f"  {reason}", err=True)
    if wrong or repaired_count:
        click.echo(f"  {wrong} wrong, {repaired_count} repaired")
    else:
        click.echo("  nothing wrong in what was looked at" if left else "  all is well")
    return not wrong and not left


def _left(result: Mapping[str, Any]) -> list[str]:
    """Say why not all was looked at, or repaired."""
    reasons = []
    if unread := result.get("unread", 0):
        reasons.append(f"It could not read {unread} files or chunks; the log says why.")
    if failed := result["failed"] - unread:
        reasons.append(f"It failed at {failed} repairs; the log says why.")
    if result["capped"]:
        goes_on = "a dry run begins anew each time" if result["dry_run"] else "the next run goes on"
        reasons.append(f"It stopped at its bounds; {goes_on}.")
    if "error" in result:
        reasons.append(f"It broke off: {result['error']['detail']}")
    return reasons
