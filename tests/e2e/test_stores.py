"""What one request stored and another one got joins them, whatever protocol it went by, across functions and nodes; nothing else does."""
import json
import os
import unittest

from e2e.world import FUNCTIONS, LabCase, needs_recording

# store: who puts, who gets, what the object is called
STORES = {
    "http": ("writer", "reader-js", r"http://store\.example/keep/{}"),
    "https": ("writer", "reader-js", r"https://store\.example/keep/{}"),  # a shared OpenSSL, and the one within node
    "https-back": ("writer-js", "reader", r"https://store\.example/keep/{}"),
    "fetch": ("writer-js", "reader-js", r"http://198\.18\.0\.30/keep/{}"),
    "redis": ("writer", "reader", r"redis:198\.18\.0\.30:6379/0/{}"),
    "mysql": ("writer", "reader", r"sql:shop\.kept"),
    "postgres": ("writer", "reader", r"sql:depot\.kept"),
}
# names that are told to a server, and come back to nobody
TOLD = {"mail": ("put", r"mail:{}@y\.example"), "names": ("get", r"dns:{}\.y\.example")}
NAMES = ("pear", "plum", "quince", "medlar")


@needs_recording
class Stores(LabCase):
    @classmethod
    def stack(cls):
        return os.path.join(FUNCTIONS, "stores.yml")

    @classmethod
    def send(cls, function, orders):
        """All at once; the request of each name."""
        out = cls.lab("invoke", function, "--data", "-", "--lines", "--json", "--concurrency", "8",
                      "--header", "Content-Type: application/json",
                      stdin="\n".join(json.dumps(dict(zip(("store", "put", "name"), order))) for order in orders))
        answers = [json.loads(line) for line in out.splitlines()]
        if sorted(answer["body"] for answer in answers) != sorted(order[2] for order in orders):
            raise AssertionError(answers)
        return {answer["body"]: answer["request"] for answer in answers}

    @classmethod
    def story(cls):
        for function in ("writer", "reader"):
            cls.send(function, [("probed", False, "x")])
        # who gets before anybody put, who puts, who gets then
        cls.early, cls.put, cls.got = ({}, {}, {})
        for kept, who, put in ((cls.early, 1, False), (cls.put, 0, True), (cls.got, 1, False)):
            for function in sorted({ways[who] for ways in STORES.values()}):
                kept.update(cls.send(function, [(store.partition("-")[0], put, f"{store}-{name}")
                                                for store, ways in STORES.items() if ways[who] == function for name in NAMES]))
        cls.told = cls.send("writer", [(store, False, f"{store}-{name}") for store in TOLD for name in NAMES])

    def each(self):
        return [(f"{store}-{name}", label.format(f"{store}-{name}")) for store, (_, _, label) in STORES.items() for name in NAMES]

    def test_what_was_got_leads_to_who_put_it_and_to_nobody_else(self):
        for name, label in self.each():
            with self.subTest(name):
                put, got = self.put[name], self.got[name]
                trace = self.ask("trace", got, "--backward")
                self.assert_complete(trace)
                self.assert_edge(trace, ("process", ".*"), "put", ("object", label), request=put)
                self.assert_edge(trace, ("object", label), "get", ("process", ".*"), request=got)
                self.assert_reaches(trace, put, got)
                self.assert_free_of(trace, self.strangers(put, got))

    def test_what_was_put_leads_to_who_got_it_later_and_to_nobody_else(self):
        for name, label in self.each():
            with self.subTest(name):
                put, got = self.put[name], self.got[name]
                trace = self.ask("trace", put, "--forward")
                self.assert_edge(trace, ("object", label), "get", ("process", ".*"), request=got)
                self.assert_reaches(trace, put, got)
                self.assert_free_of(trace, self.strangers(put, got))

    def test_who_asked_before_it_was_there_depends_on_nobody(self):
        for name, label in self.each():
            with self.subTest(name):
                early = self.early[name]
                trace = self.ask("trace", early, "--backward")
                self.assert_edge(trace, ("object", label), "get", ("process", ".*"), request=early)
                self.assert_free_of(trace, self.strangers(early))

    def test_what_was_told_is_of_who_told_it(self):
        for name, request in self.told.items():
            with self.subTest(name):
                kind, label = TOLD[name.partition("-")[0]]
                trace = self.ask("trace", request, "--both")
                process, told = ("process", ".*"), ("object", label.format(name))
                self.assert_edge(trace, *((process, kind, told) if kind == "put" else (told, kind, process)), request=request)
                self.assert_free_of(trace, self.strangers(request))


if __name__ == "__main__":
    unittest.main()
