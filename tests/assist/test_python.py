"""The runtime assist for Python alone: what the board says in threads, executors and event loops."""
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
ASSIST = os.path.join(ROOT, "of-watchdog-patch", "provenance", "assist.py")
BEGINNING = """
import asyncio, concurrent.futures, queue, socket, sys, threading
import faasprov_assist
from faasprov_assist import invocation, thread, NONE

def says():
    return thread.board[0]

def request(n):
    ours, theirs = socket.socketpair()
    theirs.send(b"POST / HTTP/1.1\\r\\nHost: f\\r\\nX-Faasprov-Request: %s\\r\\n\\r\\n" % (b"%02x" % n * 16))
    return ours

def enter(n):
    request(n).recv(1000)
"""


class Assisted(unittest.TestCase):
    def setUp(self):
        self.home = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.home)
        shutil.copy(ASSIST, os.path.join(self.home, "sitecustomize.py"))

    def run_python(self, program, *directories, begin=BEGINNING):
        path = ":".join([self.home, *directories])
        done = subprocess.run([sys.executable, "-c", begin + program], env={**os.environ, "PYTHONPATH": path},
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
        self.assertEqual(("", 0), (done.stderr, done.returncode))
        return done.stdout.split()

    def test_reading_a_request_enters_it_and_reading_else_does_not(self):
        self.assertEqual(["0", "5", "5", "6"], self.run_python("""
print(says())
enter(5)
print(says())
ours, theirs = socket.socketpair()
for text in (b"HTTP/1.1 200 OK\\r\\nX-Faasprov-Request: " + b"07" * 16 + b"\\r\\n\\r\\n",
             b"POST / HTTP/1.1\\r\\n\\r\\nX-Faasprov-Request: " + b"07" * 16 + b"\\r\\n"):
    theirs.send(text)
    ours.recv(1000)
print(says())
request(6).recv_into(bytearray(1000))
print(says())
"""))

    def test_a_board_is_taken_back_when_its_thread_ends(self):
        """What the thread does then must not be read from memory that is already another's."""
        self.assertEqual(["64", "0", "after"], self.run_python("""
import os
def write(descriptor, what):
    if descriptor == faasprov_assist.BOARD_DESCRIPTOR:
        print(len(what), flush=True)
    return real(descriptor, what)
real, faasprov_assist.os.write = os.write, write
other = threading.Thread(target=lambda: thread.says)
other.start()
other.join()
print("after", flush=True)
os._exit(0)
"""))

    def test_an_executor_works_for_who_submitted(self):
        self.assertEqual(["5", "6", "0"], self.run_python("""
with concurrent.futures.ThreadPoolExecutor(1) as executor:
    for n in (5, 6):
        enter(n)
        print(executor.submit(says).result())
    invocation.set(NONE)
    print(executor.submit(says).result())
"""))

    def test_threads_and_timers_work_for_who_started_them(self):
        self.assertEqual(["5", "5"], self.run_python("""
enter(5)
for other in (threading.Thread(target=lambda: print(says())), threading.Timer(0.01, lambda: print(says()))):
    other.start()
    other.join()
"""))

    def test_a_thread_that_is_given_work_says_nothing(self):
        self.assertEqual(["5", "0"], self.run_python("""
given, taken = queue.Queue(), queue.Queue()
def work():
    taken.put(says())
    given.get()
    taken.put(says())
enter(5)
threading.Thread(target=work, daemon=True).start()
print(taken.get())
while not given.not_empty._waiters: pass
enter(6)
given.put(1)
print(taken.get())
"""))

    def test_tasks_keep_theirs_among_others(self):
        self.assertEqual(["5.5.5.0", "6.6.6.0", "7.7.7.0"], self.run_python("""
async def serve(n):
    enter(n)
    await asyncio.sleep(0.001 * n)
    seen = [says(), await asyncio.get_running_loop().run_in_executor(None, says)]
    await asyncio.sleep(0)
    return seen + [says()]
async def main():
    return await asyncio.gather(*(serve(n) for n in (5, 6, 7)))
for seen in asyncio.run(main()):
    print(*seen, says(), sep=".")
"""))

    def test_a_connections_task_works_for_its_last_request(self):
        self.assertEqual(["5.5", "6.6"], self.run_python("""
async def serve(reader, writer):
    for _ in range(2):
        await reader.readuntil(b"\\r\\n\\r\\n")
        seen = [says()]
        await asyncio.sleep(0.001)
        print(*seen, says(), sep=".")
        writer.write(b"answer")
    writer.close()
async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    for n in (5, 6):
        writer.write(b"POST / HTTP/1.1\\r\\nX-Faasprov-Request: %s\\r\\n\\r\\n" % (b"%02x" % n * 16))
        await reader.readexactly(6)
asyncio.run(main())
"""))

    def test_threads_that_take_what_is_there_say_nothing(self):
        """Also when they need not wait for it, by whichever queue."""
        self.assertEqual(["5", "0"] * 3, self.run_python("""
import multiprocessing
pipe = multiprocessing.SimpleQueue()
for given in (queue.Queue(), queue.SimpleQueue(), pipe):
    def work():
        print(says(), flush=True)
        given.get()
        print(says(), flush=True)
    given.put(1)
    enter(5)
    other = threading.Thread(target=work)
    other.start()
    other.join()
"""))

    def test_a_pool_of_processes_works_for_who_submitted(self):
        """Also one that was made in another invocation; between its tasks it says nothing."""
        for pool in ("concurrent.futures.ProcessPoolExecutor(1)",
                     "concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context('spawn'))"):
            self.assertEqual(["5", "6", "[6,", "6]", "0", "6"], self.run_pool(pool, """
enter(5)
print(pool.submit(seen).result())
enter(6)
print(pool.submit(seen).result())
print(list(pool.map(partly, (1, 2))))
invocation.set(NONE)
print(pool.submit(seen).result())
enter(6)
done = threading.Event()
future = pool.submit(seen)
future.add_done_callback(lambda _: (print(says()), done.set()))
done.wait()
"""))

    def test_a_pool_of_multiprocessing_works_for_who_asked(self):
        self.assertEqual(["5", "6", "[6,", "6]", "[6]", "[6]", "[6]", "0"], self.run_pool("multiprocessing.Pool(1)", """
enter(5)
print(pool.apply(seen))
enter(6)
print(pool.apply(seen))
print(pool.map(partly, (1, 2)))
print(list(pool.imap(partly, (1,))))
print(list(pool.imap_unordered(partly, (1,))))
print(pool.starmap(partly, ((1,),)))
invocation.set(NONE)
print(pool.apply(seen))
"""))

    def run_pool(self, pool, program):
        """As a module of its own: a process that is not forked loads it anew."""
        module = BEGINNING + """
import multiprocessing
def seen():
    import faasprov_assist
    return faasprov_assist.thread.board[0]
def partly(_):
    return seen()
def main(program):
    with %s as pool:
        exec(program, {**globals(), "pool": pool})
""" % pool
        directory = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, directory)
        with open(os.path.join(directory, "pooled.py"), "w") as file:
            file.write(module)
        return self.run_python("import pooled\npooled.main(%r)\n" % program, directory, begin="")

    def test_what_was_pickled_for_a_process_without_the_assist_is_the_function_alone(self):
        self.assertEqual(["True"], self.run_python("""
import pickle
enter(5)
pickled = pickle.dumps(faasprov_assist.Work(len))
del sys.modules["faasprov_assist"]
print(pickle.loads(pickled) is len)
"""))

    def test_a_forked_child_says_nothing_on_a_board_of_its_own(self):
        self.assertEqual(["True", "0"], self.run_python("""
import os
enter(5)
before = thread.board
if os.fork() == 0:
    print(thread.board is not before, says(), flush=True)
    os._exit(0)
os.wait()
"""))

    def test_the_functions_own_sitecustomize_runs(self):
        with tempfile.TemporaryDirectory() as other:
            with open(os.path.join(other, "sitecustomize.py"), "w") as file:
                file.write("print('own')")
            self.assertEqual(["own", other], self.run_python(
                "import sitecustomize, os; print(os.path.dirname(sitecustomize.__file__))", other, begin=""))

    def test_nothing_is_loaded_for_our_sake(self):
        plain = subprocess.run([sys.executable, "-c", "import sys; print(len(sys.modules))"], stdout=subprocess.PIPE,
                               text=True, check=True)
        ours = self.run_python("import sys; print(len(sys.modules))", begin="")
        self.assertLessEqual(int(ours[0]), int(plain.stdout) + 25)


if __name__ == "__main__":
    unittest.main()
