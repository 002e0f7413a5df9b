"""Uploads in chunks: open, put chunks in any order, complete; or cancel."""

from http import HTTPStatus
from typing import Any

from apiflask import APIBlueprint
from flask import request

from shared.errors import Invalid
from shared.model.upload import Transfer
from web.auth import caller
from web.limits import hold_slot, hold_slot_for_staging
from web.requests import RequestBody, content_sha256, idempotency_key
from web.rest.documented import answers
from web.rest.inputs import CompleteIn, ReplaceQuery, TargetsQuery, UploadIn
from web.rest.outputs import JobOut, OpenedOut, ReceiptOut, TargetsOut, UploadOut
from web.services import services

bp = APIBlueprint("uploads", __name__, url_prefix="/api/v1/uploads", tag="Uploads")


@bp.post("")
@bp.input(UploadIn, arg_name="new")
@bp.input(ReplaceQuery, location="query", arg_name="query")
@answers({201: OpenedOut}, problems=(409, 413, 415))
def open_upload(new: UploadIn, query: ReplaceQuery) -> Any:
    """Open an upload; the answer says which chunk size to use and until when it lives.

    With `transfer: "direct"` it also has signed requests to send the bytes straight to the store.
    """
    asked = new.new(replace=query.replace)
    repeatable = idempotency_key(request)
    if asked.transfer is Transfer.DIRECT:
        hold_slot()  # a store that does not answer must not have all threads
    opened = services().uploads.open(caller(), asked, idempotency_key=repeatable)
    described = services().describing.upload(opened, (), None)
    if opened.is_receiving_directly:
        signed = services().targets.sign_first(caller(), opened.id, is_kept=repeatable is not None)
        described |= services().describing.targets(signed)
    return described, HTTPStatus.CREATED, {"Location": services().describing.upload_url(opened.id)}


@bp.put("/<upload_id>/chunks/<number>")
@answers({200: ReceiptOut}, problems=(404, 409, 413, 415, 507), raw_body=True)
def put_chunk(upload_id: str, number: str) -> Any:
    """Store one chunk, numbered from 0; success means that it is on durable storage."""
    if not number.isascii() or not number.isdecimal() or len(number) > 7:  # noqa: PLR2004  # digits
        raise Invalid("A chunk's number is a whole number from 0.")
    receipt = services().chunks.put(
        caller(), upload_id, int(number), RequestBody(request), content_sha256(request)
    )
    return {"number": receipt.number, "length": receipt.length, "repeated": receipt.repeated}


@bp.get("/<upload_id>")
@answers({200: UploadOut}, problems=(404,))
def show_upload(upload_id: str) -> Any:
    """Show what has arrived and what is missing."""
    status = services().uploads.status(caller(), upload_id, waiting=hold_slot)
    described = services().describing.upload(status.upload, status.chunks, status.job)
    return described, {"Cache-Control": "no-store"}


@bp.get("/<upload_id>/targets")
@bp.input(TargetsQuery, location="query", arg_name="query")
@answers({200: TargetsOut}, problems=(404, 409))
def sign_targets(upload_id: str, query: TargetsQuery) -> Any:
    """Sign requests of a direct upload again: for these parts, or the first hundred missing."""
    hold_slot()
    handed = services().targets.sign(caller(), upload_id, numbers=query.numbers)
    return services().describing.targets(handed), {"Cache-Control": "no-store"}


@bp.post("/<upload_id>/complete")
@bp.input(CompleteIn, arg_name="said")
@answers({202: JobOut}, problems=(404, 409, 413))
def complete_upload(upload_id: str, said: CompleteIn) -> Any:
    """Say that all chunks are sent; a repeat answers the same job."""
    if services().uploads.find(caller(), upload_id).is_receiving_directly:
        hold_slot()
    job = services().uploads.complete(
        caller(), upload_id, total_chunks=said.total_chunks, sha256=said.sha256
    )
    status = services().jobs.begun(caller(), job)
    location = services().describing.job_url(job.id)
    return services().describing.job(status), HTTPStatus.ACCEPTED, {"Location": location}


@bp.delete("/<upload_id>")
@answers({204: None}, problems=(404, 409))
def cancel_upload(upload_id: str) -> Any:
    """Cancel the upload: staging is freed, a running job stops at its next step."""
    hold_slot_for_staging()
    services().uploads.cancel(caller(), upload_id)
    return "", HTTPStatus.NO_CONTENT
