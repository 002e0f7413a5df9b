"""Requests of which half has arrived, for what happens to who receives them."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import psutil

from tests.drills.rig import Rig
from tests.support.waiting import eventually

SIZE = 1_200_000  # half of it is more than a block that is read at once


@contextmanager
def half_sent(rig: Rig, upload_id: str, body: bytes) -> Iterator[socket.socket]:
    """Send a chunk's head and half of it; yield the connection once that has arrived."""
    where = urlsplit(rig.stack.base_url)
    head = (
        f"PUT /api/v1/uploads/{upload_id}/chunks/0 HTTP/1.1\r\nHost: {where.netloc}\r\n"
        f"Authorization: Bearer {rig.clients.token}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection((where.hostname or "", where.port or 0), timeout=30) as line:
        line.sendall(head.encode() + body[: len(body) // 2])
        staged = f"*{upload_id}*"
        eventually(lambda: list(rig.stack.staging.rglob(staged)), says="nothing came")
        yield line


def server_of(rig: Rig, line: socket.socket) -> psutil.Process | None:
    """Return the web's process that has the other end of a connection."""
    port = line.getsockname()[1]
    for child in rig.stack.process("web").children():
        lines = child.net_connections("tcp")
        if port in {each.raddr.port for each in lines if each.status == "ESTABLISHED"}:
            return child
    return None
