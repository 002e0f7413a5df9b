"""Says in the OpenAPI document what a view answers, from the models in `schemas`."""

from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final, TypeVar, cast

from apiflask import APIBlueprint
from pydantic import BaseModel

from web.rest.outputs import Problem

View = TypeVar("View", bound=Callable[..., Any])

# The models that answers have, for the document's components.
models: Final[set[type[BaseModel]]] = {Problem}

_doc = APIBlueprint("documented", __name__).doc


def answers(
    good: Mapping[int, type[BaseModel] | str | None],
    *,
    problems: Sequence[int] = (),
    raw_body: bool = False,
    form: Mapping[str, Any] | None = None,
    open_to_all: bool = False,
) -> Callable[[View], View]:
    """Document answers: a model for JSON, a media type for bytes, None for no body.

    `raw_body` and `form` (a JSON schema) say what the request carries where no model reads it;
    `open_to_all` that no token is wanted.
    """
    responses: dict[int, Any] = {}
    for status, shape in good.items():
        responses[status] = {"description": HTTPStatus(status).phrase}
        if isinstance(shape, str):
            binary = {"schema": {"type": "string", "format": "binary"}}
            responses[status]["content"] = {shape: binary}
        elif shape is not None:
            models.add(shape)
            reference = {"schema": {"$ref": f"#/components/schemas/{shape.__name__}"}}
            responses[status]["content"] = {"application/json": reference}
    for status in sorted({400, 422, *(() if open_to_all else (401, 403, 429)), *problems}):
        reference = {"schema": {"$ref": "#/components/schemas/Problem"}}
        content = {"application/problem+json": reference}
        responses[status] = {"description": HTTPStatus(status).phrase, "content": content}

    def document(view: View) -> View:
        marked: Any = _doc(responses=responses, security=None if open_to_all else ["bearer"])(view)
        if raw_body:
            body = {"type": "string", "format": "binary"}
            marked._spec |= {"body": body, "content_type": "application/octet-stream"}  # noqa: SLF001  # apiflask has no other way to say it
        elif form is not None:
            marked._spec |= {"body": dict(form), "content_type": "multipart/form-data"}  # noqa: SLF001  # the same
        return cast("View", marked)

    return document
