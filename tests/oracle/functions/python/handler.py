"""Leaves a file named after the request by every way in which a handler gets work
done, so that each file's request is known without asking the recorder."""
import concurrent.futures
import os
import socket
import subprocess
import threading
import time
import urllib.request

DIRECTORY = os.environ.get("oracle_directory", "/tmp")
# A child gets the token as an argument, and through a pipe; a file's name says through which.
CHILD = 'echo "$1" > "$2"child; read token; : > "$2"pipe.$(stat -Lc %i /dev/stdin)'
POOL = concurrent.futures.ThreadPoolExecutor(4)


def path(token, way):
    return os.path.join(DIRECTORY, f"oracle.{token}.{way}")


def touch(token, way):
    with open(path(token, way), "w") as file:
        file.write(token)


def through_socket(token):
    """The token to an address that is made of it."""
    a, b, c = bytes.fromhex(token[-6:])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as to:
        to.sendto(token.encode(), (f"127.{a | 0x80}.{b}.{c}", 4998))


def handle(event, context):
    token = event.headers["X-Call-Id"]
    touch(token, "sync")
    time.sleep(0.002)
    touch(token, "timer")
    POOL.submit(touch, token, "pool").result()
    touch(token, "after-pool")
    through_socket(token)
    if "oracle_url" in os.environ:
        with urllib.request.urlopen(os.environ["oracle_url"]) as answer:
            answer.read()
        touch(token, "after-call")
    if event.query.get("child"):
        subprocess.run(["/bin/sh", "-c", CHILD, "child", token, path(token, "")], input=token.encode() + b"\n", check=True)
        touch(token, "after-child")
    if event.query.get("behind"):
        threading.Timer(0.005, touch, (token, "behind")).start()
    return {"statusCode": 200, "body": token}
