"""The services of the app that answers this request."""

from typing import cast

from flask import current_app

from shared.wiring import Services


def services() -> Services:
    return cast("Services", current_app.extensions["sluice"])
