"""The warm-container attack on Hello, Retail!, and variations of it that the demo does not show."""
import json
import os
import subprocess
import tempfile
import unittest

from e2e.world import BIN, ROOT, SHOP, LabCase, checked, needs_recording, rewritten_shop, truth

ATTACK = os.path.join(SHOP, "attacks", "warm-container")
VICTIM = "product-purchase-authorize-cc"
USERS = ("alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi")
CARD = "4012888888881881"


class Shop:
    """What is checked of every variation; the classes below say how they vary."""
    entry = "product-purchase"
    options = ()  # of the attack
    replica = None
    path = "/home/app/sqldump.sh"
    before, between = 6, 3

    @classmethod
    def stack(cls):
        return os.path.join(SHOP, "stack.yml")

    @classmethod
    def buy(cls, number):
        body = {"id": str(1001 + number % 5), "user": USERS[number % len(USERS)]}
        if number % 3 == 0:
            body["creditCard"] = CARD
        return cls.invoke("product-purchase", json.dumps(body))

    @classmethod
    def attack(cls, part, *options):
        replica = ("--replica", str(cls.replica)) if cls.replica else ()
        return json.loads(checked(ATTACK, part, "--entry", cls.entry, *replica, *cls.options, *options,
                                  env={"FAASPROV_LAB": cls.home}))

    @classmethod
    def story(cls):
        cls.benign = [cls.buy(number) for number in range(cls.before)]
        cls.plant = cls.attack("plant")
        cls.benign += [cls.buy(number) for number in range(cls.before, cls.before + cls.between)]
        cls.execute = cls.attack("execute")
        if "INSERT INTO" not in cls.execute["body"]:
            raise AssertionError(f"the attack did not work: {cls.execute['body'][:300]}")

    @property
    def roots(self):
        return {"plant": self.plant["request"], "execute": self.execute["request"]}

    @property
    def answer(self):
        return self.ask("trace", self.execute["request"], "--both")

    def test_it_shows_every_step_and_no_other_request(self):
        known = json.loads(subprocess.run([ATTACK, "truth", "--entry", self.entry, *self.options], text=True,
                                          stdout=subprocess.PIPE, check=True).stdout)
        self.assertEqual([], truth.check(known, self.answer, self.roots, self.entry))

    def test_nothing_of_the_benign_purchases_is_named(self):
        strangers = self.strangers(*self.roots.values())
        self.assertGreaterEqual(len(strangers), 4 * (self.before + self.between))
        self.assert_free_of(self.answer, strangers | {answer["call_id"] for answer in self.benign})

    def test_nothing_was_lost(self):
        self.assert_complete(self.answer)
        self.assertEqual([0], sorted({request["lost"] for request in self.requests}))

    def test_it_is_sound_and_small(self):
        self.assert_sound(self.answer)
        self.assertLessEqual(len(self.answer["nodes"]), 60)

    def test_every_purchase_is_joined_through_all_its_functions(self):
        for answer in self.benign:
            functions = {request["function"] for request in self.requests if request["id"] in self.family(answer["request"])}
            self.assertEqual({"product-purchase", "product-purchase-get-price", VICTIM, "product-purchase-publish"}, functions)

    def test_no_purchase_is_blamed(self):
        for answer in (self.benign[0], self.benign[-1]):
            trace = self.ask("trace", answer["request"], "--both")
            self.assert_free_of(trace, self.family(*self.roots.values()) | {self.path})

    def test_what_the_first_request_led_to(self):
        trace = self.ask("trace", self.plant["request"], "--forward")
        self.assert_edge(trace, ("process", ".*"), "write", ("file", self.path))
        self.assert_reaches(trace, self.execute["request"])
        self.assert_free_of(trace, self.strangers(*self.roots.values()))

    def test_the_file_leads_to_both_requests(self):
        trace = self.ask("slice", f"file:{self.path}", "--both")
        self.assert_reaches(trace, *self.roots.values())

    def test_the_table_leads_to_the_thief(self):
        trace = self.ask("slice", "object:sql:creditCards", "--forward")
        self.assert_reaches(trace, self.execute["request"])

    def test_no_secret_reaches_the_store(self):
        text = checked(os.path.join(BIN, "faasprov"), "export", "--format", "json", "--store", self.store)
        self.assertIn("check-card.sh ***", text)  # where the number stood
        for secret in (CARD, "4111111111111111", "shop-lab-only"):
            self.assertNotIn(secret, text)


@needs_recording
class AsTheDemo(Shop, LabCase):
    before, between = 20, 5

    def test_an_unknown_request_is_said_to_be_unknown(self):
        done = subprocess.run([os.path.join(BIN, "faasprov"), "trace", "0" * 32, "--store", self.store], text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        self.assertEqual((1, ""), (done.returncode, done.stdout))
        self.assertEqual(1, len(done.stderr.splitlines()), done.stderr)
        self.assertIn("0" * 32, done.stderr)

    def test_names_that_callers_gave_lead_there_too(self):
        by_name = self.ask("trace", self.execute["call_id"], "--both")
        self.assertEqual(self.answer["query"]["requests"], by_name["query"]["requests"])

    def test_twice_asked_is_twice_the_same(self):
        self.assertEqual(self.answer, self.answer)


@needs_recording
class UnderOtherNames(Shop, LabCase):
    """Another file, elsewhere, from another place; and the victim called directly."""
    entry = VICTIM
    path = "/tmp/.font-cache-7"
    options = ("--script", ".font-cache-7", "--directory", "/tmp", "--url", "http://198.18.7.77")

    @classmethod
    def stack(cls):
        def change(document, home):
            www = os.path.join(home, "attacks", "www")
            os.rename(os.path.join(www, "sqldump.sh"), os.path.join(www, ".font-cache-7"))
            document["x-services"]["web"]["attacker"]["address"] = "198.18.7.77"

        return rewritten_shop(cls.scratch, change)


@needs_recording
class AmongOthers(Shop, LabCase):
    """Six purchases are in flight at any time, also in the victim, while both requests of the attack run."""
    purchases = 300

    @classmethod
    def story(cls):
        with tempfile.TemporaryFile("w+") as data:
            data.write("\n".join(json.dumps({"id": str(1001 + n % 5), "user": USERS[n % len(USERS)]})
                                 for n in range(cls.purchases)))
            data.seek(0)
            with subprocess.Popen([os.path.join(ROOT, "scripts", "lab"), "invoke", "product-purchase", "--data", "-", "--lines",
                                   "--json", "--concurrency", "6"], stdin=data, stdout=subprocess.PIPE, text=True,
                                  env={**os.environ, "FAASPROV_LAB": cls.home}) as load:
                cls.benign = [json.loads(load.stdout.readline()) for _ in range(10)]
                cls.plant = cls.attack("plant")
                cls.execute = cls.attack("execute")
                cls.benign += [json.loads(line) for line in load.stdout]
        cls.before, cls.between = cls.purchases, 0

    def test_nothing_of_the_benign_purchases_is_named(self):
        """But as one of several that could have done what the answer itself calls ambiguous."""
        trace = self.answer
        for edge in trace["edges"]:
            if edge["attribution"] == "ambiguous":
                edge["candidates"] = None
        shown = {"nodes": trace["nodes"], "edges": trace["edges"]}
        self.assert_free_of(shown, self.strangers(*self.roots.values()))

    def test_they_were_in_flight_together(self):
        def times(request):
            return next((r["first"], r["last"]) for r in self.requests if r["id"] == request)

        others = [times(answer["request"]) for answer in self.benign]
        for request in self.roots.values():
            first, last = times(request)
            if not any(begin < last and end > first for begin, end in others):
                # a premise of this class that a machine under other load can fail to give; all else holds without it
                self.skipTest("the purchases were over before the attack came")


@needs_recording
class ManyAtOnce(LabCase):
    """Six purchases are in flight at any time, in every function: what cannot be told apart is said to be so."""
    purchases = 120

    @classmethod
    def stack(cls):
        return os.path.join(SHOP, "stack.yml")

    @classmethod
    def story(cls):
        bodies = [json.dumps({"id": str(1001 + n % 5), "user": USERS[n % len(USERS)]}) for n in range(cls.purchases)]
        out = cls.lab("invoke", "product-purchase", "--data", "-", "--lines", "--json", "--concurrency", "6",
                      stdin="\n".join(bodies))
        cls.answers = [json.loads(line) for line in out.splitlines()]

    def test_they_were_in_flight_together(self):
        begins = sorted(request["first"] for request in self.requests if request["parent"] is None)
        ends = sorted(request["last"] for request in self.requests if request["parent"] is None)
        self.assertTrue(any(begin < end for begin, end in zip(begins[5:], ends)))

    def test_nothing_was_lost(self):
        self.assertEqual([0], sorted({request["lost"] for request in self.requests}))
        self.assertEqual(4 * self.purchases, len(self.requests))

    def test_no_call_is_joined_with_a_wrong_purchase(self):
        """Each purchase calls each function once: one that seems to have called twice has another's call."""
        for answer in self.answers:
            functions = [request["function"] for request in self.requests if request["id"] in self.family(answer["request"])]
            self.assertEqual(sorted(set(functions)), sorted(functions))

    def test_what_is_ambiguous_names_several(self):
        trace = self.ask("trace", self.answers[60]["request"], "--both")
        self.assert_sound(trace)
        for edge in trace["edges"]:
            if edge["attribution"] == "ambiguous":
                self.assertGreater(len(edge["candidates"]), 1)


@needs_recording
class OneOfThreeContainers(Shop, LabCase):
    """Three warm containers of the victim; only one has the script."""
    entry = VICTIM
    replica = 2

    @classmethod
    def stack(cls):
        def change(document, _):
            document["functions"][VICTIM].setdefault("labels", {})["faasprov.replicas"] = 3

        return rewritten_shop(cls.scratch, change)

    @classmethod
    def story(cls):
        super().story()
        cls.missed = json.loads(checked(ATTACK, "execute", "--entry", cls.entry, "--replica", "3",
                                        env={"FAASPROV_LAB": cls.home}))

    def strangers(self, *roots):
        return super().strangers(*roots, self.missed["request"]) if self.missed["request"] not in roots \
            else super().strangers(*roots)

    def test_the_same_command_in_another_container_has_no_such_cause(self):
        self.assertNotIn("INSERT INTO", self.missed["body"])
        trace = self.ask("trace", self.missed["request"], "--both")
        self.assert_complete(trace)
        self.assert_free_of(trace, self.family(*self.roots.values()))
        self.assertEqual([], [edge for edge in trace["edges"] if edge["kind"] == "load" and self.path in json.dumps(edge)])

    def test_the_answer_names_no_other_container(self):
        instances = {node["instance"] for node in self.answer["nodes"] if node["function"] == VICTIM}
        self.assertEqual(1, len(instances), instances)

    def test_that_missed_request_is_not_in_the_answer(self):
        self.assert_free_of(self.answer, self.family(self.missed["request"]))


if __name__ == "__main__":
    unittest.main()
