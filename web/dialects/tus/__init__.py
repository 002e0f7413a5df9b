"""tus 1.0 at /tus/: resumable uploads as tus-js-client and Uppy send them.

An upload's URL is a capability: whoever has it may send, look and end. A token that comes with it
has to be the owner's, and is needed where `TUS_REQUIRE_TOKEN` says so, and to take a file away.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from http import HTTPStatus
from typing import Any, Final

from flask import Flask, Response, g, request

from shared.config import Settings
from shared.errors import Invalid, NotFound
from shared.model.caller import Caller, Scope
from shared.model.resumable import Capability
from web.auth import caller, late_caller
from web.dialects.tus import abilities
from web.dialects.tus.headers import PREFIX, VERSION
from web.dialects.tus.views import bp
from web.errors import Refusal, Refused, problem
from web.services import services

__all__ = ["EXPOSED", "PREFIX", "bp", "refusal", "register"]

# What browsers let scripts read.
EXPOSED: Final = (
    *("Upload-Offset", "Upload-Length", "Upload-Metadata", "Upload-Expires", "Upload-Concat"),
    *("Upload-Defer-Length", "Upload-Job", "Link", "Tus-Version", "Tus-Resumable"),
    *("Tus-Max-Size", "Tus-Extension", "Tus-Checksum-Algorithm"),
)
_MISMATCH: Final = (460, "Checksum Mismatch")
_OVERRIDES: Final = frozenset({"PATCH", "DELETE", "HEAD"})
_HEADER: Final = "X-HTTP-Method-Override"
# No more: who has an address alone takes no file away that has come of it.
_HOLDER: Final = frozenset({Scope.FILES_READ, Scope.FILES_WRITE})

App = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def register(app: Flask, settings: Settings) -> None:
    """Find out who asks before anybody counts; call it between `auth` and `rates`."""
    app.config.update(abilities.read(settings))
    app.before_request(lambda: _enter(token_wanted=settings.tus_require_token))
    app.after_request(_sign)
    app.wsgi_app = _overridden(app.wsgi_app)  # type: ignore[method-assign,assignment]  # as Flask documents it


def refusal(refused: Refusal) -> Response:
    """Present a refusal with what the protocol adds to it."""
    response = problem(refused, _MISMATCH if refused.code == "digest_mismatch" else None)
    if refused.code == "offset_mismatch":
        response.headers["Upload-Offset"] = str(refused.facts["offset"])
    return response


def _overridden(app: App) -> App:
    """Let POST stand for what clients can't send (tus 1.0, X-HTTP-Method-Override)."""

    def wrapped(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        said = environ.get("HTTP_X_HTTP_METHOD_OVERRIDE")
        path = "/" + environ.get("PATH_INFO", "").lstrip("/")
        is_ours = path.startswith(f"{PREFIX}/") and environ["REQUEST_METHOD"] == "POST"
        if is_ours and said in _OVERRIDES:
            environ["REQUEST_METHOD"] = said
        if not is_ours or said != "HEAD":
            return app(environ, start_response)
        return app(environ, _empty(start_response))

    return wrapped


def _empty(start_response: Callable[..., Any]) -> Callable[..., Any]:
    """Whoever sent a POST waits for as much of a body as the answer says: say that there is none."""

    def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        others = [each for each in headers if each[0].lower() != "content-length"]
        return start_response(status, [*others, ("Content-Length", "0")], exc_info)

    return start


def _enter(*, token_wanted: bool) -> None:
    if request.blueprint != bp.name or request.method == "OPTIONS":
        return
    if request.headers.get("Tus-Resumable") != VERSION:
        said = "This is tus 1.0.0: say so in Tus-Resumable."
        headers = {"Tus-Version": VERSION}
        status = HTTPStatus.PRECONDITION_FAILED
        raise Refused(Refusal(status, "version_unsupported", said, headers=headers))
    if _HEADER in request.headers and request.headers[_HEADER] != request.method:
        raise Invalid(f"{_HEADER} stands for one of {', '.join(sorted(_OVERRIDES))}.")
    abilities.refuse_others(request)
    address = (request.view_args or {}).get("address")
    if address is None:
        return
    # Judged before anything is said of the upload, which outlives the token that it was opened with.
    asking = late = None
    if token_wanted or "Authorization" in request.headers:
        late = None if token_wanted else late_caller()
        asking = late or caller()
    g.capability = Capability.parsed(address)
    upload = services().resuming.enter(g.capability)
    if asking is not None and not asking.sees(tenant=upload.tenant, owner=upload.owner):
        raise NotFound("upload")
    # What the address gives, a token takes from nobody.
    if asking is None or asking is late:
        g.caller = Caller(upload.owner, upload.tenant, _HOLDER)
    else:
        g.caller = replace(asking, scopes=asking.scopes | _HOLDER)
    g.resumed = upload


def _sign(response: Response) -> Response:
    if f"{request.path}/".startswith(f"{PREFIX}/"):
        response.headers["Tus-Resumable"] = VERSION
        response.headers["Cache-Control"] = "no-store"  # else 404 and 410 might be kept
    return response
