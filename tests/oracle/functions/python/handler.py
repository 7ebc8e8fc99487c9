"""Leaves a file named after the request by every way in which a handler gets work
done, so that each file's request is known without asking the recorder."""
import concurrent.futures
import multiprocessing
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


class Lines:
    """A process of our own that reads tokens line by line, and says when it has done each."""

    def __init__(self):
        self.lock = threading.Lock()
        (orders, self.orders), (self.answers, answers) = os.pipe(), os.pipe()
        if os.fork() == 0:
            os.close(self.orders)
            with open(orders) as lines:
                for line in iter(lines.readline, ""):
                    touch(line.strip(), "lines")
                    os.write(answers, b".")
            os._exit(0)

    def do(self, token):
        with self.lock:
            os.write(self.orders, token.encode() + b"\n")
            os.read(self.answers, 1)


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


def slowly(token, way):
    touch(token, way)
    time.sleep(0.001)
    touch(token, way + "-later")


EARLY = multiprocessing.Pool(2)  # its processes are made before any request, the others' in one
LATE = concurrent.futures.ProcessPoolExecutor(2)
MAKING = threading.Lock()
made = {}


def through_processes(token):
    EARLY.apply(slowly, (token, "early-pool"))
    touch(token, "after-early")
    LATE.submit(slowly, token, "late-pool").result()
    touch(token, "after-late")
    with MAKING:
        if not made:
            made["pool"], made["lines"] = multiprocessing.Pool(2), Lines()
    made["pool"].apply(slowly, (token, "made-pool"))
    touch(token, "after-made")
    made["lines"].do(token)
    touch(token, "after-lines")


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
    if event.query.get("pools"):
        through_processes(token)
    if event.query.get("behind"):
        threading.Timer(0.005, touch, (token, "behind")).start()
    return {"statusCode": 200, "body": token}
