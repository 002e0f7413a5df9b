"""Files changed: described anew, copied, brought back, removed by the dozen."""

from http import HTTPStatus
from typing import Any

from apiflask import APIBlueprint

from shared.errors import AppError
from web.auth import caller
from web.limits import hold_slot
from web.rest.documented import answers
from web.rest.inputs import CopyIn, DeleteIn, FileChangesIn
from web.rest.outputs import DeletionsOut, FileOut
from web.services import services

bp = APIBlueprint("changes", __name__, url_prefix="/api/v1/files", tag="Changes of files")


@bp.patch("/<file_id>")
@bp.input(FileChangesIn, arg_name="changes")
@answers({200: FileOut}, problems=(404, 415, 503))
def change_file(file_id: str, changes: FileChangesIn) -> Any:
    """Change what is said of a file; what is not named stays as it is."""
    said = changes.said()
    if "is_public" in said and services().objects.gives_away:
        hold_slot()  # the store may take its time
    file = services().changes.change(caller(), file_id, said)
    return services().describing.file(file)


@bp.post("/<file_id>/copy")
@bp.input(CopyIn, arg_name="new")
@answers({201: FileOut}, problems=(404, 409, 413, 415, 502, 503))
def copy_file(file_id: str, new: CopyIn) -> Any:
    """Copy a file and its thumbnails inside the store: private, without an end or a reference."""
    hold_slot()
    describing, file = services().describing, services().copies.copy(caller(), file_id, new.new())
    return describing.file(file), HTTPStatus.CREATED, {"Location": describing.file_url(file.id)}


@bp.post("/<file_id>/restore")
@answers({200: FileOut}, problems=(404, 410, 503))
def restore_file(file_id: str) -> Any:
    """Bring back a file that was deleted, but not for good."""
    if services().objects.gives_away:
        hold_slot()
    return services().describing.file(services().changes.restore(caller(), file_id))


@bp.post("/delete")
@bp.input(DeleteIn, arg_name="these")
@answers({200: DeletionsOut}, problems=(503,))
def delete_files(these: DeleteIn) -> Any:
    """Delete up to 100 files; there is an answer for each."""
    if these.hard_delete or services().objects.gives_away:
        hold_slot()
    ids = list(dict.fromkeys(these.ids))
    refused = services().files.delete_many(caller(), ids, hard=these.hard_delete)
    return {"items": [_answer(each, refused.get(each)) for each in ids]}


def _answer(file_id: str, refusal: AppError | None) -> dict[str, Any]:
    error = None if refusal is None else {"code": refusal.code, "detail": str(refusal)}
    return {"id": file_id, "deleted": refusal is None, "error": error}
