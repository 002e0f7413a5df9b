"""A page to read `/openapi.json`: Swagger UI, its assets served from here."""

from flask import Blueprint
from flask_swagger_ui import get_swaggerui_blueprint

bp: Blueprint = get_swaggerui_blueprint(
    "/docs", "/openapi.json", config={"app_name": "Sluice", "validatorUrl": None}
)
