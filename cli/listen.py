"""`listen`: a webhook receiver for the desk: prints what arrives, and whether it is signed right."""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import click
from standardwebhooks.webhooks import Webhook, WebhookVerificationError


@click.command()
@click.option("--port", default=9999, show_default=True, help="Where to listen, on 127.0.0.1.")
@click.option("--secret", help="The webhook's whsec_… secret; signatures are checked with it.")
def listen(port: int, secret: str | None) -> None:
    """Print the webhooks that arrive until Ctrl-C."""
    with ThreadingHTTPServer(("127.0.0.1", port), _receiver(secret)) as server:
        click.echo(f"listening on http://127.0.0.1:{port}")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            click.echo("stopped")


def _receiver(secret: str | None) -> type[BaseHTTPRequestHandler]:
    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            said = _signature(secret, body, dict(self.headers.items()))
            event = json.loads(body)
            click.echo(f"{event['type']}  {self.headers['webhook-id']}  signature {said}")
            click.echo(json.dumps(event["data"], indent=2))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # http.server's name
            """Say nothing beside what arrived."""

    return Receiver


def _signature(secret: str | None, body: bytes, headers: dict[str, str]) -> str:
    if secret is None:
        return "not checked"
    try:
        Webhook(secret).verify(body, headers)
    except WebhookVerificationError as error:
        return f"wrong: {error}"
    return "good"
