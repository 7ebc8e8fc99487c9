"""As ../python, with tasks of an event loop, its timers and its executor; a server of its own."""
import asyncio
import os
import socket
import sys

DIRECTORY = os.environ.get("oracle_directory", "/tmp")


def path(token, way):
    return os.path.join(DIRECTORY, f"oracle.{token}.aio-{way}")


def touch(token, way):
    with open(path(token, way), "w") as file:
        file.write(token)


def through_socket(token):
    """The token to an address that is made of it."""
    a, b, c = bytes.fromhex(token[-6:])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as to:
        to.sendto(token.encode(), (f"127.{a | 0x80}.{b}.{c}", 4998))


async def handle(token, query):
    touch(token, "sync")
    await asyncio.sleep(0.002)
    touch(token, "timer")
    await asyncio.gather(*(step(token, name) for name in ("task-a", "task-b")))
    await asyncio.get_running_loop().run_in_executor(None, touch, token, "pool")
    touch(token, "after-pool")
    through_socket(token)
    if "child" in query:
        child = await asyncio.create_subprocess_exec("/bin/sh", "-c", f"echo {token} > {path(token, 'child')}")
        await child.wait()
        touch(token, "after-child")
    if "behind" in query:
        asyncio.get_running_loop().call_later(0.005, left_behind, token)


def left_behind(token):
    touch(token, "behind")
    pool = asyncio.get_running_loop().run_in_executor(None, touch, token, "behind-pool")
    pool.add_done_callback(lambda _: touch(token, "behind-after-pool"))


async def step(token, name):
    await asyncio.sleep(0)
    touch(token, name)


async def serve(reader, writer):
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            lines = head.split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
            await reader.readexactly(int(headers.get("content-length", 0)))
            await handle(headers["x-call-id"], lines[0])
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def main():
    async with await asyncio.start_server(serve, "127.0.0.1", 5000) as server:
        await server.serve_forever()


sys.exit(asyncio.run(main()))
