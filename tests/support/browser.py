"""A real browser: shows a page of ours, from an origin of its own, until the page has told its end."""

import json
import queue
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

CHROMIUM: Final = shutil.which("chromium") or shutil.which("chromium-browser")
_FLAGS: Final = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--no-first-run", "--disable-dev-shm-usage"),
)
_LONGEST_SECONDS: Final = 60


def told_by(page: str, folder: Path, profile: Path, said: dict[str, Any]) -> dict[str, Any]:
    """Show a page of the folder with what is said in its query; return what it posts to /told."""
    with _served(folder) as (origin, told):
        query = quote(json.dumps(said))
        command = [str(CHROMIUM), *_FLAGS, f"--user-data-dir={profile}"]
        browser = subprocess.Popen(
            [*command, f"{origin}/{page}?{query}"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            found: dict[str, Any] = told.get(timeout=_LONGEST_SECONDS)
        finally:
            browser.kill()
            browser.wait()
        return found


@contextmanager
def _served(folder: Path) -> Iterator[tuple[str, "queue.Queue[dict[str, Any]]"]]:
    told: queue.Queue[dict[str, Any]] = queue.Queue()

    class Pages(SimpleHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            told.put(json.loads(self.rfile.read(length)))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # as the base says it
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Pages, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", told
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
