"""Does to its watchdog, and against its limits, what the request's body says, a word for each deed, and answers what came of it."""
import ctypes
import os
import socket
import subprocess
import time

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.prctl.argtypes = [ctypes.c_ulong] * 5
LIBC.ptrace.argtypes = [ctypes.c_long] * 4
OPTION, VERSION = 0x46505256, 1
HELLO, BEGIN, CONNECTION, CHILD, END, ENTER = range(1, 7)
WATCHDOG, PORT = 1, 8080
NEW_USER, NEW_MOUNTS = 0x10000000, 0x20000
BPF = {"x86_64": 321, "aarch64": 280}
SEIZE, PIDFD_OPEN, PIDFD_GETFD = 0x4206, 434, 438


def mark(kind, high, low):
    """What the watchdog's own marks look like; the kernel refuses the call in any case."""
    LIBC.prctl(OPTION, kind | VERSION << 8 | 0xffffffff << 32, high, low, 0)


def in_child(deed):
    """Not by the process that serves the requests; its answer is the exit status."""
    child = os.fork()
    if child == 0:
        try:
            os._exit(deed() or 0)
        finally:
            os._exit(99)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def forge():
    for kind in (HELLO, BEGIN, CONNECTION, END):
        mark(kind, 0x1122334455667788, 0x99aabbccddeeff00)


def forge_in_child():
    return in_child(forge)


def lie():
    mark(ENTER, 0x1122334455667788, 0x99aabbccddeeff00)


def kill():
    """The kernel protects a container's first process from these, but not from being asked."""
    for signal in (9, 19, 18):
        os.kill(WATCHDOG, signal)


def trace():
    """In a child, whose end lets go of the watchdog again."""
    return in_child(lambda: LIBC.ptrace(SEIZE, WATCHDOG, 0, 0) and ctypes.get_errno())


def writable():
    """A place in the watchdog's memory: of its stack, which stays where it is."""
    with open(f"/proc/{WATCHDOG}/maps", encoding="ascii") as maps:
        line = next(line for line in maps if "[stack]" in line)
    return int(line.split("-")[0], 16)


def memory():
    """What is there is written back, so that the watchdog goes on."""
    with open(f"/proc/{WATCHDOG}/mem", "r+b", buffering=0) as file:
        file.seek(writable())
        what = file.read(8)
        file.seek(-8, 1)
        file.write(what)


class Piece(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


def across():
    buffer = ctypes.create_string_buffer(8)
    own, other = Piece(ctypes.addressof(buffer), 8), Piece(writable(), 8)
    for call in (LIBC.process_vm_readv, LIBC.process_vm_writev):
        if call(WATCHDOG, ctypes.byref(own), 1, ctypes.byref(other), 1, 0) != 8:
            raise OSError(ctypes.get_errno(), call.__name__)


def steal():
    """Takes the listening socket out of the watchdog, and with it the next caller."""
    pidfd = LIBC.syscall(PIDFD_OPEN, WATCHDOG, 0)
    for name in range(3, 64):
        fd = LIBC.syscall(PIDFD_GETFD, pidfd, name, 0)
        if fd < 0:
            continue
        taken = os.readlink(f"/proc/self/fd/{fd}")
        if taken.startswith("socket:"):
            with socket.socket(fileno=fd) as listening:
                if listening.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) and listening.getsockname()[1] == PORT:
                    socket.create_connection(("127.0.0.1", PORT)).close()
                    # somebody accepts it: the watchdog, or this process
                    listening.setblocking(False)
                    for _ in range(2000):
                        try:
                            listening.accept()[0].close()
                            return None
                        except BlockingIOError:
                            socket.create_connection(("127.0.0.1", PORT)).close()
                    return "the watchdog was always faster"
        else:
            os.close(fd)
    return "no listening socket"


def leave():
    """Into a world of its own, where it may mount."""
    def deed():
        if LIBC.unshare(NEW_USER | NEW_MOUNTS) < 0 or LIBC.mount(b"hideout", b"/tmp", b"tmpfs", 0, None) < 0:
            return ctypes.get_errno()
        return 0
    return in_child(deed)


def ask_kernel():
    """To let it load a program, which it refuses."""
    LIBC.syscall(BPF[os.uname().machine], 5, 0, 0)


def scan():
    for port in range(1, 31):
        with socket.socket() as tried:
            tried.connect_ex(("127.0.0.1", port))


def guess():
    """A program for each, as a shell would."""
    for number in range(15):
        subprocess.run(["cat", f"/srv/user{number}/.ssh/id_rsa"], stderr=subprocess.DEVNULL, check=False)


def pry():
    """Where not even it may look: containers have no capabilities."""
    os.makedirs("/tmp/private", exist_ok=True)
    os.chmod("/tmp/private", 0)
    for name in ("key", "key", "cert"):
        try:
            os.open(f"/tmp/private/{name}", os.O_RDONLY)
        except PermissionError:
            continue
        return "it was not refused"
    return None


def replace():
    """Asks the watchdog to go and takes its place while it waits for this answer."""
    os.kill(WATCHDOG, 15)
    place = socket.socket(socket.AF_INET6)
    place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    end = time.monotonic() + 10
    while True:
        try:
            place.bind(("::", PORT))
            break
        except OSError:
            if time.monotonic() > end:
                return "the port was never free"
            time.sleep(0.01)
    place.listen()
    return None


def handle(event, context):
    body = event.body.decode() if isinstance(event.body, bytes) else str(event.body)
    said = []
    for word in body.split():
        try:
            said.append(f"{word}: {globals()[word]() or 'done'}")
        except OSError as error:
            said.append(f"{word}: {error}")
    return {"statusCode": 200, "body": "\n".join(said)}
