"""The OpenAPI document: generated from the routes and the models in `schemas`."""

from typing import Any

from apiflask import APIFlask
from pydantic.json_schema import models_json_schema

from web.auth import public
from web.rest.documented import models


def register(app: APIFlask) -> None:
    app.config.update(
        OPENAPI_VERSION="3.1.0",
        AUTO_404_RESPONSE=False,
        AUTO_VALIDATION_ERROR_RESPONSE=False,
        AUTO_AUTH_ERROR_RESPONSE=False,
        AUTO_SERVERS=False,
        AUTO_OPERATION_ID=True,
    )
    app.security_schemes = {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}
    app.spec_processor(_with_outputs)
    public(app.view_functions["openapi.spec"])


def _with_outputs(spec: Any) -> Any:
    _, made = models_json_schema(
        [(model, "serialization") for model in sorted(models, key=lambda model: model.__name__)],
        ref_template="#/components/schemas/{model}",
    )
    spec.setdefault("components", {}).setdefault("schemas", {}).update(made["$defs"])
    return spec
