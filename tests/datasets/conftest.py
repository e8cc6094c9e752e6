"""A server on this machine, with https and every fault that a test asks for."""

import hashlib
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from crust_sklearn.datasets.download import RemoteFile

# A key that protects nothing: its certificate is for this machine, and trusted by the tests alone.
CERTIFICATE = Path(__file__).with_name("localhost.pem")
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        name, wanted = self.path.lstrip("/"), self.headers["Range"]
        self.server.requests.append((name, wanted))
        answers = self.server.faults.get(name)
        answer = answers.pop(0) if answers else send
        answer(self, self.server.files.get(name), wanted)
        self.close_connection = True

    def log_message(self, *args):
        pass


def send(handler, content, wanted, *, n_sent=None, has_range=True, has_length=True, shift=0):
    """Answer as a server should; or stop after some bytes, or know no ranges."""
    if content is None:
        return send_status(404)(handler, content, wanted)
    start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and has_range else 0
    if start >= len(content):
        return send_status(416)(handler, content, wanted)
    handler.send_response(206 if start else 200)
    if start:
        place = f"bytes {start + shift}-{len(content) - 1}/{len(content)}"
        handler.send_header("Content-Range", place)
    if has_length:
        handler.send_header("Content-Length", str(len(content) - start))
    handler.end_headers()
    handler.wfile.write(content[start:][:n_sent])
    handler.wfile.flush()


def send_status(status, **headers):
    def answer(handler, content, wanted):
        handler.send_response(status)
        for name, value in ({"Content-Length": "0"} | headers).items():
            handler.send_header(name, value)
        handler.end_headers()

    return answer


class Server(ThreadingHTTPServer):
    """Serves `files`; `faults` says, by name, how the first requests are answered instead."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(CERTIFICATE)
        self.socket = context.wrap_socket(self.socket, server_side=True)
        self.files, self.faults, self.requests = {}, {}, []

    def get_url(self, name):
        return f"https://127.0.0.1:{self.server_port}/{name}"

    def publish(self, name, content, *faults, **changes):
        """Serve a file, and return what is known of it."""
        self.files[name], self.faults[name] = content, list(faults)
        known = {"url": self.get_url(name), "size": len(content)}
        known["sha256"] = hashlib.sha256(content).hexdigest()
        return RemoteFile(name, **known | changes)

    def handle_error(self, request, client_address):
        pass  # clients that go away are what the tests are about


@pytest.fixture
def server(monkeypatch):
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def answers():
    """The ways to answer, which a module of tests cannot import from here."""
    return send, send_status
