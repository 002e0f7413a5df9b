"""The requests of who uploads by a grant, straight to the store, and says no size."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from shared.errors import NotFound
from shared.model.grant import Holder
from shared.model.resumable import Capability
from shared.model.upload import NewUpload
from shared.services.unsized import Opened

if TYPE_CHECKING:
    from tests.drills.asking import Client


def _grant(client: "Client", which: str) -> dict[str, Any]:
    del which
    _, address = client.services.grants.give(client.caller, None)
    return {"address": str(address)}


def _start(client: "Client", which: str) -> dict[str, Any]:
    """Open an upload in parts; each repeat opens another."""
    del which
    new = NewUpload(client.kind.filename)
    opened = client.services.unsized.open_parts(_holder(client), new)
    return {"upload_id": opened.upload.id}


def _piece(client: "Client", which: str) -> dict[str, Any]:
    number = int(which) + 1
    unsized = client.services.unsized
    (target,) = unsized.sign_parts(_holder(client), _opened(client), [number]).targets
    etag = client.store.take(target.url, client.piece(int(which)))
    return {"number": number, "etag": etag, "link": target.url}


def _finish(client: "Client", which: str) -> dict[str, Any]:
    """Name the parts as the store answered; who heard nothing of it lists them, as Uppy does."""
    del which
    was_tried = bool(client.told.lines("finishing"))
    client.told.write("finishing")
    unsized, opened = client.services.unsized, _opened(client)
    etags = pieces_of(client)
    if was_tried:
        etags = {part.number: part.etag for part in unsized.parts(opened)}
    return {"job_id": unsized.complete(_holder(client), opened, etags).id}


def _form(client: "Client", which: str) -> dict[str, Any]:
    """Open an upload that comes whole; each repeat opens another."""
    del which
    new = NewUpload(client.kind.filename)
    form = client.services.unsized.open_form(_holder(client), new).form
    key = form.fields["key"]
    return {"upload_id": key.rpartition("/")[2], "link": form.url + key}


def _post(client: "Client", which: str) -> dict[str, Any]:
    del which
    link = client.told.answers()["form"]["link"]
    client.store.take(link, client.content)
    return {"link": link}


def _late(client: "Client", which: str) -> dict[str, Any]:
    """Send something else with a link, as long as it works."""
    del which
    if client.told.lines("passed"):
        return {"was_taken": False}
    answers = client.told.answers()
    sent = answers.get("post") or answers["piece-0"]
    try:
        client.store.take(sent["link"], client.piece(0))
    except NotFound:
        return {"was_taken": False}  # its multipart upload has ended
    return {"was_taken": True}


def _revoke(client: "Client", which: str) -> dict[str, Any]:
    del which
    was_tried = bool(client.told.lines("revoking"))
    client.told.write("revoking")
    try:
        client.services.grants.revoke(client.caller, _address(client).upload_id)
    except NotFound:
        if not was_tried:
            raise  # nobody can have revoked it before
    return {"grant_id": _address(client).upload_id}


def pieces_of(client: "Client") -> dict[int, str]:
    """Return the ETags of the parts that the store has acknowledged, by number."""
    told = client.told.answers()
    sent = [facts for operation, facts in told.items() if operation.startswith("piece-")]
    return {each["number"]: each["etag"] for each in sent}


def _address(client: "Client") -> Capability:
    return Capability.parsed(client.told.answers()["grant"]["address"])


def _holder(client: "Client") -> Holder:
    return client.services.grants.enter(_address(client)).holder


def _opened(client: "Client") -> Opened:
    return client.services.unsized.find(_holder(client), client.there())


REQUESTS: Final[Mapping[str, Callable[["Client", str], dict[str, Any]]]] = {
    "grant": _grant,
    "start": _start,
    "piece": _piece,
    "finish": _finish,
    "form": _form,
    "post": _post,
    "late": _late,
    "revoke": _revoke,
}
