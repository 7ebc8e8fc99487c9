"""The demo: benign traffic, a two-step attack, and the answer to one question."""
import argparse
import glob
import json
import os
import shutil
import signal
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
from lib import recording, truth  # noqa: E402
from lib.say import BIN, REPO, Fail, finish, require_root, step  # noqa: E402

OUT = os.path.join(REPO, "demo-out")
STORE = os.path.join(OUT, "store.db")
HOME = "/run/faasprov-demo"  # a lab of its own: one that the user has running is left alone
LAB = os.path.join(REPO, "scripts", "lab")
SHOP = os.path.join(REPO, "hello-retail")
ATTACK = os.path.join(SHOP, "attacks", "warm-container")
RECORDING = os.path.join(SHOP, "recordings", "warm-container")  # one file per node, and the answers
NEW_RECORDING = os.path.join(OUT, "recording")

USERS = ("alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi")
PRODUCTS = ("1001", "1002", "1003", "1004", "1005")
BEFORE, BETWEEN = 20, 5  # benign purchases before the attack, and between its two requests


def lab(*argv, stdin=None, capture=True):
    done = subprocess.run([LAB, *argv], input=stdin, text=True, stdout=subprocess.PIPE if capture else None)
    if done.returncode != 0:
        raise Fail(f"scripts/lab {argv[0]} failed", done.returncode)
    return done.stdout


def ask(program, *argv):
    """One of our own programs; its complaint is shown as it is."""
    path = os.path.join(BIN, program)
    done = subprocess.run([path, *argv], stdin=subprocess.DEVNULL, text=True, stdout=subprocess.PIPE)
    if done.returncode != 0:
        raise Fail(f"{program} failed", done.returncode)
    return done.stdout


# --- what happens ---------------------------------------------------------------

def purchases(numbers):
    """Benign purchases, one after the other; every third customer types the card number in."""
    bodies = []
    for number in numbers:
        body = {"id": PRODUCTS[number % len(PRODUCTS)], "user": USERS[number % len(USERS)]}
        if number % 3 == 0:
            body["creditCard"] = "4012888888881881"
        bodies.append(json.dumps(body))
    lines = lab("invoke", "product-purchase", "--data", "-", "--lines", "--json", stdin="\n".join(bodies))
    return [{"role": "benign", **json.loads(line)} for line in lines.splitlines()]


def attack(part):
    done = subprocess.run([ATTACK, part], stdin=subprocess.DEVNULL, text=True, stdout=subprocess.PIPE)
    if done.returncode != 0:
        raise Fail(f"the attack's request {part} failed", done.returncode)
    return json.loads(done.stdout)


def play():
    """Runs the story; returns all answers in order."""
    step(f"   {BEFORE} benign purchases")
    answers = purchases(range(BEFORE))
    step("   request A plants sqldump.sh in the warm container of the card check")
    answers.append(attack("plant"))
    step(f"   {BETWEEN} benign purchases")
    answers += purchases(range(BEFORE, BEFORE + BETWEEN))
    step("   request B runs it")
    answers.append(attack("execute"))
    cards = answers[-1]["body"].count("','") if "INSERT INTO" in answers[-1]["body"] else 0
    if not cards:
        raise Fail("the attack did not work: no card table in the answer of request B")
    step(f"   the answer of request B carries {cards} credit cards")
    return answers


def record(keep_records):
    step("== Starting Hello, Retail! on two nodes, with a recorder on each")
    lab("up", os.path.join(SHOP, "stack.yml"), "--store", STORE, *(["--record", NEW_RECORDING] if keep_records else []))
    step("== Traffic")
    answers = play()
    lab("sync")
    if keep_records:
        lab("down")  # which completes the recordings
        with open(os.path.join(NEW_RECORDING, "answers.json"), "w") as file:
            json.dump([{key: a[key] for key in ("role", "request", "call_id")} for a in answers], file, indent=1)
            file.write("\n")
    return answers


def replay(reason):
    """Where the kernel does not let the agent record: the same story from a recording of it."""
    step(f"== This kernel does not let the agent record: {reason}")
    recordings = sorted(glob.glob(os.path.join(RECORDING, "*.recording")))
    if not recordings:
        raise Fail(f"and there is no recording to replay in {RECORDING}")
    step("== REPLAY: what follows was recorded elsewhere, not on this machine now")
    ask("faasprov-agent", "replay", "--store", STORE, *recordings)
    with open(os.path.join(RECORDING, "answers.json")) as file:
        return json.load(file)


# --- the question ---------------------------------------------------------------

def answer(answers):
    """Traces request B, leaves the answer in all forms, and holds it against the truth."""
    roots = {a["role"]: a["request"] for a in answers if a["role"] != "benign"}
    if not all(roots.values()):
        raise Fail("the watchdog gave no request id (header X-Faasprov-Request)")
    ask("faasprov-stitcher", "--quiet", "--store", STORE)
    for form in ("json", "svg", "text"):
        name = "trace." + {"text": "txt"}.get(form, form)
        ask("faasprov", "trace", roots["execute"], "--both", "--format", form, "--store", STORE,
            "-o", os.path.join(OUT, name))
    with open(os.path.join(OUT, "trace.txt")) as file:
        print(file.read().rstrip(), flush=True)
    with open(os.path.join(OUT, "trace.json")) as file:
        trace = json.load(file)
    known = json.loads(subprocess.run([ATTACK, "truth"], text=True, stdout=subprocess.PIPE, check=True).stdout)
    return roots, trace, truth.check(known, trace, roots, "product-purchase")


def conclude(roots, trace, wrong, replayed, keep):
    benign = BEFORE + BETWEEN
    if replayed:
        print("\nREPLAY: this answer comes from the shipped recording; nothing was recorded on this machine.")
    print(f"\nThe question was: what did request {roots['execute']} cause, and what caused it?\n"
          f"The answer has {len(trace['nodes'])} nodes and {len(trace['edges'])} edges; "
          f"evidence {'complete' if trace['complete'] else 'INCOMPLETE'}, {trace['lost']} records lost.")
    if wrong:
        print("It is not the right one:")
        for line in wrong:
            print(f"  {line}")
    else:
        print(f"It shows the whole attack and none of the {benign} benign purchases.")
    out = os.path.relpath(OUT)
    print(f"\nPicture: {out}/trace.svg    Text: {out}/trace.txt    JSON: {out}/trace.json\n"
          f"Look further:\n"
          f"  export FAASPROV_STORE={out}/store.db PATH={os.path.relpath(BIN)}:$PATH\n"
          f"  faasprov requests\n"
          f"  faasprov trace {roots['plant']} --forward\n"
          f"  faasprov slice file:/home/app/sqldump.sh --both")
    if keep:
        print(f"Hello, Retail! goes on running; end it with\n  FAASPROV_LAB={HOME} scripts/lab down")
    sys.stdout.flush()


def prepare():
    require_root("the demo")
    os.environ["FAASPROV_LAB"] = HOME
    lab("down")
    os.makedirs(OUT, exist_ok=True)
    shutil.rmtree(NEW_RECORDING, ignore_errors=True)
    for path in glob.glob(f"{OUT}/trace.*") + glob.glob(f"{STORE}*"):
        os.unlink(path)


def clean_up():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    lab("down")
    shutil.rmtree(HOME, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser(prog="demo")
    parser.add_argument("--keep", action="store_true", help="leave everything running")
    parser.add_argument("--record", action="store_true", help="renew the recording for kernels that allow none")
    parser.add_argument("--replay", action="store_true", help="take that recording even if this kernel allows one")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    done = False
    prepare()
    try:
        reason = "asked to replay" if options.replay else recording.probe()
        answers = replay(reason) if reason else record(options.record)
        step("== The question: what did request B cause, and what caused it?\n")
        roots, trace, wrong = answer(answers)
        done = True
    finally:
        if not (done and options.keep):
            clean_up()
    if options.record and not wrong:
        shutil.rmtree(RECORDING, ignore_errors=True)
        shutil.move(NEW_RECORDING, RECORDING)
    conclude(roots, trace, wrong, bool(reason), options.keep and not reason and not options.record)
    return 4 if wrong else 0


finish("demo", main)
