"""From slices to the report, with slices whose right answer is known; and the plan of a run."""
import collections
import http.server
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import types
import unittest
from unittest import mock

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from measure import overhead_report, overhead_result, plot, rivals, stats, workloads  # noqa: E402
from measure.variants import LOAD  # noqa: E402
from lib.say import BadInput  # noqa: E402

OPTIONS = types.SimpleNamespace(function=None, body=None, workloads=list(workloads.WORKLOADS), concurrency=[1, 5], others=[5],
                                rates=[50.0])
CPU = {"functions": 5000, "agent": 100, "aggregator": 50, "rival": 0, "gateway and database": 10, "machine": 0, "stolen": 0}


def one_slice(row, block, load, latency_ms, count=20):
    return {"row": row, "block": block, "containers": block // 2, "load": load["name"], "foreign_recorders": 0, "seconds": 1.0,
            "warmed": 0, "failed": 0, "dropped": 0, "inflight": 1, "wall": 1.1, "stolen": 0.0, "attempts": 1,
            "latency_us": [latency_ms * 1000] * count, "cpu_us": CPU}


def group(workload, lost=0):
    memory = {who: {"rss_kib": 1024, "peak_kib": 2048, "maps_kib": 0} for who in ("agent-node1", "aggregator")}
    return {"workload": workload, "requests": 20, "wire": 2000, "store": 4000, "memory": memory,
            "agent": {"lost": lost, "invalid": 0, "stored": 200, "records": 400, "begun": 80}}


def made(lost_in=None, blocks=8):
    """a takes 10 ms, and c 12 ms; d only in some blocks, where a took 20 ms and d 30."""
    loads = workloads.loads(OPTIONS, {"purchase": 100.0, "photos": 40.0})
    slices = []
    for load in loads:
        for block in range(blocks):
            slow = 10 if block % workloads.EVERY in workloads.SELDOM["d"] else 0
            for row in workloads.rows(load, block, blocks):
                slices.append(one_slice(row, block, load, {"c": 12 + slow * 1.2, "d": 30}.get(row, 10 + slow)))
    names = ("purchase", "photos")
    return {"version": overhead_result.VERSION, "machine": {"cpu": "x", "cpus": 2, "memory_mib": 1, "virtual": True, "system": "Debian",
                                      "kernel": "6", "date": "2026-01-01T00:00:00Z", "commit": "0"},
            "loads": loads, "blocks": blocks, "generations": 2, "slices": slices, "capacity": {"purchase": 100.0, "photos": 40.0},
            "recording": {"groups": [group(name, 7 if name == lost_in else 0) for name in names]},
            "requests": {name: workloads.WORKLOADS[name] for name in names}, "rivals_lost": {"e": 0}, "seconds": 60,
            "memory_kib": {"a": 1024}, "cold": {"a": [0.1, 0.2], "c": [0.2, 0.4]}, "not_measured": {"sysdig": "why"},
            "options": {"seconds": 1.2, "warm": 0.3}, "alastor_calls": list(rivals.ALASTOR_CALLS)}


class Evaluate(unittest.TestCase):
    def setUp(self):
        draws = stats.draws  # a thousand draws take their time
        patch = mock.patch.object(stats, "draws", lambda containers: draws(containers, 20))
        patch.start()
        self.addCleanup(patch.stop)

    def test_ratio_is_of_the_blocks_that_have_both(self):
        result = made()
        overhead_result.evaluate(result)
        rows = {row["load"]: row["variants"] for row in result["rows"]}
        purchase = rows["purchase, closed, 5 at a time"]
        self.assertAlmostEqual(purchase["c"]["ratio"]["p50"]["ratio"], 1.2)
        # d was measured where a took 20 ms, not where it took 10
        self.assertEqual(purchase["d"]["blocks"], 2)
        self.assertAlmostEqual(purchase["d"]["ratio"]["p50"]["ratio"], 1.5)
        self.assertIn("n", purchase)
        self.assertAlmostEqual(purchase["c"]["ratio_b"]["p50"]["ratio"], 1.2)
        self.assertNotIn("n", rows["photos, closed, 5 at a time"])

    def test_what_a_request_takes(self):
        result = made()
        overhead_result.evaluate(result)
        per = result["per_request"]["photos"]
        self.assertEqual((per["wire_bytes"], per["store_bytes"], per["events"], per["records"]), (100, 200, 10, 20))
        self.assertAlmostEqual(per["cpu_agent"], 0.1 / 20)

    def test_a_loss_voids_the_rows_of_its_workload_and_no_other(self):
        result = made(lost_in="photos")
        overhead_result.evaluate(result)
        text = overhead_report.table(result)
        purchase, photos = text.index("purchase, closed, 1"), text.index("photos, closed, 5")
        self.assertEqual(result["lost"], 7)
        self.assertNotIn("VOID", text[purchase:photos])
        self.assertIn("VOID", text[photos:])
        short = overhead_report.report(result)
        line = next(line for line in short.splitlines() if line.startswith("| photos, closed, 5"))
        self.assertTrue(line.endswith("| void |"), line)

    def test_what_was_taken_away_is_left_out(self):
        result = made()
        for one in result["slices"]:
            if one["load"] == "purchase, closed, 5 at a time" and one["row"] == "c" and one["block"] == 0:
                one.update(stolen=0.5, attempts=3, latency_us=[10 ** 7] * 20)
        overhead_result.evaluate(result)
        row = next(row for row in result["rows"] if row["load"] == "purchase, closed, 5 at a time")
        self.assertEqual((result["left_out"], result["repeated"], row["variants"]["c"]["blocks"]), (1, 2, 7))
        self.assertAlmostEqual(row["variants"]["c"]["ratio"]["p99"]["ratio"], 1.2)

    def test_nothing_is_concluded_where_all_was_taken_away(self):
        result = made()
        for one in result["slices"]:
            one.update(stolen=0.5)
        overhead_result.evaluate(result)
        self.assertTrue(all({"a", "c"} <= set(row["disturbed"]) for row in result["rows"]))
        self.assertNotIn("| not met |", overhead_report.report(result))

    def test_what_was_taken_from_a_rival_says_nothing_of_the_others(self):
        result = made(blocks=5)
        for one in result["slices"]:
            one.update(stolen=0.5 if one["row"] == "d" or one["block"] == 4 and one["row"] == "a" else 0.0)
        overhead_result.evaluate(result)
        row = next(row for row in result["rows"] if row["load"] == "purchase, closed, 5 at a time")
        self.assertEqual((row["disturbed"], row["left_out"]), (["d"], 1))
        self.assertEqual((row["variants"]["a"]["blocks"], row["variants"]["d"]["blocks"]), (4, 1))
        text = overhead_report.report(result)
        self.assertEqual(text.count("as ALASTOR (processors taken away) |"), sum("d" in r["variants"] for r in result["rows"]))
        self.assertEqual(text.count("(processors taken away)"), text.count("as ALASTOR (processors taken away)"))
        self.assertNotIn("undecided: processors taken away", text)

    def test_a_load_whose_turn_never_came_is_no_row(self):
        result = made()
        result["slices"] = [one for one in result["slices"] if not one["load"].startswith("photos")]
        overhead_result.evaluate(result)
        self.assertEqual({row["workload"] for row in result["rows"]}, {"purchase"})
        self.assertIn("purchase, closed, 5", overhead_report.report(result))

    def test_what_has_no_pair_is_undecided(self):
        result = made()
        result["slices"] = [one for one in result["slices"] if one["row"] not in ("a", "c") or (one["row"] == "a") == (one["block"] < 4)]
        overhead_result.evaluate(result)
        report = overhead_report.report(result)
        self.assertIn("| undecided: no two to compare |", report)
        self.assertNotIn("| not met |", report.split("| bytes stored")[0])

    def test_aims_that_are_no_times(self):
        result = made()
        result["uninterrupted"] = [{"concurrency": callers, "requests": requests, "wire": wire, "store": store, "lost": 0}
                                   for callers, requests, wire, store in ((None, 0, 100, 96), (1, 10, 110, 10336), (5, 20, 300, 20556))]
        result["options"]["uninterrupted"] = 7
        overhead_result.evaluate(result)
        report = overhead_report.report(result)
        self.assertIn("that is of loops of 7 s", report)
        self.assertIn("| bytes stored for a purchase, 1 at a time, of 10 | 1024 (1 on the wire) | under 1024 | not met |", report)
        self.assertIn("| bytes stored for a purchase, 5 at a time, of 20 | 1023 (10 on the wire) | under 1024 | met |", report)
        self.assertIn("| agent, resident at most | 2.0 MiB | at most 64 MiB | met |", report)

    def test_another_version_is_refused(self):
        with self.assertRaises(BadInput):
            overhead_result.evaluate({**made(), "version": 1})

    def test_report_and_plots(self):
        result = made()
        overhead_result.evaluate(result)
        with tempfile.TemporaryDirectory() as home:
            overhead_report.write(result, home)
            with open(f"{home}/REPORT.md") as file:
                report = file.read()
            made_plots = sorted(os.listdir(f"{home}/plots"))
        self.assertEqual(made_plots, ["cpu_functions.svg", "latency.svg", "p50.svg", "p99.svg", "saturation.svg"])
        for name in made_plots:
            self.assertIn(f"plots/{name}", report)
        self.assertIn("+20.0 %", report)
        self.assertIn("not met", report)


class Intervals(unittest.TestCase):
    def test_few_blocks_make_them_wide(self):
        self.assertLess(stats.tail(3), stats.tail(5))
        self.assertLess(stats.tail(5), stats.tail(20))
        self.assertAlmostEqual(stats.tail(10 ** 6), 0.025, delta=0.005)

    def test_as_often_right_as_they_say(self):
        """Of blocks whose ratio is known: 95 % of the intervals have it in them, with five blocks nearly as with twenty."""
        source = random.Random(7)
        for count, least in ((5, 0.90), (20, 0.91)):
            right = 0
            for _ in range(250):
                ours = [source.gauss(110, 10) for _ in range(count)]
                theirs = [source.gauss(100, 1) for _ in range(count)]
                found = stats.ratio(ours, theirs, stats.mean, stats.draws(range(count), 250, source.random()))
                right += found["low"] <= 1.1 <= found["high"]
            self.assertGreaterEqual(right / 250, least, count)


    def test_blocks_of_the_same_containers_are_not_many(self):
        """Containers that differ among themselves: the interval is of how many they are, however often each was measured."""
        source, right = random.Random(7), 0
        for _ in range(250):
            containers = [number // 5 for number in range(30)]
            luck = [source.gauss(110, 10) for _ in range(6)]
            ours = [luck[number] + source.gauss(0, 1) for number in containers]
            found = stats.ratio(ours, [100] * 30, stats.mean, stats.draws(containers, 250, source.random()))
            right += found["low"] <= 1.1 <= found["high"]
        self.assertGreaterEqual(right / 250, 0.9)


class Plan(unittest.TestCase):
    def test_what_the_aims_are_about_is_in_every_block(self):
        options = types.SimpleNamespace(**{**vars(OPTIONS), "concurrency": [1, 5, 16], "rates": [30.0, 100.0]})
        loads = workloads.loads(options, {name: 100.0 for name in workloads.WORKLOADS})
        seen = [{(load["name"], row) for load in loads for row in workloads.rows(load, block, 20)} for block in range(workloads.EVERY)]
        core = {(f"purchase, closed, {n} at a time", row) for n in (1, 5, 16) for row in ("a", "a2", "b", "c")}
        self.assertTrue(all(core <= block for block in seen))
        self.assertLess(max(map(len, seen)), 2.3 * len(core))  # the rest is spread
        every = {(load["name"], row) for load in loads for row in load["rows"]}
        self.assertEqual(set().union(*seen), every)
        self.assertEqual({(load["name"], row) for load in loads for row in workloads.rows(load, 0, 2)}, every)
        # a ratio needs a in the same block
        self.assertTrue(all((name, "a") in block for block in seen for name, _ in block))

    def test_everything_the_comparison_needs(self):
        options = types.SimpleNamespace(**{**vars(OPTIONS), "concurrency": [1, 5, 16], "rates": [30.0, 100.0]})
        loads = workloads.loads(options, {name: 100.0 for name in workloads.WORKLOADS})
        main = [load for load in loads if load["workload"] == workloads.MAIN]
        self.assertEqual([load["concurrency"] for load in main if load["mode"] == "closed"], [1, 5, 16])
        self.assertEqual([load["rate"] for load in main if load["mode"] == "open"], [30.0, 100.0])
        for load in main:
            expected = {"a", "a2", "b", "c"} | ({"n", "f", "d", "e"} if load["mode"] == "closed" else set())
            measured = {row for block in range(workloads.EVERY) for row in workloads.rows(load, block, 20)}
            self.assertEqual(measured, expected)
            later = {row for block in range(workloads.EVERY) for row in workloads.rows(load, block, 20, first=False)}
            self.assertEqual(later, expected - {"d", "e"})
        self.assertEqual({load["workload"] for load in loads}, {"purchase", "catalog-api", "catalog-builder", "photos"})

    def test_a_photo_is_ordered_then_delivered_and_is_nobody_elses(self):
        for order, delivery in workloads.WORKLOADS["photos"]:
            self.assertTrue(order["path"].endswith("/request") and delivery["path"].endswith("/photos"))
            self.assertEqual(order["body"]["id"], delivery["body"]["id"])
        urls = [delivery["body"]["url"] for _, delivery in workloads.WORKLOADS["photos"]]
        self.assertEqual(len(urls), len(set(urls)))

    def test_the_seldom_ones_are_measured_on_both_pairs_of_labs(self):
        options = types.SimpleNamespace(**{**vars(OPTIONS), "rates": [30.0]})
        for load in workloads.loads(options, {name: 100.0 for name in workloads.WORKLOADS}):
            pairs = {block % 2 for block in range(2 * workloads.EVERY) if "c" in workloads.rows(load, block, 20)}
            self.assertEqual(pairs, {0, 1}, load["name"])

    def test_loads_of_one_start_of_the_recorders(self):
        loads = workloads.loads(OPTIONS, {"purchase": 100.0, "photos": 40.0})
        found = workloads.chunks(loads)
        self.assertEqual(sorted(len(chunk) for chunk in found), [1, 1, 2])
        self.assertEqual(sorted(load["name"] for chunk in found for load in chunk), sorted(load["name"] for load in loads))


class Shop(http.server.BaseHTTPRequestHandler):
    """Notes what is asked, and who asks the same at the same time; answers when the test lets it."""
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        kind, number = self.path.strip("/").split("/")
        shop = self.server
        with shop.changed:
            shop.asked.append((number, kind))
            shop.inside[number] += 1
            shop.together = max(shop.together, shop.inside[number])
            shop.changed.notify_all()
            shop.overdue += not shop.changed.wait_for(lambda: shop.may_answer(shop, number), timeout=30)
            shop.inside[number] -= 1
        self.send_response(404 if number == "refused" else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


@unittest.skipUnless(os.access(LOAD, os.X_OK), "fp-load is not built")
class Driver(unittest.TestCase):
    def drive(self, requests, callers, may_answer):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Shop)
        server.asked, server.inside, server.together, server.overdue = [], collections.Counter(), 0, 0
        server.may_answer, server.changed = may_answer, threading.Condition()
        threading.Thread(target=server.serve_forever).start()
        try:
            order = {"workload": "w", "mode": "closed", "concurrency": callers, "seconds": 0.5, "warm": 0}
            done = subprocess.run([LOAD, "drive", "--url", f"http://127.0.0.1:{server.server_port}", "--requests",
                                   json.dumps({"w": requests})], input=json.dumps(order), stdout=subprocess.PIPE, text=True,
                                  check=True, timeout=60)
        finally:
            server.shutdown()
            server.server_close()
        self.assertEqual(server.overdue, 0)
        return json.loads(done.stdout), server

    def test_calls_of_a_request_follow_each_other_and_nobody_else_makes_them_meanwhile(self):
        def first_takes_longer_than_two_turns_of_the_others(shop, number):
            return number != "0" or sum(other != "0" for other, _ in shop.asked) >= 8

        result, server = self.drive([[{"path": f"/order/{n}"}, {"path": f"/delivery/{n}"}] for n in range(3)], 3,
                                    first_takes_longer_than_two_turns_of_the_others)
        self.assertEqual(server.together, 1)
        for number in "012":
            kinds = [kind for asked, kind in server.asked if asked == number]
            self.assertEqual(kinds, ["order", "delivery"] * (len(kinds) // 2))
        self.assertEqual((result["failed"], len(result["latency_us"])), (0, len(server.asked) // 2))

    def test_a_request_ends_with_the_call_that_is_refused(self):
        """And who finds none that is free goes on all the same."""
        result, server = self.drive([[{"path": "/order/refused"}, {"path": "/delivery/refused"}]], 2,
                                    lambda shop, _: shop.together == 2)
        self.assertEqual({kind for _, kind in server.asked}, {"order"})
        self.assertEqual((result["failed"], len(result["latency_us"])), (len(server.asked), 0))


class Curves(unittest.TestCase):
    def test_two_lines_of_one_variant_have_one_color(self):
        svg = plot.curves("t", "per second", "ms", [("a", False, [(1, 10), (2, 20)]), ("a", True, [(1, 30), (2, None)]),
                                                    ("b", False, [(1, 5)])])
        colors = [line.split('stroke="')[1].split('"')[0] for line in svg.splitlines() if line.startswith("<polyline")]
        self.assertEqual(colors[0], colors[1])
        self.assertNotEqual(colors[0], colors[2])
        self.assertEqual(svg.count("<circle"), 4)
