"""A TLS server that stands in for every chat service at once."""

from __future__ import annotations

import http.server
import json
import ssl
import threading
import time
from typing import Any

from connectors.chat import SERVICES, Chat
from tests.support.certificates import Certificates

SECRET = "canary0f3a"
URLS = {
    "wecombot": f"wecombot://{SECRET}-bbbb-cccc",
    "dingtalk": f"dingtalk://{SECRET}@abcdef0123456789",
    "feishu": f"feishu://{SECRET}-012345",
    "twilio": f"twilio://AC{'a' * 32}:{SECRET + 'b' * 22}@+12025550123/+8613800000000",
    "bulksms": f"bulksms://user:{SECRET}@+8613800000000",
}
GOOD = {
    "wecombot": (200, {"errcode": 0, "errmsg": "ok"}),
    "dingtalk": (200, {"errcode": 0, "errmsg": "ok"}),
    "feishu": (200, {"code": 0, "msg": "success", "data": {}}),
    "twilio": (201, {"status": "queued"}),
    "bulksms": (201, [{"status": {"type": "ACCEPTED"}}]),
}


class Service(http.server.ThreadingHTTPServer):
    """Every chat service in one: its certificate names all of their hosts."""

    daemon_threads = True

    def __init__(self, made: Certificates) -> None:
        self.got: list[tuple[str, dict[str, str], bytes]] = []
        self.status, self.reply, self.wait_s = 200, b"", 0.0
        there = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                there.got.append((self.path, dict(self.headers), body))
                time.sleep(there.wait_s)
                self.send_response(there.status)
                self.send_header("Location", "https://127.0.0.1:9/")
                self.end_headers()
                self.wfile.write(there.reply)

            def log_message(self, *_args: object) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        names = ",".join(f"DNS:{service.host}" for service in SERVICES.values())
        certificate, key = made._issue("chat", f"subjectAltName={names}")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self.socket = context.wrap_socket(self.socket, server_side=True)
        self.trust = ssl.create_default_context(cafile=made.ca)
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def handle_error(self, *_args: object) -> None:
        """A client that hangs up is part of these tests."""

    def says(self, status: int, reply: Any) -> None:
        self.status, self.reply = status, reply if isinstance(reply, bytes) else json.dumps(reply).encode()

    def sink(self, schema: str, **more: Any) -> Chat:
        ports = {service.host: int(self.server_address[1]) for service in SERVICES.values()}
        return Chat(URLS[schema], tls=self.trust, resolver=lambda _h, _p: ["127.0.0.1"], ports=ports, **more)
