"""`env`: the settings in use, for scripts and tests."""

import click
from pydantic import SecretStr

from shared.config import Settings, settings

_SHOWN = (
    "s3_endpoint_url",
    "s3_bucket_name",
    "s3_access_key_id",
    "s3_secret_access_key",
    "jwt_secret_key",
    "jwt_issuer",
    "jwt_audience",
    "flower_url",
)


@click.command()
def env() -> None:
    """Print the settings in use as KEY=value lines, secrets included."""
    chosen = settings()
    click.echo(f"BASE_URL={chosen.public_url}")
    click.echo(f"DATABASE_URL={chosen.database}")
    click.echo(f"REDIS_URL={chosen.redis_url}")
    for name in _SHOWN:
        click.echo(f"{name.upper()}={_said(chosen, name)}")


def _said(chosen: Settings, name: str) -> str:
    value = getattr(chosen, name)
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return "" if value is None else str(value)
