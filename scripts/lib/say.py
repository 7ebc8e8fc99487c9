"""Errors, running commands and waiting: the small things every script needs.

A Fail is one line for the user and an exit code (see the conventions of all
programs: 1 nothing found, 2 usage, 3 bad input, 4 system failure).
"""
import ctypes
import os
import signal
import subprocess
import sys
import time

REPO = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.path.join(REPO, "build", "bin")

# Root's PATH on Debian lacks the sbin directories in many shells.
for _dir in ("/usr/local/sbin", "/usr/sbin", "/sbin"):
    if _dir not in os.environ.get("PATH", "").split(":"):
        os.environ["PATH"] = os.environ.get("PATH", "/usr/bin:/bin") + ":" + _dir


class Fail(Exception):
    """Ends a script with this line on standard error and this exit code."""

    def __init__(self, message, code=4, log=None):
        super().__init__(message)
        self.code = code
        self.log = log


class Usage(Fail):
    def __init__(self, message):
        super().__init__(message, 2)


class BadInput(Fail):
    def __init__(self, message):
        super().__init__(message, 3)


def step(message):
    """Says on standard error what goes on; standard output is for data."""
    print(message, file=sys.stderr, flush=True)


def finish(name, main):
    """Runs a script's main function and exits the way all programs here do."""
    try:
        sys.exit(main() or 0)
    except Fail as error:
        print(f"{name}: {error}", file=sys.stderr)
        if error.log:
            sys.stderr.write(tail(error.log))
        sys.exit(error.code)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(4)
    except OSError as error:
        if not error.filename:
            raise
        print(f"{name}: {error.filename}: {error.strerror}", file=sys.stderr)
        sys.exit(4)
    except KeyboardInterrupt:
        print(f"{name}: interrupted", file=sys.stderr)
        sys.exit(130)


_libc = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1


def die_with_parent():
    """Between fork and exec: a helper does not go on when its script was killed."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def run(*argv, stdin=None, check=True, **options):
    """Runs a command and returns what it wrote to standard output."""
    done = subprocess.run([str(a) for a in argv], input=stdin, text=True,
                          stdin=subprocess.DEVNULL if stdin is None else None,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=die_with_parent, **options)
    if check and done.returncode != 0:
        lines = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        raise Fail(f"{' '.join(str(a) for a in argv[:4])}: {lines[-1]}")
    return done.stdout or ""


def require_root(why):
    if os.geteuid() != 0:
        raise Fail(f"{why} needs root")


def tail(path, lines=25):
    """The end of a log, indented, for showing below an error."""
    try:
        with open(path, errors="replace") as log:
            last = log.readlines()[-lines:]
    except OSError:
        return ""
    return "".join(f"    {os.path.basename(path)}: {line.rstrip()}\n" for line in last)


def wait_for(what, condition, seconds=90, log=None, alive=None):
    """Waits until condition() is true.

    Gives up after the time limit, or at once when alive() says that the
    process which should make it true is gone.
    """
    deadline = time.monotonic() + seconds
    pause = 0.01
    while not condition():
        if alive is not None and not alive():
            raise Fail(f"{what}: it ended before it was ready", log=log)
        if time.monotonic() > deadline:
            raise Fail(f"{what}: not ready after {seconds} s", log=log)
        time.sleep(pause)
        pause = min(pause * 1.5, 0.2)


def mounts():
    """Mount points, as this process sees them, in the order in which they were made."""
    with open("/proc/self/mountinfo") as table:
        return [line.split()[4].encode().decode("unicode_escape") for line in table]
