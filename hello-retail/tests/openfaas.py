"""What OpenFaaS's documentation says of stack files and templates, and the build context that faas-cli makes of them.

    openfaas.py DIRECTORY      makes the context of every function there, as `faas-cli build --shrinkwrap` does

From docs.openfaas.com/reference/yaml and the fields that faas-cli reads; nothing of it is run here.
"""
import os
import re
import shutil
import sys

import yaml

HERE = os.path.dirname(os.path.realpath(__file__))
SHOP = os.path.dirname(HERE)

MAPPING, TEXTS = "mapping of words", "list of words"
STACK = {"version", "provider", "functions", "configuration"}
PROVIDER = {"name", "gateway", "network"}
CONFIGURATION = {"templates", "copy"}
FUNCTION = {"lang": str, "handler": str, "image": str, "registry_auth": str, "fprocess": str, "environment": MAPPING,
            "secrets": TEXTS, "skip_build": bool, "constraints": TEXTS, "environment_file": TEXTS, "labels": MAPPING,
            "annotations": MAPPING, "limits": MAPPING, "requests": MAPPING, "readonly_root_filesystem": bool,
            "build_options": TEXTS, "build_args": MAPPING, "namespace": str}
TEMPLATE = {"language": str, "fprocess": str, "build_options": list, "welcome_message": str, "handler_folder": str,
            "mount_ssh": bool}


def is_a(value, wanted):
    if wanted == MAPPING:
        # Values that are not text in YAML are read as the text that stands there.
        return isinstance(value, dict) and all(isinstance(v, (str, int, float, bool)) for v in value.values())
    if wanted == TEXTS:
        return isinstance(value, list) and all(isinstance(v, str) for v in value)
    return isinstance(value, wanted)


def check_fields(where, value, known):
    """Lines that say what is not as documented."""
    return [f"{where}: {key}: not known" for key in value if key not in known] + \
        [f"{where}: {key}: {value[key]!r} is not a {wanted}" for key, wanted in known.items()
         if key in value and not is_a(value[key], wanted)]


def check_stack(document, home):
    """What faas-cli or the provider would not take, or silently ignore."""
    wrong = [f"{key}: not known" for key in document if key not in STACK and not key.startswith("x-")]
    wrong += [f"provider: {key}: not known" for key in document["provider"] if key not in PROVIDER]
    wrong += [f"configuration: {key}: not known" for key in document.get("configuration", {}) if key not in CONFIGURATION]
    if document["provider"]["name"] != "openfaas":
        wrong.append("provider: name: can be openfaas only")
    if str(document.get("version")) != "1.0":
        wrong.append("version: 1.0 is the only one")
    for name, about in document["functions"].items():
        wrong += check_fields(name, about, FUNCTION)
        wrong += [f"{name}: {key}: missing" for key in ("lang", "handler", "image") if key not in about]
        if not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", name):
            wrong.append(f"{name}: not a DNS label")
        if not re.fullmatch(r"([a-z0-9.-]+(:[0-9]+)?/)?[a-z0-9._/-]+:[A-Za-z0-9._-]+", about.get("image", "")):
            wrong.append(f"{name}: image: not a name and tag")
        for directory in (about["handler"], f"template/{about['lang']}"):
            if not os.path.isdir(os.path.join(home, directory)):
                wrong.append(f"{name}: {directory} is not a directory")
        for key, value in (about.get("labels") or {}).items():
            if not re.fullmatch(r"([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?", str(value)):
                wrong.append(f"{name}: label {key}: {value!r} is none for Kubernetes")
    return wrong


def load(name):
    with open(os.path.join(SHOP, name), encoding="utf-8") as file:
        return yaml.safe_load(file)


def make_context(stack, name, place):
    """The template, in it the handler in a directory `function`, and beside that what `configuration: copy` names."""
    about = stack["functions"][name]
    shutil.copytree(os.path.join(SHOP, "template", about["lang"]), place)
    folder = os.path.join(place, load(f"template/{about['lang']}/template.yml").get("handler_folder", "function"))
    # faas-cli leaves out what it writes and reads itself
    shutil.copytree(os.path.join(SHOP, about["handler"]), folder, ignore=shutil.ignore_patterns("build", "template"))
    for extra in stack.get("configuration", {}).get("copy", []):
        source = os.path.join(SHOP, extra)
        copy = shutil.copytree if os.path.isdir(source) else shutil.copy
        copy(source, os.path.join(folder, extra))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: openfaas.py DIRECTORY")
    shop = load("hello-retail.yml")
    for function in shop["functions"]:
        make_context(shop, function, os.path.join(sys.argv[1], function))
