"""Reads a stack file (OpenFaaS's format) into what the lab has to run."""
import os
import re
from dataclasses import dataclass, field

import yaml

from .say import BadInput

LANGUAGES = ("node", "python3", "binary")
SERVICES = ("mariadb", "web", "programs")
ADDRESS = r"198\.18\.[0-9]{1,2}\.[0-9]{1,3}"


@dataclass
class Function:
    name: str
    lang: str
    handler: str
    environment: dict = field(default_factory=dict)
    labels: dict = field(default_factory=dict)
    copies: dict = field(default_factory=dict)  # path below the handler: where it comes from
    secrets: dict = field(default_factory=dict)  # name: file
    replicas: int = 1
    node: int = 0  # 0: wherever there is room
    plain: bool = False  # no watchdog: the function is a server on port 8080 itself


@dataclass
class Stack:
    path: str
    functions: list
    services: dict
    nameserver: str = ""  # whom containers ask for names

    @property
    def dir(self):
        return os.path.dirname(self.path)


def read(path):
    path = os.path.abspath(path)
    try:
        with open(path) as file:
            document = yaml.safe_load(file)
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}")
    except yaml.YAMLError as error:
        raise BadInput(f"{path}: not YAML: {' '.join(str(error).split())}")
    if not isinstance(document, dict) or not isinstance(document.get("functions"), dict) or not document["functions"]:
        raise BadInput(f"{path}: no functions")
    home = os.path.dirname(path)
    functions = [_function(path, home, name, about) for name, about in document["functions"].items()]
    copies = _copies(path, home, document.get("configuration"))
    for function in functions:
        function.copies = copies
        about = document["functions"][function.name]
        function.secrets = _secrets(f"{path}: function {function.name}", home, document, about.get("secrets"))
    nameserver = str(document.get("x-nameserver", ""))
    if nameserver and not re.fullmatch(ADDRESS, nameserver):
        raise BadInput(f"{path}: x-nameserver: needs an address 198.18.0-99.x")
    return Stack(path, functions, _services(path, home, document.get("x-services")), nameserver)


def _function(path, home, name, about):
    where = f"{path}: function {name}"
    if not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,50}[a-z0-9])?", str(name)):
        raise BadInput(f"{where}: a name has lower-case letters, digits and '-', at most 52")
    if not isinstance(about, dict):
        raise BadInput(f"{where}: not a mapping")
    lang = about.get("lang")
    if lang not in LANGUAGES:
        raise BadInput(f"{where}: lang is {lang!r}, not one of {', '.join(LANGUAGES)}")
    handler = os.path.normpath(os.path.join(home, str(about.get("handler", ""))))
    if not about.get("handler") or not os.path.isdir(handler):
        raise BadInput(f"{where}: handler {about.get('handler')!r} is not a directory")
    labels = _strings(where, "labels", about.get("labels"))
    return Function(name, lang, handler, _strings(where, "environment", about.get("environment")), labels,
                    replicas=_count(where, labels, "faasprov.replicas", 1), node=_count(where, labels, "faasprov.node", 0),
                    plain=_plain(where, labels))


def _copies(path, home, configuration):
    """configuration: copy: what every function gets beside its handler"""
    names = (configuration or {}).get("copy", []) if isinstance(configuration, (dict, type(None))) else None
    if not isinstance(names, list):
        raise BadInput(f"{path}: configuration: copy is not a list")
    copies = {}
    for name in names:
        inside = os.path.normpath(str(name))
        if os.path.isabs(inside) or inside.startswith("..") or not os.path.exists(os.path.join(home, inside)):
            raise BadInput(f"{path}: configuration: copy: {name} is not in this directory")
        copies[inside] = os.path.join(home, inside)
    return copies


def _secrets(where, home, document, names):
    """Each is a file of that name in the directory `x-secrets`."""
    if names is None:
        return {}
    directory = os.path.join(home, str(document.get("x-secrets", "secrets")))
    if not isinstance(names, list) or not all(re.fullmatch(r"[a-z0-9][a-z0-9.-]*", str(name)) for name in names):
        raise BadInput(f"{where}: secrets is not a list of names")
    found = {str(name): os.path.join(directory, str(name)) for name in names}
    for name, path in found.items():
        if not os.path.isfile(path):
            raise BadInput(f"{where}: secret {name}: {path} is not a file")
    return found


def _strings(where, what, value):
    if value is None:
        return {}
    if not isinstance(value, dict) or any(isinstance(v, (dict, list)) for v in value.values()):
        raise BadInput(f"{where}: {what} is not a mapping of names to values")
    return {str(k): _string(v) for k, v in value.items()}


def _string(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def _count(where, labels, label, default, most=999):
    text = labels.get(label, str(default))
    if not re.fullmatch(r"[0-9]{1,5}", text) or not default <= int(text) <= most:
        raise BadInput(f"{where}: label {label} is {text!r}, not a number")
    return int(text)


def _plain(where, labels):
    if labels.get("faasprov.watchdog", "none") != "none":
        raise BadInput(f"{where}: label faasprov.watchdog is {labels['faasprov.watchdog']!r}, which can be none only")
    return "faasprov.watchdog" in labels


def _services(path, home, value):
    """x-services: what the functions need beside themselves; [mariadb] or {mariadb: {init: [...]}, web: {...}}"""
    if isinstance(value, list):
        value = {name: None for name in value}
    if value is None:
        return {}
    if not isinstance(value, dict) or any(name not in SERVICES for name in value):
        raise BadInput(f"{path}: x-services knows {', '.join(SERVICES)}")
    services = {name: about or {} for name, about in value.items()}
    if "mariadb" in services:
        init = services["mariadb"].get("init", [])
        init = [init] if isinstance(init, str) else init
        services["mariadb"] = {"init": [_file(path, home, name) for name in init]}
    for name, about in services.get("web", {}).items():
        _web(path, home, name, about)
    for name, about in services.get("programs", {}).items():
        _program(path, home, name, about)
    if set(services.get("web", {})) & set(services.get("programs", {})):
        raise BadInput(f"{path}: x-services: web and programs share a name")
    return services


def _address(where, name, about):
    if not isinstance(about, dict) or not re.fullmatch(ADDRESS, str(about.get("address"))):
        raise BadInput(f"{where}: needs an address 198.18.0-99.x")
    if not re.fullmatch(r"[a-z][a-z0-9-]{1,13}", str(name)) or name in ("hub", "lo") or name.startswith("node"):
        raise BadInput(f"{where}: not a name for a server")


def _web(path, home, name, about):
    where = f"{path}: x-services: web: {name}"
    _address(where, name, about)
    about["directory"] = os.path.normpath(os.path.join(home, str(about.get("directory", ""))))
    if not os.path.isdir(about["directory"]):
        raise BadInput(f"{where}: {about['directory']} is not a directory")


def _program(path, home, name, about):
    where = f"{path}: x-services: programs: {name}"
    _address(where, name, about)
    about["port"] = _count(where, {"port": str(about.get("port"))}, "port", 1, 65535)
    about["run"] = os.path.normpath(os.path.join(home, str(about.get("run", ""))))
    if not os.path.isfile(about["run"]) or not os.access(about["run"], os.X_OK):
        raise BadInput(f"{where}: {about['run']} is not an executable file")


def _file(path, home, name):
    full = os.path.normpath(os.path.join(home, str(name)))
    if not os.path.isfile(full):
        raise BadInput(f"{path}: x-services: {name} is not a file")
    return full
