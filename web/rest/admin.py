"""For operators: what the service does by itself."""

from datetime import datetime
from typing import Annotated, Any

from apiflask import APIBlueprint
from pydantic import BaseModel, ConfigDict, Field

from shared.services.describing import when
from web.auth import caller
from web.rest.documented import answers
from web.rest.outputs import Output
from web.services import services

bp = APIBlueprint("admin", __name__, url_prefix="/api/v1/admin", tag="Administration")


class SweepErrorOut(Output):
    code: str
    detail: str


class SweepResultOut(BaseModel):
    """What the last run did; `error` when it broke off. Some sweeps say more."""

    model_config = ConfigDict(extra="allow")
    seen: int = 0
    removed: int = 0
    bytes: int = 0
    failed: int = 0
    capped: Annotated[bool, Field(description="It stopped at its bounds; the next goes on.")] = (
        False
    )
    stopped: Annotated[bool, Field(description="Its worker was stopped; it is due again.")] = False
    dry_run: bool = False
    took_ms: int = 0
    error: SweepErrorOut | None = None


class SweepOut(Output):
    name: str
    removes: str
    interval_seconds: int
    started_at: datetime | None
    finished_at: datetime | None
    result: SweepResultOut | None


class SweepsOut(Output):
    items: list[SweepOut]
    next_cursor: None


@bp.get("/sweeps")
@answers({200: SweepsOut})
def list_sweeps() -> Any:
    """List the scheduled sweeps with what each last did; wants the admin scope."""
    found = services().sweeps.results(caller())
    items = [
        each | {"started_at": when(each["started_at"]), "finished_at": when(each["finished_at"])}
        for each in found
    ]
    return {"items": items, "next_cursor": None}, {"Cache-Control": "no-store"}
