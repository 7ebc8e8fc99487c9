"""A server of three processes, as gunicorn and uvicorn make them: the first listens, its children accept.  Each serves with a
thread for each connection, or with an event loop.  Every step leaves a file whose name says which request it was for."""
import asyncio
import concurrent.futures
import http.server
import os
import socket
import sys
import threading
import time


def touch(token, way):
    with open(f"/tmp/oracle.{token}.{way}", "w", encoding="ascii") as file:
        file.write(token)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    pool = None

    def do_POST(self):
        token = self.headers["X-Call-Id"]
        self.rfile.read(int(self.headers["Content-Length"]))
        touch(token, "server")
        time.sleep(0.005)
        touch(token, "server-later")
        self.pool.submit(touch, token, "server-pool").result()
        one = threading.Thread(target=touch, args=(token, "server-thread"))
        one.start()
        one.join()
        touch(token, "server-after-thread")
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_):
        pass


def threads(listening):
    Handler.pool = concurrent.futures.ThreadPoolExecutor(4)
    while True:
        connection, address = listening.accept()
        threading.Thread(target=Handler, args=(connection, address, None), daemon=True).start()


async def answer(reader, writer):
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head.split("\r\n")[1:])}
            await reader.readexactly(int(headers.get("content-length", 0)))
            token = headers["x-call-id"]
            touch(token, "loop")
            await asyncio.sleep(0.005)
            touch(token, "loop-later")
            await asyncio.get_running_loop().run_in_executor(None, touch, token, "loop-pool")
            touch(token, "loop-after-pool")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def loop(listening):
    async with await asyncio.start_server(answer, sock=listening) as server:
        await server.serve_forever()


with socket.create_server(("127.0.0.1", 5000), backlog=128) as server:
    for _ in range(3):
        if os.fork() == 0:
            asyncio.run(loop(server)) if sys.argv[1] == "loop" else threads(server)
    os.wait()
