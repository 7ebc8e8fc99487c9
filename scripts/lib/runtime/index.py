"""Runs an OpenFaaS handler: handle(event, context) returning a dict or a value.

The watchdog forwards each invocation to this server.
"""
import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "function"))
from function import handler  # noqa: E402

MAX_BODY = 16 * 1024 * 1024  # of one invocation, held in memory


class Event:
    def __init__(self, request, body):
        url = urlsplit(request.path)
        self.body = body
        self.headers = request.headers
        self.method = request.command
        self.query = {key: values[-1] for key, values in parse_qs(url.query).items()}
        self.path = url.path


class Context:
    def __init__(self):
        self.hostname = os.environ.get("HOSTNAME", "localhost")


class Server(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        length = int(self.headers.get("Content-Length") or 0)
        if length > MAX_BODY:
            return self._send(413, "request body too large", {})
        body = self.rfile.read(length) if "chunked" not in self.headers.get("Transfer-Encoding", "") else self._chunks()
        try:
            status, value, headers = self._parts(handler.handle(Event(self, body), Context()))
        except Exception as error:  # the function's own failure is an answer, too
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
            status, value, headers = 500, str(error), {}
        self._send(status, value, headers)

    do_GET = do_PUT = do_DELETE = do_PATCH = do_HEAD = do_OPTIONS = do_POST

    def log_message(self, *_):
        pass

    def _chunks(self):
        body = b""
        while True:
            size = int(self.rfile.readline(32).split(b";")[0], 16)
            if size < 0 or len(body) + size > MAX_BODY:
                raise ValueError("request body too large")
            body += self.rfile.read(size)
            self.rfile.readline(8)
            if size == 0:
                return body

    @staticmethod
    def _parts(result):
        if isinstance(result, dict) and "body" in result:
            return result.get("statusCode", 200), result["body"], result.get("headers") or {}
        return 200, result, {}

    def _send(self, status, value, headers):
        kind = "text/plain"
        if isinstance(value, (dict, list)):
            value, kind = json.dumps(value), "application/json"
        data = value if isinstance(value, bytes) else ("" if value is None else str(value)).encode()
        self.send_response(status)
        for key, text in {"Content-Type": kind, **headers, "Content-Length": len(data)}.items():
            self.send_header(key, str(text))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)


# as many connections can wait as requests are let through at a time: with the library's 5 some are lost and wait for a minute
ThreadingHTTPServer.request_queue_size = 256
ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("http_port", 5000))), Server).serve_forever()
