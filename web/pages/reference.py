"""A page to read `/openapi.json`: Swagger UI, its assets served from here; and the way to it."""

from flask import Blueprint, redirect
from flask_swagger_ui import get_swaggerui_blueprint
from werkzeug import Response

from web.auth import public

bp: Blueprint = get_swaggerui_blueprint(
    "/docs", "/openapi.json", config={"app_name": "Sluice", "validatorUrl": None}
)
home = Blueprint("home", __name__)


@home.get("/")
@public
def show_the_way() -> Response:
    """Who opens the address in a browser wants to read."""
    return redirect("/docs/")
