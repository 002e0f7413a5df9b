"""`/upload`: audio files in chunks that the client cuts as it likes, for a main service's numbers.

Files lie at `{user}/{main_service_file_id}/{name}`. An init for a file that its own earlier session
has not completed begins anew. Where objects lie in a folder, files are told by their path there.
"""

from collections.abc import Iterator
from http import HTTPStatus
from itertools import chain
from typing import Annotated, Any, Final

from apiflask import APIBlueprint
from flask import Response, json, request
from pydantic import Field

from shared.errors import Conflict, Invalid, NotFound, Unprocessable
from shared.model.caller import Caller
from shared.model.file import File, FileQuery
from shared.model.layout import Layout
from shared.model.lifecycle import UploadState
from shared.model.main_service import PROFILE
from shared.model.upload import NewUpload
from web.auth import caller
from web.chunk_forms import ChunkForm
from web.dialects.predecessors.inputs import Body, Whole
from web.dialects.predecessors.submitting import file_of
from web.errors import Refusal
from web.limits import hold_slot, hold_slot_for_staging, holds_slot
from web.requests import whole_number
from web.rest.inputs import Flag, ReplaceQuery, Text
from web.services import services

PREFIX: Final = "/upload"
LAYOUT: Final = Layout("{owner}/{reference}/{name}")
_LARGEST_ID: Final = 10**15 - 1
_MOST_CHUNKS: Final = 10_000
_NEWS_SECONDS: Final = 5.0  # for the main service to hear of a file that is there
_PAGE: Final = 500


FileNumber = Annotated[Whole, Field(ge=0, le=_LARGEST_ID)]
Session = Annotated[Text, Field(min_length=1, max_length=64)]


class InitIn(Body):
    main_service_file_id: FileNumber
    original_file_name: Annotated[Text, Field(min_length=1, max_length=1024)]
    replace: Flag = False


class CompleteIn(Body):
    upload_session_id: Session
    total_chunks: Annotated[Whole, Field(ge=1, le=_MOST_CHUNKS)]
    main_service_file_id: FileNumber


class SessionIn(Body):
    upload_session_id: Session


bp = APIBlueprint("chunked", __name__, url_prefix=PREFIX, tag="Predecessors: chunked files")


@bp.post("/init")
@bp.doc(hide=True)
@bp.input(InitIn, arg_name="said")
@bp.input(ReplaceQuery, location="query", arg_name="query")
def init_session(said: InitIn, query: ReplaceQuery) -> Any:
    new = NewUpload(
        said.original_file_name,
        reference=str(said.main_service_file_id),
        profile=PROFILE,
        layout=LAYOUT,
        restarts=True,
        replace=said.replace or query.replace,
    )
    hold_slot_for_staging()  # what it has of an earlier session goes
    opened = services().uploads.open(caller(), new)
    return _success("Upload session initialized.", {"upload_session_id": opened.id})


@bp.post("/chunk")
@bp.doc(hide=True)
def upload_chunk() -> Any:
    who, uploads, chunks = caller(), services().uploads, services().chunks
    form = ChunkForm(request, uploads.screening.largest(PROFILE))
    form.begin()
    place = _place(form.fields)
    if place is not None:
        chunks.put(who, *place, form, None)
    else:
        # Whose chunk it is stands after it: it waits in a place of its own.
        with uploads.begin_chunk(who, PROFILE) as intake:
            intake.take(form)
            chunks.put(who, *_known_place(form.fields), intake.stored(), None)
    return _success("Chunk uploaded successfully.")


@bp.post("/complete")
@bp.doc(hide=True)
@bp.input(CompleteIn, arg_name="said")
def complete_session(said: CompleteIn) -> Any:
    who, uploads = caller(), services().uploads
    opened = uploads.find(who, said.upload_session_id)
    if opened.reference != str(said.main_service_file_id):
        told = "This session was opened for another main_service_file_id."
        raise Conflict(told)
    job = uploads.complete(who, opened.id, total_chunks=said.total_chunks)
    return _completed(file_of(job))


@bp.delete("/file")
@bp.doc(hide=True)
@bp.input(SessionIn, arg_name="said")
def delete_file(said: SessionIn) -> Any:
    """Cancel what is unfinished; remove what is finished for good."""
    who = caller()
    hold_slot_for_staging()
    try:
        services().uploads.cancel(who, said.upload_session_id)
    except NotFound:
        pass  # of files the sessions are forgotten after a while
    except Conflict as ended:
        if ended.facts.get("state") != UploadState.READY:
            raise
    else:
        return _success("Upload session cancelled.")
    hold_slot()  # the store may take its time
    services().files.delete(who, said.upload_session_id, hard=True)
    return _success("File deleted successfully.")


@bp.get("/files")
@bp.doc(hide=True)
def list_files() -> Response:
    """Name all files, a page after the other, so that none has to be remembered."""
    pages = _pages(caller())
    first, more = next(pages), next(pages, None)  # what refuses, refuses before the answer begins
    if more is None:
        return Response("".join(_listed(iter(first))), mimetype="application/json")
    hold_slot()
    places = chain.from_iterable(chain((first, more), pages))
    return Response(_listed(places), mimetype="application/json")


def refusal(refusal: Refusal) -> Response:
    body = {"status": "error", "message": refusal.detail, "code": refusal.code, **refusal.facts}
    return Response(f"{json.dumps(body)}\n", refusal.status, mimetype="application/json")


def _place(fields: dict[str, str]) -> tuple[str, int] | None:
    """Return session and number of a chunk, None while one of them is still to come."""
    index = None
    if "chunk_index" in fields:
        index = whole_number(fields["chunk_index"].strip())
        if index is None:
            raise Invalid("A chunk_index is a whole number from 0.", pointer="/chunk_index")
    session = fields.get("upload_session_id")
    return None if session is None or index is None else (session.strip(), index)


def _known_place(fields: dict[str, str]) -> tuple[str, int]:
    place = _place(fields)
    if place is None:
        missing = next(name for name in ("upload_session_id", "chunk_index") if name not in fields)
        raise Unprocessable(f"The field {missing} is required.", pointer=f"/{missing}")
    return place


def _completed(file: File) -> Any:
    """Say where the file is, and of the main service what is true."""
    main = services().main_service
    notified = main.is_accepted(file.id, _NEWS_SECONDS if holds_slot() else 0)
    if notified:
        message = "File upload completed and main service notified."
    elif main.main is None:
        message = "File upload completed; there is no main service to notify."
    else:
        message = "File upload completed; the main service could not be notified yet."
    place = services().describing.place(file)
    return _success(message, {"file_path_on_upload_service": place, "notified": notified})


def _pages(who: Caller) -> Iterator[list[str]]:
    """Yield where the caller's files of this dialect are, the newest first; one page at least."""
    files, describing = services().files, services().describing
    query = FileQuery(who.tenant, who.subject, profile=PROFILE, limit=_PAGE)
    return ([describing.place(file) for file in page] for page in files.pages(who, query))


def _listed(places: Iterator[str]) -> Iterator[str]:
    yield '{"status":"success","files":['
    for number, place in enumerate(places):
        yield f"{',' if number else ''}{json.dumps(place)}"
    yield "]}\n"


def _success(message: str, data: dict[str, Any] | None = None) -> Any:
    body: dict[str, Any] = {"status": "success", "message": message}
    return (body if data is None else {**body, "data": data}), HTTPStatus.OK
