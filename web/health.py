"""Whether the process lives, and whether all it stands on answers."""

from http import HTTPStatus
from typing import Any

from apiflask import APIBlueprint

from web.auth import public
from web.rest.documented import answers
from web.rest.outputs import HealthOut, ReadyOut
from web.services import services

bp = APIBlueprint("health", __name__, tag="Operators")


@bp.get("/healthz")
@answers({200: HealthOut}, open_to_all=True)
@public
def healthz() -> Any:
    """Say that this process lives."""
    return {"status": "ok"}


@bp.get("/readyz")
@answers({200: ReadyOut, 503: ReadyOut}, open_to_all=True)
@public
def readyz() -> Any:
    """Say of the database, Redis, S3, staging and a worker whether they answer."""
    checks = services().health.checks()
    well = not any(checks.values())
    body = {
        "status": "ready" if well else "not ready",
        "checks": {
            name: {"ok": why is None} if why is None else {"ok": False, "detail": why}
            for name, why in checks.items()
        },
    }
    if well:
        return body, HTTPStatus.OK, {"Cache-Control": "no-store"}
    return body, HTTPStatus.SERVICE_UNAVAILABLE, {"Cache-Control": "no-store", "Retry-After": "5"}
