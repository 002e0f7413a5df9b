"""Where clients reach us: as the settings say, else as the request, or a proxy we trust, says."""

from flask import Flask, request
from werkzeug.middleware.proxy_fix import ProxyFix

from shared.config import Settings
from web.services import services


def register(app: Flask, settings: Settings) -> None:
    """Believe `X-Forwarded-*` of as many proxies as the settings say, and of no other."""
    trusted = settings.trusted_proxies
    if trusted:
        app.wsgi_app = ProxyFix(  # type: ignore[method-assign]  # as Flask documents it
            app.wsgi_app,
            x_for=trusted,
            x_proto=trusted,
            x_host=trusted,
            x_port=trusted,
            x_prefix=trusted,
        )


def root() -> str:
    """Return the address of our root, without a slash at its end."""
    return (services().settings.base_url or request.root_url).rstrip("/")
