"""A model hub on loopback: as much of the Hugging Face Hub's HTTP as downloading one file needs, and its faults.

It keeps every request line that came, so that a test can say what was asked and what was not.
"""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Faults:
    """What goes wrong from now on. `break_after`: bytes of a body, then the connection is cut, `breaks` times."""

    break_after: int = 0
    breaks: int = 0
    then_refuses: bool = False  # after the last break every GET is a 503
    corrupts: bool = False  # one byte of what is sent is another
    gated: bool = False
    ignores_ranges: bool = False


@dataclass
class Asked:
    """One request as it came."""

    method: str
    path: str
    range: str | None
    authorization: str | None
    user_agent: str


@dataclass
class Hub:
    """Files by (repository, name); every file is at the commit COMMIT."""

    files: dict[tuple[str, str], bytes] = field(default_factory=dict)
    faults: Faults = field(default_factory=Faults)
    asked: list[Asked] = field(default_factory=list)
    commit: str = COMMIT

    def __enter__(self) -> Hub:
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.hub = self
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def bodies_asked(self) -> list[Asked]:
        return [each for each in self.asked if each.method == "GET"]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    hub: Hub


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def log_message(self, *_arguments: object) -> None:
        pass

    def _answer(self) -> None:
        hub, headers = self.server.hub, self.headers
        authorization = headers.get("authorization")
        agent = headers.get("user-agent", "")
        hub.asked.append(Asked(self.command, self.path, headers.get("range"), authorization, agent))
        repository, _, rest = self.path.lstrip("/").partition("/resolve/")
        revision, _, name = rest.partition("/")
        content = hub.files.get((repository, name))
        if hub.faults.gated and authorization is None:
            self._refuse(401, "GatedRepo")
        elif content is None:
            self._refuse(404, "EntryNotFound" if "/" in repository else "RepoNotFound")
        elif revision not in ("main", hub.commit):
            self._refuse(404, "RevisionNotFound")
        elif self.command == "HEAD":
            self._head(content, 0)
        else:
            self._send(content)

    def _refuse(self, status: int, code: str) -> None:
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("X-Error-Message", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _head(self, content: bytes, start: int) -> None:
        digest = hashlib.sha256(content).hexdigest()
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - start))
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("X-Repo-Commit", self.server.hub.commit)
        self.send_header("ETag", f'"{digest}"')
        self.send_header("X-Linked-ETag", f'"{digest}"')
        self.send_header("X-Linked-Size", str(len(content)))
        self.end_headers()

    def _send(self, content: bytes) -> None:
        faults = self.server.hub.faults
        if faults.then_refuses and faults.breaks == 0:
            return self._refuse(500, "InternalError")
        wanted = self.headers.get("range")
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and not faults.ignores_ranges else 0
        self._head(content, start)
        body = content[start:]
        if faults.corrupts:
            body = body[:-1] + bytes([body[-1] ^ 1])
        if faults.breaks > 0:
            faults.breaks -= 1
            self.wfile.write(body[: faults.break_after])
            self.wfile.flush()
            self.close_connection = True
            self.connection.close()
            return None
        self.wfile.write(body)
        return None
