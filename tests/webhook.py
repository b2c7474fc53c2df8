"""A web server of this machine that takes posts, and behaves as a test wants."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest


class Webhook:
    """Keeps what it accepted in ``accepted``, and counts all posts in ``asked``.

    ``statuses`` are answered first, one a post, then 200. While ``open`` is not set, an answer
    does not come.
    """

    def __init__(self) -> None:
        self.accepted: list[dict[str, Any]] = []
        self.asked = 0
        self.statuses: list[int] = []
        self.open = threading.Event()
        self.open.set()
        self._over = False
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                hook.asked += 1
                hook.open.wait()
                if hook._over:
                    return
                status = hook.statuses.pop(0) if hook.statuses else 200
                if status == 200:
                    hook.accepted.append(body)
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.address = f"127.0.0.1:{self._server.server_port}"
        self.url = f"http://{self.address}/hook"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    @property
    def texts(self) -> list[str]:
        """What was posted in Slack's form."""
        return [str(body["text"]) for body in self.accepted]

    def close(self) -> None:
        """End."""
        self._over = True
        self.open.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    """Give a web server that takes posts."""
    hook = Webhook()
    yield hook
    hook.close()
