"""One shape of the shop, from `up` to `down`: what `combinations` and its test run.

Everything that is not as it should be becomes a line in the result's `wrong`.
"""
import collections
import glob
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.realpath(__file__))
SHOP = os.path.dirname(HERE)
REPO = os.path.dirname(SHOP)
BIN = os.environ.get("FAASPROV_BIN", os.path.join(REPO, "build", "bin"))
LAB = os.path.join(REPO, "scripts", "lab")
PINS = "/sys/fs/bpf/faasprov"
PATIENCE = 300  # seconds for one command: far more than any takes

PRODUCT = {"id": "2001", "brand": "Ostra", "name": "Wool scarf", "description": "Grey", "category": "scarves", "price": 39.5}
BUILD = {"schema": "hello-retail/product-create/1", "origin": "test", "timeOrigin": "2026-01-01T00:00:00Z", "data": PRODUCT}
ORDER = {"id": "1001", "name": "Leather loafers"}
PHOTO = {"id": "1002", "photographer": "ines", "url": "http://198.18.0.26/1002.png"}
PURCHASE = {"id": "2001", "user": "alice"}
ENVELOPE = {"product": ORDER, "photographer": {"id": "juri", "email": "juri@photographers.example"}}
DELIVERED = {"id": "1002", "photographer": "ines", "photo": {"file": "/x.png", "about": "png 1"}}

# Function, path, body, what its answer must contain, and a body that it must refuse with what is wrong with that.
CALLS = (
    ("product-catalog-builder", "", BUILD, {"id": "2001", "stored": True},
     ({**BUILD, "data": {**PRODUCT, "price": -1}}, "body/data/price must be > 0")),
    ("product-catalog-api", "products", {"category": "scarves"},
     {"products": [{k: PRODUCT[k] for k in ("id", "brand", "name", "description")}]},
     ({"category": 1}, "body/category must be string")),
    ("product-catalog-api", "categories", {}, {"categories": ["bags", "scarves", "shirts", "shoes"]}, None),
    ("product-purchase", "", PURCHASE, {"id": "2001", "user": "alice", "price": 39.5},
     ({"id": "2001"}, "body must have required property 'user'")),
    ("product-purchase-authenticate", "", {"user": "bob", "pass": "x"}, {"user": "bob", "authenticated": True},
     ({"user": "bob"}, "body must have required property 'pass'")),
    ("product-purchase-get-price", "", {"id": "2001"}, {"id": "2001", "price": 39.5},
     ({"id": 2001}, "body/id must be string")),
    ("product-purchase-authorize-cc", "", {"user": "bob"}, {"issuer": "mastercard"},
     ({}, "body must have required property 'user'")),
    ("product-purchase-publish", "", {"approved": True, "id": "2001", "user": "bob", "price": 39.5}, {"published": True},
     ({"approved": "yes", "id": "2001", "user": "bob"}, "body/approved must be boolean")),
    ("product-photos", "request", ORDER, {"product": ORDER, "recorded": True},
     ({"id": "1001"}, "body must have required property 'name'")),
    ("product-photos", "photos", PHOTO, {"id": "1002", "announced": True, "reported": True},
     ({"id": "1002", "photographer": "ines"}, "body must have required property 'url'")),
    ("product-photos-assign", "", {"product": ORDER}, {"product": ORDER}, ({}, "body must have required property 'product'")),
    ("product-photos-message", "", ENVELOPE, ENVELOPE, ({"product": ORDER}, "body must have required property 'photographer'")),
    ("product-photos-record", "", ENVELOPE, {"recorded": True}, ({"product": ORDER}, "body must have required property 'photographer'")),
    ("product-photos-receive", "", PHOTO, {"id": "1002"}, ({**PHOTO, "url": ""}, "body/url must NOT have fewer than 1 characters")),
    ("product-photos-success", "", DELIVERED, {"announced": True}, ({"id": "1002", "photographer": "ines"}, "body must have required property 'photo'")),
    ("product-photos-report", "", DELIVERED, {"reported": True}, ({"id": "1002", "photographer": "ines"}, "body must have required property 'photo'")),
)
STEPS = {
    ("product-purchase", ""): ("product-purchase-get-price", "product-purchase-authorize-cc", "product-purchase-publish"),
    ("product-photos", "request"): ("product-photos-assign", "product-photos-message", "product-photos-record"),
    ("product-photos", "photos"): ("product-photos-receive", "product-photos-success", "product-photos-report"),
}


class Keeper:
    def __init__(self, nodes, replicas, watchdog, agents):
        self.shape = nodes, replicas, watchdog, agents
        self.nodes, self.replicas, self.watchdog, self.agents = self.shape
        self.home = tempfile.mkdtemp(prefix="fpshop", dir="/run")
        self.wrong, self.calls = [], []  # calls: what was called and answered, in order
        self.requests = None
        self.pins = []

    # --- commands -----------------------------------------------------------------

    def command(self, *argv, stdin="", check=True):
        done = subprocess.run(argv, input=stdin, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=PATIENCE,
                              env={**os.environ, "FAASPROV_LAB": self.home}, check=False)
        if check and done.returncode:
            raise AssertionError(f"{' '.join(argv[:3])}: {done.returncode}: {done.stderr.strip()[-2000:]}")
        return done

    def expect(self, true, what):
        if not true:
            self.wrong.append(what)

    def call_all(self):
        """Everything in CALLS, as it should be and then as it should not be, in each container; one after the other."""
        for replica in range(1, self.replicas + 1):
            for function, path, body, _, refused in CALLS:
                self.calls += [{"function": function, "path": path, "replica": replica, "sent": sent}
                               for sent in (body, *(refused[:1] if refused else ()))]
        netns, = glob.glob(f"/run/netns/fp-{os.path.basename(self.home)}-client")
        done = self.command("nsenter", f"--net={netns}", "--", sys.executable, os.path.join(HERE, "shopkeeper.py"),
                            stdin="".join(json.dumps(call) + "\n" for call in self.calls))
        for call, line in zip(self.calls, done.stdout.splitlines(), strict=True):
            call.update(json.loads(line))

    def ask(self, *argv):
        return json.loads(self.command(os.path.join(BIN, "faasprov"), *argv, "--format", "json", "--store",
                                       os.path.join(self.home, "store.db")).stdout)

    # --- the shop -------------------------------------------------------------------

    def up(self):
        self.command(os.path.join(SHOP, "up"), "--nodes", str(self.nodes), "--replicas", str(self.replicas),
                     "--watchdog", self.watchdog, "--agents", self.agents)
        self.status = json.loads(self.command(LAB, "status", "--json").stdout)
        for node in range(1, self.nodes + 1):
            path, = glob.glob(f"/sys/fs/cgroup/**/faasprov*{os.path.basename(self.home)}*/node{node}", recursive=True)[:1]
            self.pins.append(f"{PINS}/{os.stat(path).st_ino}")

    def check_shape(self):
        rows = self.status["rows"]
        containers = collections.Counter(c["function"] for c in self.status["containers"])
        functions = set(os.listdir(os.path.join(SHOP, "functions")))
        self.expect(len(functions) == 14 and containers == {name: self.replicas for name in functions}, f"containers: {containers}")
        self.expect({c["node"] for c in self.status["containers"]} == set(range(1, self.nodes + 1)), "a node has no containers")
        agents = sorted(row["name"] for row in rows if row["name"].startswith("agent-"))
        wanted = [f"agent-node{n}" for n in range(1, self.nodes + 1)] if self.agents == "on" else []
        self.expect(agents == wanted, f"agents: {agents}")
        self.expect(all(row["up"] for row in rows), f"not up: {[row['name'] for row in rows if not row['up']]}")

    def check_answers(self):
        answers = iter(self.calls)
        for replica in range(1, self.replicas + 1):
            for function, path, _, wanted, refused in CALLS:
                answer = next(answers)
                name = f"{function}/{path} in container {replica}"
                self.expect(answer["status"] == 200 and wanted.items() <= json.loads(answer["body"]).items(),
                            f"{name}: status {answer['status']}: {answer['body'][:300]}")
                self.expect((answer["request"] is not None) == (self.watchdog == "patched"), f"{name}: id {answer['request']}")
                if refused:
                    answer = next(answers)
                    self.expect((answer["status"], json.loads(answer["body"])) == (400, {"error": refused[1]}),
                                f"{name}: not refused: {answer['status']} {answer['body'][:300]}")

    def check_effects(self):
        mail = [json.loads(line) for line in self.command(LAB, "logs", "mail").stdout.splitlines()]
        # The photographers who had least to do, in turn; and the one who was named to the function itself.
        self.expect(len(mail) == 2 * self.replicas and all(
            m["from"] == "photos@shop.example" and "Leather loafers" in m["message"] for m in mail)
            and ["juri@photographers.example"] in [m["to"] for m in mail], f"mail: {mail}")
        events = [line for line in self.command(LAB, "logs", "product-purchase-publish").stdout.splitlines()
                  if '"type":"purchase"' in line or '"type":"refusal"' in line]
        self.expect(len(events) == 2 * self.replicas, f"events of purchases: {events}")
        photos = self.command(LAB, "logs", "product-photos-success").stdout.count('"type":"photograph"')
        self.expect(photos == 2 * self.replicas, f"events of photographs: {photos}")
        size = os.path.getsize(os.path.join(SHOP, "services", "images", "1002.png"))
        self.table("SELECT product, photographer, about, LENGTH(image) FROM storedPhotosTable",
                   [["1002", "ines", f"png {size}", str(size)]])
        self.table("SELECT product FROM photoAssignmentTable", [["1001"]])
        self.table("SELECT price FROM productPrice WHERE id = '2001'", [["39.50"]])
        self.table("SELECT COUNT(*) FROM creditCards", [["8"]])
        # Called with an order, directly and through product-photos; delivered and taken off in the same ways.
        self.table("SELECT SUM(delivered) FROM photoRegistrationTable", [[str(2 * self.replicas)]])

    def table(self, statement, wanted):
        netns, = glob.glob(f"/run/netns/fp-{os.path.basename(self.home)}-client")
        done = self.command("nsenter", f"--net={netns}", "--", "mysql", "--no-defaults", "-h", "198.18.0.3", "-u", "shop",
                            "-pshop-lab-only", "helloRetail", "-N", "-B", "-e", statement)
        rows = [line.split("\t") for line in done.stdout.splitlines()]
        self.expect(rows == wanted, f"{statement}: {rows}, not {wanted}")

    # --- what was recorded ------------------------------------------------------------

    def check_record(self):
        self.command(LAB, "sync")
        document = self.ask("requests")
        found = {request["call_id"]: request for request in document["requests"]}
        self.requests = len(document["requests"])
        nested = [(call, STEPS[call["function"], call["path"]]) for call in self.calls
                  if call["status"] == 200 and (call["function"], call["path"]) in STEPS]
        wanted = len(self.calls) + sum(len(steps) for _, steps in nested)
        self.expect(self.requests == len(found) == wanted, f"{self.requests} requests with {len(found)} ids are stored, not {wanted}")
        for call in self.calls:
            self.check_request(found.get(call["call_id"]), call)
        children = collections.defaultdict(list)
        for request in document["requests"]:
            children[request["parent"]].append(request["function"])
        for call, steps in nested:
            root = found.get(call["call_id"])
            self.expect(root and sorted(children.pop(root["id"], [])) == sorted(steps), f"calls of {call['function']} {call['call_id']}")
        self.expect(set(children) == {None}, f"calls that nobody made: {children}")
        for call, steps in nested:
            self.check_trace(found, call, steps)

    def check_request(self, request, call):
        name = f"{call['function']}/{call['path']} {call['call_id']}"
        if not request:
            self.wrong.append(f"{name}: not stored")
            return
        self.expect((request["function"], request["instance"], request["status"]) ==
                    (call["function"], f"{call['function']}-{call['replica']}", call["status"]), f"{name}: stored as {request}")
        self.expect(call["request"] in (None, request["id"]), f"{name}: id {request['id']}, not {call['request']}")
        self.expect(request["parent"] is None and not request["lost"], f"{name}: parent {request['parent']}, lost {request['lost']}")

    def check_trace(self, found, call, steps):
        name = f"trace of {call['function']}/{call['path']} {call['call_id']}"
        root = found[call["call_id"]]["id"]
        trace = self.ask("trace", call["request"] or call["call_id"], "--both", "--max-nodes", "0")
        self.expect(trace["complete"] and not trace["lost"] and not trace["missing"], f"{name}: {trace['missing']}")
        inside = {r["id"]: r for r in trace["requests"] if r["id"] == root or r["parent"] == root}
        self.expect(sorted(r["function"] for r in inside.values()) == sorted([call["function"], *steps]),
                    f"{name}: functions {[r['function'] for r in inside.values()]}")
        self.expect({r["join"] for r in inside.values() if r["id"] != root} == {"forwarded-address"}, f"{name}: joined otherwise")
        own = [edge for edge in trace["edges"] if edge["request"] in inside]
        kinds = {node["id"]: node["kind"] for node in trace["nodes"]}
        ends = {(kinds[e["from"]], e["kind"], kinds[e["to"]]) for e in own}
        for wanted in (("client", "calls", "request"), ("process", "calls", "request"), ("request", "calls", "process"),
                       ("request", "returns", "process"), ("request", "returns", "client")):
            self.expect(wanted in ends, f"{name}: no {' '.join(wanted)}")
        labels = collections.Counter(edge["attribution"] for edge in own)
        rules = {edge["rule"] for edge in own}
        self.expect(not labels["ambiguous"] and not labels["none"], f"{name}: {labels}")
        if self.watchdog == "patched":
            self.expect(labels["exact"] and "header" not in rules, f"{name}: {labels} by {rules}")
        else:
            self.expect(not labels["exact"] and "header" in rules, f"{name}: {labels} by {rules}")
        # What earlier requests stored and this one read is in it, rightly; nothing else is.
        self.expect(all(edge["request"] in {r["id"] for r in trace["requests"]} | {None} for edge in trace["edges"]),
                    f"{name}: edges of unknown requests")

    # --- and gone ----------------------------------------------------------------------

    def leftovers(self):
        tag = os.path.basename(self.home)
        with open("/proc/self/mountinfo") as table:
            left = [f"mount {line.split()[4]}" for line in table if tag in line]
        left += glob.glob(f"/run/netns/*{tag}*") + glob.glob(f"/dev/shm/*{tag}*") + glob.glob(f"/tmp/*{tag}*")
        left += [path for path, _, _ in os.walk("/sys/fs/cgroup") if tag in path]
        left += [f"{self.home}/{name}" for name in os.listdir(self.home) if name not in ("lock", "log") and not name.startswith("store.db")]
        left += [path for path in self.pins if os.path.exists(path)]
        return left + [f"process {text}" for text in processes(self.home)]


def processes(home):
    """Of whoever says that he belongs to this lab, in words or environment; not this process."""
    found = []
    for path in glob.glob("/proc/[0-9]*"):
        try:
            with open(f"{path}/cmdline", "rb") as words, open(f"{path}/environ", "rb") as environment:
                text = words.read()
                if int(path[6:]) != os.getpid() and home.encode() in text + environment.read():
                    found.append(f"{path[6:]} {text.replace(bytes(1), b' ').decode(errors='replace')}")
        except OSError:
            pass
    return found


def run(nodes, replicas, watchdog, agents):
    keeper = Keeper(nodes, replicas, watchdog, agents)
    times = [time.monotonic()]
    try:
        keeper.up()
        times.append(time.monotonic())
        keeper.check_shape()
        keeper.call_all()
        keeper.check_answers()
        keeper.check_effects()
        if agents == "on":
            keeper.check_record()
    except (AssertionError, ValueError, KeyError) as error:
        keeper.wrong.append(f"{type(error).__name__}: {error}")
    finally:
        times.append(time.monotonic())
        keeper.command(os.path.join(SHOP, "down"), check=False)
        times.append(time.monotonic())
        keeper.wrong += [f"left behind: {what}" for what in keeper.leftovers()]
        shutil.rmtree(keeper.home, ignore_errors=True)
    return {"nodes": nodes, "replicas": replicas, "watchdog": watchdog, "agents": agents, "calls": len(keeper.calls),
            "requests": keeper.requests, "up": times[1] - times[0], "down": times[-1] - times[-2], "wrong": keeper.wrong}


def main():
    """Inside the client's network: sends the calls that standard input has, a line each, and prints the answers."""
    sys.path.insert(0, os.path.join(REPO, "scripts"))
    from lib import client  # pylint: disable=import-outside-toplevel
    sender = client.Client()
    for line in sys.stdin:
        call = json.loads(line)
        client.show(sender.send("POST", client.path_of(call["function"], call["replica"], call["path"]),
                                json.dumps(call["sent"]), {"Content-Type": "application/json"}), "json")


if __name__ == "__main__":
    main()
