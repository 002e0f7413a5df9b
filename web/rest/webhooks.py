"""Webhooks: registered, shown, removed. The secret is in the answer to the creation alone."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any, Final

from apiflask import APIBlueprint
from pydantic import Field

from shared.errors import Invalid
from shared.model.webhook import EventType, NewWebhook, Webhook
from shared.services.describing import when
from shared.services.finding import is_id
from web.auth import caller
from web.rest.documented import answers
from web.rest.inputs import Input, Query, Text
from web.rest.outputs import Output
from web.services import services

bp = APIBlueprint("webhooks", __name__, url_prefix="/api/v1/webhooks", tag="Webhooks")

_EVENTS: Final = [event.value for event in EventType]
EventName = Annotated[Text, Field(json_schema_extra={"enum": _EVENTS})]


class WebhookIn(Input):
    url: Annotated[Text, Field(min_length=1, max_length=2048)]
    events: Annotated[list[EventName], Field(min_length=1, max_length=32)]
    description: Annotated[Text, Field(max_length=500)] | None = None
    enabled: bool = True

    def new(self) -> NewWebhook:
        return NewWebhook(**self.model_dump())


class WebhooksQuery(Query):
    limit: Annotated[int, Field(ge=1, le=100)] = 50
    cursor: Text | None = None


class WebhookOut(Output):
    """Without an `owner` it hears the files of its whole tenant."""

    id: str
    url: str
    events: list[str]
    description: str | None
    enabled: bool
    disabled_reason: str | None
    owner: str | None
    created_by: str
    created_at: datetime
    updated_at: datetime


class NewWebhookOut(WebhookOut):
    secret: Annotated[str, Field(description="Shown this once; signs every delivery.")]


class WebhooksOut(Output):
    items: list[WebhookOut]
    next_cursor: str | None


@bp.post("")
@bp.input(WebhookIn, arg_name="new")
@answers({201: NewWebhookOut}, problems=(409, 413))
def create_webhook(new: WebhookIn) -> Any:
    """Register a receiver for events of the caller's files, by an admin of the whole tenant's."""
    made = services().webhooks.create(caller(), new.new())
    location = f"{services().settings.public_url}/api/v1/webhooks/{made.id}"
    headers = {"Location": location, "Cache-Control": "no-store"}
    return _described(made) | {"secret": made.secret}, HTTPStatus.CREATED, headers


@bp.get("")
@bp.input(WebhooksQuery, location="query", arg_name="query")
@answers({200: WebhooksOut})
def list_webhooks(query: WebhooksQuery) -> Any:
    """List the caller's webhooks, newest first; an admin sees the whole tenant's."""
    if query.cursor is not None and not is_id(query.cursor):
        raise Invalid("This cursor is not one of this list.", pointer="/cursor")
    page = services().webhooks.page(caller(), query.limit, query.cursor)
    return {"items": [_described(each) for each in page.webhooks], "next_cursor": page.after}


@bp.get("/<webhook_id>")
@answers({200: WebhookOut}, problems=(404,))
def show_webhook(webhook_id: str) -> Any:
    """Show a webhook, never its secret."""
    return _described(services().webhooks.find(caller(), webhook_id))


@bp.delete("/<webhook_id>")
@answers({204: None}, problems=(404,))
def delete_webhook(webhook_id: str) -> Any:
    """Remove a webhook and what it is still owed."""
    services().webhooks.delete(caller(), webhook_id)
    return "", HTTPStatus.NO_CONTENT


def _described(webhook: Webhook) -> dict[str, Any]:
    return {
        "id": webhook.id,
        "url": webhook.url,
        "events": list(webhook.events),
        "description": webhook.description,
        "enabled": webhook.enabled,
        "disabled_reason": webhook.disabled_reason,
        "owner": webhook.owner,
        "created_by": webhook.created_by,
        "created_at": when(webhook.created_at),
        "updated_at": when(webhook.updated_at),
    }
