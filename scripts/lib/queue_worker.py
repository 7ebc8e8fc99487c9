#!/usr/bin/python3
"""Stands in for OpenFaaS's queue: takes asynchronous calls from the gateway and makes them later.

    queue_worker.py ADDRESS PORT GATEWAY        GATEWAY is host:port

As OpenFaaS's does: the call is answered with 202 at once and made through the
gateway with the headers it came with; what the function answered goes to the
caller's X-Callback-Url, under the same X-Call-Id.
"""
import http.client
import queue
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

WORKERS = 16  # calls in flight
WAITING = 10000  # calls that wait; of more the caller is told
MAX_BODY = 16 * 1024 * 1024
TIMEOUT = 120
# What belongs to the one connection it came on, or is made anew for the next.
HOP = {"connection", "host", "content-length", "transfer-encoding", "keep-alive", "x-callback-url"}

calls = queue.Queue(WAITING)


class Take(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        length = int(self.headers.get("Content-Length") or 0)
        if length > MAX_BODY:
            self.close_connection = True
            return self._answer(413)
        headers = {key: value for key, value in self.headers.items() if key.lower() not in HOP}
        call = (self.path.removeprefix("/async-function/"), headers, self.rfile.read(length),
                self.headers.get("X-Callback-Url"))
        try:
            calls.put_nowait(call)
        except queue.Full:
            return self._answer(429)
        return self._answer(202)

    def _answer(self, status):
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def post(address, path, headers, body):
    connection = http.client.HTTPConnection(address, timeout=TIMEOUT)
    try:
        connection.request("POST", path, body, headers)
        response = connection.getresponse()
        return response.status, response.headers, response.read()
    finally:
        connection.close()


def make(gateway, path, headers, body, callback):
    began = time.monotonic()
    try:
        status, answered, body = post(gateway, f"/function/{path}", headers, body)
    except (OSError, http.client.HTTPException) as error:
        status, answered, body = 502, {}, str(error).encode()
    if not callback:
        return
    url = urlsplit(callback)
    # names are known inside containers only
    place = gateway if url.netloc in ("gateway:8080", "gateway.openfaas:8080") else url.netloc
    post(place, url.path or "/", {
        "Content-Type": answered.get("Content-Type", "application/octet-stream"),
        "X-Call-Id": headers.get("X-Call-Id", ""), "X-Function-Name": path.split("/")[0],
        "X-Function-Status": str(status), "X-Duration-Seconds": f"{time.monotonic() - began:.6f}"}, body)


def work(gateway):
    while True:
        call = calls.get()
        try:
            make(gateway, *call)
        except (OSError, http.client.HTTPException, ValueError) as error:
            print(f"{call[0]}: {error}", file=sys.stderr, flush=True)


def main():
    address, port, gateway = sys.argv[1:]
    for _ in range(WORKERS):
        threading.Thread(target=work, args=(gateway,), daemon=True).start()
    ThreadingHTTPServer((address, int(port)), Take).serve_forever()


if __name__ == "__main__":
    main()
