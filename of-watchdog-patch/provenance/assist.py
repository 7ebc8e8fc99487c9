"""The runtime assist for Python: keeps, in memory that it has shown to the recorder
once, which invocation each thread works for.

fwatchdog puts it on PYTHONPATH as sitecustomize; nothing of the function is changed.
The memory is the board of lib/schema/mark.def, one for each thread.  A thread, or
an event loop's handle, enters an invocation by reading its request; from there the
context goes with tasks and callbacks of asyncio, with what is submitted to an
executor, and into threads that are started.  Where it is not known, the board
says nothing, and the kernel's own rules apply.
"""
import os
import re
import sys
from contextvars import ContextVar
from _thread import _local

BOARD_DESCRIPTOR = 0x46505256
NONE = bytes(16)
REQUEST = re.compile(
    rb"\A[A-Z]+ [^\r\n]* HTTP/1\.[01]\r\n(?:[^\r\n]+\r\n)*?x-faasprov-request: *([0-9a-f]{32})\r\n", re.IGNORECASE)

invocation = ContextVar("faasprov_invocation", default=NONE)


class Board(bytearray):
    """Shown to the recorder, and taken back before its memory is somebody else's: a thread does more when it has ended."""

    def show(self, what=None):
        try:
            os.write(BOARD_DESCRIPTOR, self if what is None else what)
        except OSError:
            pass  # as it must: there is no such descriptor

    def __del__(self):
        if os is not None:  # it is when the interpreter ends
            self.show(b"")


class Thread(_local):
    def __init__(self):
        self.inherited = False  # its context is that of who started it
        self.handling = False  # it runs a handle of an event loop
        self.fresh = None  # the invocation whose request that handle has read
        self.show()

    def show(self):
        self.says = NONE
        self.board = Board(64)
        self.board.show()

    def work(self, id):
        if id != self.says:
            self.says = id
            self.board[:16] = id


thread = Thread()


def forked():
    """Whose a child is, the fork tells; the one thing it may be there for is work that comes later, of others."""
    thread.show()
    invocation.set(NONE)


class Work:
    """What is to be called for an invocation: in another thread, or pickled, in another process."""

    __slots__ = ("function", "id")

    def __init__(self, function):
        self.function = function
        self.id = invocation.get()

    def __reduce__(self):
        return again, (self.function, self.id)

    def __call__(self, *args, **options):
        outer, inherited = invocation.get(), thread.inherited
        thread.inherited = False
        invocation.set(self.id)
        thread.work(self.id)
        try:
            return self.function(*args, **options)
        finally:
            thread.inherited = inherited
            invocation.set(outer)
            thread.work(outer)


class Again:
    """Makes Work of what was pickled; where the assist is not loaded, the function alone."""

    def __call__(self, function, id):
        work = Work(function)
        work.id = id
        return work

    def __reduce__(self):
        return eval, ("getattr(__import__('sys').modules.get('faasprov_assist'), 'again', lambda function, id: function)",)


again = Again()


def given():
    """Something came that can be work of whomever: a thread that was started in an invocation says nothing from here."""
    if thread.inherited:
        thread.inherited = False
        invocation.set(NONE)
        thread.work(NONE)


def read(data):
    """Something was read: the beginning of a request says whose this is from now on."""
    found = REQUEST.match(data)
    if found:
        id = bytes.fromhex(found[1].decode())
        thread.inherited = False
        invocation.set(id)
        thread.work(id)
        if thread.handling:
            thread.fresh = id


# --- what is changed in the library, when it is imported -----------------------------

def of_socket(module):
    class_ = module.socket
    recv, recv_into = class_.recv, class_.recv_into

    def assisted_recv(self, *args):
        data = recv(self, *args)
        if b"aasprov-" in data:
            read(data)
        return data

    def assisted_recv_into(self, buffer, *args):
        n = recv_into(self, buffer, *args)
        if n > 50:  # what a request with the header has at least
            data = bytes(memoryview(buffer).cast("B")[:n])
            if b"aasprov-" in data:
                read(data)
        return n

    class_.recv, class_.recv_into = assisted_recv, assisted_recv_into


def of_threading(module):
    class_ = module.Thread
    start, bootstrap, wait = class_.start, class_._bootstrap_inner, module.Condition.wait

    def assisted_start(self):
        self._faasprov = invocation.get()
        inherited, thread.inherited = thread.inherited, False  # it waits for the new thread, which says nothing
        try:
            start(self)
        finally:
            thread.inherited = inherited

    def assisted_bootstrap(self):
        id = getattr(self, "_faasprov", NONE)
        if id is not NONE:
            invocation.set(id)
            thread.inherited = True
        thread.work(id)
        bootstrap(self)

    def assisted_wait(self, timeout=None):
        woken = wait(self, timeout)
        if woken:  # by whom, and for whom, is not known: a pool's thread outlives who started it
            given()
        return woken

    class_.start, class_._bootstrap_inner, module.Condition.wait = assisted_start, assisted_bootstrap, assisted_wait


def of_executor(module):
    class_ = module._WorkItem
    init, run = class_.__init__, class_.run

    def assisted_init(self, *args, **options):
        self._faasprov = invocation.get()
        init(self, *args, **options)

    def assisted_run(self, *args):
        id = self._faasprov
        thread.inherited = False
        invocation.set(id)
        thread.work(id)
        try:
            return run(self, *args)
        finally:
            invocation.set(NONE)
            thread.work(NONE)

    class_.__init__, class_.run = assisted_init, assisted_run


def then_given(method):
    def assisted(self, *args, **options):
        got = method(self, *args, **options)
        given()
        return got
    return assisted


def of_queue(module):
    simple = module.SimpleQueue
    module.Queue.get = then_given(module.Queue.get)  # its own others go by way of it
    if isinstance(simple, type) and simple.__module__ == "_queue":  # what is written in C is not changed but stood in for
        module.SimpleQueue = type("SimpleQueue", (simple,), {
            "__slots__": (), "__module__": simple.__module__, "__doc__": simple.__doc__,
            "get": then_given(simple.get), "get_nowait": then_given(simple.get_nowait)})


def of_future(module):
    class_ = module.Future
    add = class_.add_done_callback

    def assisted_add(self, fn):  # it is called by whoever brings the result
        add(self, Work(fn))

    class_.add_done_callback = assisted_add


def first_argument(class_, name):
    """The first argument of the method is called for who calls the method."""
    method = getattr(class_, name)

    def assisted(self, function, *args, **options):
        return method(self, Work(function) if callable(function) else function, *args, **options)

    setattr(class_, name, assisted)


def of_process_executor(module):
    first_argument(module.ProcessPoolExecutor, "submit")


def of_pool(module):
    for name in ("apply_async", "_map_async", "imap", "imap_unordered"):
        first_argument(module.Pool, name)


def of_connection(module):
    class_, wait = module._ConnectionBase, module.wait

    def assisted_wait(object_list, timeout=None):
        ready = wait(object_list, timeout)
        if ready:
            given()
        return ready

    for name in ("recv", "recv_bytes", "recv_bytes_into"):
        setattr(class_, name, then_given(getattr(class_, name)))
    module.wait = assisted_wait


def of_asyncio(module):
    class_ = module.Handle
    init, run = class_.__init__, class_._run

    def assisted_init(self, *args, **options):
        init(self, *args, **options)
        if thread.fresh is not None:  # the task that waits for the connection's requests is woken
            try:
                self._context.run(invocation.set, thread.fresh)
            except RuntimeError:
                pass  # the context that runs now: it has it already

    def assisted_run(self):
        thread.work(self._context.get(invocation, NONE))
        outer, thread.handling = thread.handling, True
        try:
            run(self)
        finally:
            thread.handling, thread.fresh = outer, None
            thread.work(invocation.get())

    class_.__init__, class_._run = assisted_init, assisted_run


CHANGES = {"socket": of_socket, "threading": of_threading, "queue": of_queue, "concurrent.futures._base": of_future,
           "concurrent.futures.thread": of_executor, "concurrent.futures.process": of_process_executor,
           "multiprocessing.pool": of_pool, "multiprocessing.connection": of_connection, "asyncio.events": of_asyncio}


class Finder:
    """Changes a module as soon as it has been loaded, so that nothing is loaded for our sake."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        change = CHANGES.get(name)
        if change is None:
            return None
        for finder in sys.meta_path:
            spec = None if finder is Finder else finder.find_spec(name, path, target)
            if spec is not None:
                break
        else:
            return None
        execute = spec.loader.exec_module

        def assisted(module):
            execute(module)
            change(module)

        try:
            spec.loader.exec_module = assisted
        except AttributeError:
            pass  # a loader of the interpreter's own: this module is left as it is
        return spec


def install():
    os.register_at_fork(after_in_child=forked)
    for name, change in CHANGES.items():
        if name in sys.modules:
            change(sys.modules[name])
    sys.meta_path.insert(0, Finder)


def make_way():
    """The function's own sitecustomize, if there is one, comes as if this had not been there."""
    home = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [path for path in sys.path if os.path.abspath(path or ".") != home]
    sys.path_importer_cache.pop(home, None)
    sys.modules["faasprov_assist"] = sys.modules.pop(__name__)
    try:
        import sitecustomize  # noqa: F401
    except ImportError as error:
        if error.name != __name__:
            raise
        sys.modules[__name__] = sys.modules["faasprov_assist"]


if __name__ == "sitecustomize":
    install()
    make_way()
