"""How often a user may ask: counted before the body is read, and told in every answer.

A user is a subject in its tenant. Requests without a valid token are refused before they count; how
many of those a host may make is its proxy's to say. The fields are those of
draft-ietf-httpapi-ratelimit-headers-10.
"""

from collections.abc import Callable
from typing import Any, Final, TypeVar

import http_sf
from flask import Flask, Response, current_app, g, request

from shared.errors import Limited
from shared.model.rate import Standing
from shared.ports import Rates
from web.auth import caller

View = TypeVar("View", bound=Callable[..., Any])

_READS: Final = frozenset({"GET", "HEAD"})


def counted_as(name: str) -> Callable[[View], View]:
    """Count the requests of a view under a name of their own, in place of `read` and `write`."""

    def marked(view: View) -> View:
        view.rate = name  # type: ignore[attr-defined]  # a mark, read below
        return view

    return marked


def register(app: Flask, rates: Rates) -> None:
    """Count every request that has a caller: register it after what finds out who calls."""
    app.before_request(lambda: _count(rates))
    app.after_request(_tell)


def _count(rates: Rates) -> None:
    if "caller" not in g:
        return
    view = current_app.view_functions.get(request.endpoint or "")
    other = "read" if request.method in _READS else "write"
    standing = rates.count(getattr(view, "rate", other), caller())
    g.standing = standing
    if standing is not None and standing.is_over:
        raise Limited(
            f"At most {standing.limit} such requests are allowed in {standing.window_seconds} s.",
            limit=standing.limit,
            window_seconds=standing.window_seconds,
            retry_after=standing.resets_in_seconds,
        )


def _tell(response: Response) -> Response:
    standing: Standing | None = g.get("standing")
    if standing is not None:
        policy = {"q": standing.limit, "w": standing.window_seconds}
        now = {"r": standing.remaining, "t": standing.resets_in_seconds}
        response.headers["RateLimit-Policy"] = _listed(standing.name, policy)
        response.headers["RateLimit"] = _listed(standing.name, now)
    return response


def _listed(name: str, parameters: dict[str, int]) -> str:
    """Return a list of one string, as RFC 9651 writes it."""
    members: Any = [(name, parameters)]
    return http_sf.ser(members)
