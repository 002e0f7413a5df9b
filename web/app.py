"""The web application: the canonical API, health, and the page that documents them."""

import logging
import time
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

from apiflask import APIFlask
from flask import Response, g, request
from flask_cors import CORS
from uuid_utils.compat import uuid7

from shared import VERSION, logs
from shared.config import Settings
from shared.wiring import Services, build
from shared.wiring_parts import build_rates
from web import addresses, auth, errors, health, limits, metrics, origins, rates
from web.dialects import predecessors, s3_multipart, tus
from web.pages import reference
from web.requests import SluiceRequest, StrictJson
from web.rest import (
    admin,
    changes,
    files,
    grants,
    jobs,
    openapi,
    public,
    submissions,
    uploads,
    webhooks,
)

log = logging.getLogger(__name__)


class SluiceApp(APIFlask):
    request_class = SluiceRequest
    json_provider_class = StrictJson

    def wsgi_app(self, environ: WSGIEnvironment, start_response: StartResponse) -> Any:
        # A base address that ends in a slash makes two of them. Werkzeug would send the client, and
        # the file that it has begun to send, to the path with one.
        path = "/" + environ.get("PATH_INFO", "").lstrip("/")
        environ["PATH_INFO"] = s3_multipart.straightened(path)
        return super().wsgi_app(environ, start_response)


def create_app(settings: Settings, services: Services | None = None) -> SluiceApp:
    """Return the app of one process; the services are built from the settings unless given."""
    app = SluiceApp(
        "sluice",
        title="Sluice",
        version=VERSION,
        spec_path="/openapi.json",
        docs_path=None,
        static_folder=None,  # type: ignore[arg-type]  # Flask knows it, APIFlask says otherwise
    )
    app.url_map.strict_slashes = False  # FastAPI's redirects made both spellings one
    app.extensions["sluice"] = services or build(settings, hurried=True)
    app.before_request(_begin)
    openapi.register(app)
    addresses.register(app, settings)
    errors.register(
        app,
        {**predecessors.SHAPES, tus.PREFIX: tus.refusal, s3_multipart.PREFIX: s3_multipart.refusal},
    )
    s3_multipart.enter(app)
    auth.register(app, settings)
    tus.register(app, settings)
    origins.register(app, settings)
    rates.register(app, build_rates(settings))
    for module in (
        health,
        metrics,
        uploads,
        grants,
        submissions,
        files,
        changes,
        jobs,
        webhooks,
        admin,
        public,
        reference,
    ):
        app.register_blueprint(module.bp)
    app.register_blueprint(reference.home)
    for blueprint in (*predecessors.BLUEPRINTS, tus.bp):
        app.register_blueprint(blueprint)
    s3_multipart.register(app)
    auth.public(app.view_functions["swagger_ui.show"])
    CORS(
        app,
        origins=settings.browser_origins,
        expose_headers=[
            *("Location", "ETag", "Retry-After", "X-Request-ID", "Content-Range"),
            *("RateLimit", "RateLimit-Policy"),
            *tus.EXPOSED,
        ],
        max_age=3600,
    )
    app.after_request(_end)
    limits.register(app, settings.web_threads)
    return app


def _begin() -> None:
    logs.unbind()
    said = request.headers.get("X-Request-ID", "")
    g.request_id = said if _is_plain(said) else uuid7().hex
    g.began = time.monotonic()
    logs.bind(request_id=g.request_id)


def _end(response: Response) -> Response:
    response.headers["X-Request-ID"] = g.get("request_id", "")
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    response.headers.setdefault("Referrer-Policy", "no-referrer")
    facts: dict[str, Any] = {
        "method": request.method,
        "path": errors.tellable(request.path),
        "status": response.status_code,
        "took_ms": round((time.monotonic() - g.get("began", time.monotonic())) * 1000),
    }
    log.info("request_answered", extra=facts)
    return response


def _is_plain(text: str) -> bool:
    return 0 < len(text) <= 64 and text.isascii() and text.replace("-", "").isalnum()  # noqa: PLR2004  # characters
