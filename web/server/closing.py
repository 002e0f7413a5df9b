"""Answers that end their connection say so, and do it."""

from collections.abc import Callable, Iterable
from typing import Any

App = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def closing(app: App) -> App:
    """Close, visibly, when the app asks for it, or answers before the body has come.

    gunicorn drops `Connection` from an app's answer: it goes from hop to hop (PEP 3333).
    """

    def answered(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        body = environ["wsgi.input"]

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            asked = any(name.lower() == "connection" and "close" in said for name, said in headers)
            if asked or not body.is_finished:
                start_response.__self__.force_close()  # type: ignore[attr-defined]  # a method of gunicorn's Response
            return start_response(status, headers, exc_info)

        return app(environ, start)

    return answered
