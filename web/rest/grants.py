"""Grants to upload: addresses for clients that send no headers, with the right to inside."""

from datetime import timedelta
from http import HTTPStatus
from typing import Any

from apiflask import APIBlueprint

from shared.services.describing import when
from web.addresses import root
from web.auth import caller
from web.rest.documented import answers
from web.rest.inputs import GrantIn
from web.rest.outputs import GrantOut
from web.services import services

bp = APIBlueprint("grants", __name__, url_prefix="/api/v1/upload-grants", tag="Upload grants")


@bp.post("")
@bp.input(GrantIn, arg_name="said")
@answers({201: GrantOut})
def give_grant(said: GrantIn) -> Any:
    """Make a grant to upload as the caller; its addresses are shown this once."""
    lifetime = None if said.expires_in is None else timedelta(seconds=said.expires_in)
    grant, capability = services().grants.give(caller(), lifetime)
    address = f"{root()}/s3/{capability}"
    described = {
        "id": grant.id,
        "companion_url": address,
        "sign_url": f"{address}/sign",
        "created_at": when(grant.created_at),
        "expires_at": when(grant.expires_at),
    }
    headers = {"Location": f"{root()}/api/v1/upload-grants/{grant.id}", "Cache-Control": "no-store"}
    return described, HTTPStatus.CREATED, headers


@bp.delete("/<grant_id>")
@answers({204: None}, problems=(404,))
def revoke_grant(grant_id: str) -> Any:
    """End a grant: what was begun by it and is not whole goes on no more."""
    services().grants.revoke(caller(), grant_id)
    return "", HTTPStatus.NO_CONTENT
