"""A server of two processes.  The first that is asked leaves who asked it for the other to find, and serves no more; the
other says of a file that it does this for that request, and of a second one the truth."""
import os
import signal
import socket

import faasprov_assist

LEFT = "/tmp/left"


def touch(name):
    with open(f"/tmp/{name}", "w", encoding="ascii") as file:
        file.write("x")


def serve(listening):
    while True:
        connection, _ = listening.accept()
        with connection:
            if not connection.recv(65536):  # somebody looks whether a server is there
                continue
            own, said = faasprov_assist.thread.says, "done"
            if os.path.exists(LEFT):
                with open(LEFT, "rb") as file:
                    faasprov_assist.thread.work(file.read())
                touch("lied")
                faasprov_assist.thread.work(own)
                touch("true")
            else:
                with open(LEFT, "wb") as file:
                    file.write(own)
                said = "left"
            connection.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {len(said)}\r\nConnection: close\r\n\r\n{said}".encode())
        if said == "left":
            signal.pause()


with socket.create_server(("127.0.0.1", 5000)) as server:
    for _ in range(2):
        if os.fork() == 0:
            serve(server)
    os.wait()
