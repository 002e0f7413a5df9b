"""`token`: make a bearer token for development, signed with this deployment's secret."""

import re
from datetime import timedelta
from typing import Any, Final

import click
import jwt

from shared.adapters.clock_system import SystemClock
from shared.config import settings

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def _lifetime(context: click.Context, parameter: click.Parameter, text: str) -> timedelta:
    del context, parameter
    said = re.fullmatch(r"(\d{1,6})([smhd])", text)
    if said is None:
        raise click.BadParameter("say it like 90s, 30m, 1h or 7d")
    return timedelta(seconds=int(said[1]) * _UNITS[said[2]])


@click.command()
@click.option("--sub", required=True, help="Who it is for.")
@click.option("--tenant", help="The tenant; `default` unless said.")
@click.option("--scope", help="What it may do, with spaces between; four scopes unless said.")
@click.option("--admin", is_flag=True, help="Add the scope admin.")
@click.option(
    "--ttl", default="1h", callback=_lifetime, help="How long it lives: 90s, 30m, 1h, 7d."
)
def token(sub: str, tenant: str | None, scope: str | None, admin: bool, ttl: timedelta) -> None:
    """Print a token, and only that."""
    chosen = settings()
    if chosen.jwt_secret_key is None or chosen.jwt_algorithm != "HS256":
        raise click.ClickException("This deployment only has a public key: ask its issuer.")
    now = SystemClock().now()
    claims: dict[str, Any] = {"sub": sub, "iat": now, "exp": now + ttl}
    if tenant is not None:
        claims["tenant"] = tenant
    if admin:
        scope = f"{scope or 'files:read files:write files:delete webhooks'} admin"
    if scope is not None:
        claims["scope"] = scope
    if chosen.jwt_issuer is not None:
        claims["iss"] = chosen.jwt_issuer
    if chosen.jwt_audience is not None:
        claims["aud"] = chosen.jwt_audience
    click.echo(jwt.encode(claims, chosen.jwt_secret_key.get_secret_value(), algorithm="HS256"))
