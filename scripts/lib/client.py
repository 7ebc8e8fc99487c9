"""The client: sends invocations through the gateway and shows the answers."""
import concurrent.futures
import http.client
import json
import sys
import threading
import time

from . import net, services
from .say import Fail

TIMEOUT = 120


class Answer:
    def __init__(self, status, headers, body, seconds):
        self.status = status
        self.headers = headers
        self.body = body
        self.seconds = seconds

    def shown(self):
        """As a JSON document: what programs want to know of an answer."""
        return {"status": self.status, "call_id": self.headers.get("X-Call-Id"),
                "request": self.headers.get("X-Faasprov-Request"), "seconds": round(self.seconds, 6),
                "headers": dict(self.headers.items()), "body": self.body.decode(errors="replace")}


class Client:
    """Keeps one connection per thread, as a real client does."""

    def __init__(self):
        self._own = threading.local()

    def send(self, method, path, body, headers):
        began = time.perf_counter()
        for attempt in (1, 2):
            connection = self._connection()
            try:
                connection.request(method, path, body=body, headers=headers)
                response = connection.getresponse()
                data = response.read()
                return Answer(response.status, response.headers, data, time.perf_counter() - began)
            except http.client.RemoteDisconnected:
                # The gateway closed an idle connection; nothing was done.
                connection.close()
                if attempt == 2:
                    raise Fail("the gateway closes its connections")
            except OSError as error:
                raise Fail(f"{services.gateway_url()}: {error.strerror or error}")

    def _connection(self):
        if not hasattr(self._own, "connection"):
            self._own.connection = http.client.HTTPConnection(net.GATEWAY, services.GATEWAY_PORT, timeout=TIMEOUT)
        return self._own.connection


def path_of(function, replica=None, rest=""):
    pin = f":{replica}" if replica else ""
    return f"/function/{function}{pin}{'/' + rest.lstrip('/') if rest else ''}"


def invoke_all(requests, concurrency):
    """Calls all of these functions; yields their answers, with concurrency in the order in which they end."""
    if concurrency == 1:
        for request in requests:
            yield request()
        return
    with concurrent.futures.ThreadPoolExecutor(concurrency) as pool:
        for done in concurrent.futures.as_completed([pool.submit(request) for request in requests]):
            yield done.result()


def show(answer, form):
    if form == "json":
        print(json.dumps(answer.shown()), flush=True)
        return
    out = sys.stdout.buffer
    sys.stdout.flush()
    if form == "include":
        head = "".join(f"{key}: {value}\n" for key, value in answer.headers.items())
        out.write(f"HTTP/1.1 {answer.status}\n{head}\n".encode())
    out.write(answer.body if answer.body.endswith(b"\n") or not answer.body else answer.body + b"\n")
    out.flush()
