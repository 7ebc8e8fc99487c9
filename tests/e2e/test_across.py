"""Which request called which: chains, many at once, retries, calls given up, calls made later, forged names.

Every call carries its place in the tree behind the function's name (/t/0.2.1 is
called by /t/0.2), so the truth stands in the URL that the callee's watchdog
reports.  Nothing that finds callers looks there.
"""
import json
import os
import time
import unittest

from e2e.world import BIN, FUNCTIONS, checked, LabCase, needs_recording

GATEWAY = "http://gateway:8080"


def call(to, at, **plan):
    """The call of a function that is to do what the plan says; `how` is about the call itself."""
    how = plan.pop("how", {})
    return {"to": to, "at": f"t/{at}", "body": plan, **how}


def chain(at, functions, **plan):
    first, *rest = functions
    return call(first, at, calls=[chain(f"{at}.1", rest, **plan)] if rest else [], **plan)


@needs_recording
class Across(LabCase):
    @classmethod
    def stack(cls):
        return os.path.join(FUNCTIONS, "across.yml")

    @classmethod
    def start(cls, first, *options):
        answer = cls.invoke(first["to"], json.dumps(first["body"]), "--path", first["at"], *options)
        if answer["status"] != 200:
            raise AssertionError(f"{first}: {answer}")
        return answer

    @classmethod
    def story(cls):
        # a chain of eight over both nodes and languages, each waiting for the next
        cls.start(chain("chain", ["relay", "relay-py", "relay-two", "relay-py", "relay", "relay-two", "relay-py", "relay"]))
        # fifty at once to the same function, by an event loop and by threads; and two after the other on kept connections
        cls.start(call("relay", "fan", parallel=True, calls=[call("relay-two", f"fan.{n}") for n in range(50)]))
        cls.start(call("relay-py", "threads", parallel=True, calls=[call("relay-two", f"threads.{n}") for n in range(50)]))
        cls.start(call("relay", "kept", parallel=True, calls=[call("relay-two", f"kept.{n}", how={"agent": "kept"})
                                                             for n in range(20)]))
        cls.start(call("relay-py", "kept-py", calls=[call("relay-two", f"kept-py.{n}") for n in range(10)]))
        # tried three times, because it fails
        cls.start(call("relay", "again", calls=[call("relay-two", "again.1", status=503, how={"tries": 3})]))
        # given up: the callee goes on, and calls somebody itself
        cls.start(call("relay", "late", sleep=900, calls=[
            call("relay-two", "late.1", sleep=600, calls=[call("relay-py", "late.1.1")], how={"timeout": 150})]))
        # cut off by the callee's watchdog, while the callee goes on to call somebody else
        cls.start(call("relay", "cut", sleep=900, calls=[
            call("relay-two", "cut.1", calls=[call("relay-py", "cut.1.1", sleep=1500), call("relay-py", "cut.1.2")],
                 how={"headers": {"X-Timeout": "200ms"}})]))
        # made later
        cls.start(call("relay", "later", calls=[
            call("relay-two", "later.1", calls=[call("relay-py", "later.1.1")], how={"async": True}),
            call("relay-py", "later.2", how={"async": True}), call("relay-py", "later.3", how={"async": True})]))
        cls.start(call("relay-py", "called-back", calls=[
            call("relay-two", "called-back.1", how={"async": True, "headers": {
                "X-Callback-Url": f"{GATEWAY}/function/relay-py/t/called-back.1.1"}})]))
        # the function hands on the name it was called by
        copying = {"copy": ["x-call-id"]}
        cls.start(call("relay", "copied", parallel=True, **copying, calls=[
            chain(f"copied.{n}", ["relay-two", "relay-py"], **copying) for n in range(5)]), "--header", "X-Call-Id: copied-name")
        cls.start(call("relay", "all-copied", calls=[chain("all-copied.1", ["relay-two", "relay-py"],
                                                           copy=["x-call-id", "x-forwarded-for", "x-start-time"])],
                       copy=["x-call-id", "x-forwarded-for", "x-start-time"]))
        # from outside under a name that another request bears: after it, and while it and what it calls are at work
        cls.start(call("relay", "same-1", calls=[call("relay-two", "same-1.1")]), "--header", "X-Call-Id: the-same")
        cls.start(call("relay", "same-2", calls=[call("relay-two", "same-2.1")]), "--header", "X-Call-Id: the-same")
        bodies = [json.dumps({"calls": [call("relay-two", f"forged.{n}", sleep=300)], "sleep": 300, "name": n, **copying})
                  for n in range(8)]
        out = cls.lab("invoke", "relay", "--data", "-", "--lines", "--json", "--concurrency", "8", "--path", "t/forged",
                      "--header", "X-Call-Id: forged", stdin="\n".join(bodies))
        cls.forged = {answer["request"]: json.loads(answer["body"])["name"] for answer in map(json.loads, out.splitlines())}
        cls.wait_for("/t/called-back.1.1", "/t/late.1.1", "/t/cut.1.2", "/t/later.1.1", "/t/later.2", "/t/later.3")

    @classmethod
    def wait_for(cls, *urls):
        """Until these requests, which nobody waited for, are in the store and over."""
        patience = time.monotonic() + 60
        while missing := set(urls) - {r["url"] for r in cls.seen() if r["last"]}:
            if time.monotonic() > patience:
                raise AssertionError(f"never came: {sorted(missing)}")

    @classmethod
    def seen(cls):
        cls.lab("sync")
        checked(os.path.join(BIN, "faasprov-stitcher"), "--quiet", "--store", cls.store)
        return cls.ask("requests")["requests"]

    def setUp(self):
        self.by_id = {request["id"]: request for request in self.requests}

    def urls(self, prefix):
        return [r for r in self.requests if r["url"] == f"/t/{prefix}" or r["url"].startswith(f"/t/{prefix}.")]

    def check(self, prefix, number):
        """All of a tree are there and each has the caller that its place names."""
        found = self.urls(prefix)
        self.assertEqual(number, len(found), sorted(r["url"] for r in found))
        wrong = []
        for request in found:
            place = request["url"].rpartition(".")[0] if "." in request["url"] else None
            parent = self.by_id[request["parent"]]["url"] if request["parent"] else None
            if place != parent:
                wrong.append((request["url"], parent, request["join"]))
        self.assertEqual([], wrong)
        return found

    def test_a_chain_of_eight(self):
        self.check("chain", 8)

    def test_fifty_at_once(self):
        self.check("fan", 51)

    def test_fifty_threads(self):
        self.check("threads", 51)

    def test_kept_connections(self):
        self.check("kept", 21)
        self.check("kept-py", 11)

    def test_each_try_is_a_call(self):
        found = self.check("again", 4)
        self.assertEqual([200, 503, 503, 503], sorted(r["status"] for r in found))

    def test_who_gave_up_is_still_the_caller(self):
        found = self.check("late", 3)
        late = next(r for r in found if r["url"] == "/t/late.1")
        self.assertEqual([200], [r["status"] for r in found if r["url"] == "/t/late"])
        trace = self.ask("trace", late["id"], "--both")
        self.assert_edge(trace, ("process", ".*"), "calls", ("request", "relay-two POST /t/late.1"), request=late["parent"])
        # what it answered nobody read
        self.assertEqual([], self.edges(trace, ("request", ".*/t/late.1"), "returns", ("process", ".*")))
        self.assertTrue(self.edges(trace, ("request", ".*/t/late.1.1"), "returns", ("process", ".*")))

    def test_who_was_cut_off_is_still_the_caller(self):
        found = self.check("cut", 4)
        self.assertEqual({"/t/cut": 200, "/t/cut.1": 504, "/t/cut.1.1": 200, "/t/cut.1.2": 200}, {r["url"]: r["status"] for r in found})
        cut = next(r for r in found if r["url"] == "/t/cut.1")
        self.assertLess(cut["last"], next(r for r in found if r["url"] == "/t/cut.1.2")["first"])

    def test_calls_made_later(self):
        self.check("later", 5)

    def test_a_callback(self):
        found = self.check("called-back", 3)
        self.assertEqual([None, "call-id", "callback"], [r["join"] for r in sorted(found, key=lambda r: r["url"])])
        trace = self.ask("trace", found[0]["id"], "--forward")
        self.assert_edge(trace, ("request", ".*/t/called-back.1"), "calls", ("request", ".*/t/called-back.1.1"),
                         attribution="derived")

    def test_names_handed_on(self):
        self.check("copied", 11)

    def test_addresses_handed_on(self):
        self.check("all-copied", 3)

    def test_a_name_borne_twice_merges_nothing(self):
        self.check("same-1", 2)
        self.check("same-2", 2)

    def test_a_name_borne_by_many_at_once_merges_nothing(self):
        """Each handed it on to the same function, so by the name alone any could have called each."""
        asked = {r["id"]: r["parent"] for r in self.requests if r["url"] == "/t/forged"}
        self.assertEqual(dict.fromkeys(self.forged), asked)
        called = {r["url"]: r["parent"] for r in self.requests if r["url"].startswith("/t/forged.")}
        self.assertEqual({f"/t/forged.{name}": request for request, name in self.forged.items()}, called)
        self.assertEqual({"forged"}, {r["call_id"] for r in self.requests if r["url"].startswith("/t/forged")})

    # --- the same recordings, as if the second node were a machine with another clock ---

    @classmethod
    def up_options(cls):
        return ["--record", cls.scratch]

    def with_clock(self, behind_ms):
        """What the store says of requests, and of one that crossed."""
        store = os.path.join(self.scratch, f"clock{behind_ms}.db")
        for node, options in ((1, []), (2, ["--clock-behind", str(behind_ms)])):
            checked(os.path.join(BIN, "faasprov-agent"), "replay", "--store", store, *options,
                    os.path.join(self.scratch, f"node{node}.recording"))
        checked(os.path.join(BIN, "faasprov-stitcher"), "--quiet", "--store", store)
        requests = json.loads(checked(os.path.join(BIN, "faasprov"), "requests", "--format", "json", "--store", store))
        export = json.loads(checked(os.path.join(BIN, "faasprov"), "export", "--format", "json", "--store", store))
        return requests["requests"], export

    def check_clock(self, behind_ms):
        requests, export = self.with_clock(behind_ms)
        callers = {r["id"]: (r["parent"], r["join"]) for r in self.requests}
        self.assertEqual(callers, {r["id"]: (r["parent"], r["join"]) for r in requests})
        nodes = {node["id"]: node for node in export["nodes"]}
        crossed = [node for node in nodes.values() if "clock_behind_ns" in node.get("attributes", {})]
        self.assertTrue(crossed)
        for node in crossed:
            least, most = node["attributes"]["clock_behind_ns"]
            truth = (behind_ms if node["host"] == "node2" else -behind_ms) * 1000000
            self.assertLessEqual(least, truth)
            self.assertGreaterEqual(most, truth)
            self.assertLess(most - least, 100000000)
        # nobody is called before the call, however the clocks go
        for edge in export["edges"]:
            if edge["kind"] == "calls" and nodes[edge["to"]]["kind"] == "request" and nodes[edge["from"]]["kind"] == "process":
                self.assertLessEqual(edge["first"], nodes[edge["to"]]["first"])

    def test_a_clock_that_lags(self):
        self.check_clock(700)

    def test_a_clock_that_is_ahead(self):
        self.check_clock(-700)


@needs_recording
class TellingTheCaller(LabCase):
    """The agents add the caller's address to calls: it stays known when a queue makes them."""

    @classmethod
    def stack(cls):
        return os.path.join(FUNCTIONS, "across.yml")

    @classmethod
    def up_options(cls):
        return ["--header", "on"]

    @classmethod
    def story(cls):
        for function in ("relay", "relay-py"):
            cls.invoke(function, json.dumps({"sleep": 300, "calls": [
                call("relay-two", f"{function}.{n}", how={"async": True, "headers": {"X-Call-Id": "of-all"}}) for n in range(4)]
                + [call("relay-two", f"{function}.4")]}), "--path", f"t/{function}")

    def test_each_has_its_caller(self):
        by_id = {request["id"]: request for request in self.requests}
        called = [r for r in self.requests if "." in r["url"]]
        self.assertEqual(10, len(called))
        for request in called:
            self.assertEqual("forwarded-address", request["join"])
            self.assertEqual(by_id[request["parent"]]["url"], request["url"].partition(".")[0])


if __name__ == "__main__":
    unittest.main()
