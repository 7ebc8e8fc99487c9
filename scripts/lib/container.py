"""Function containers: image, layers, runtime configuration, start and end.

A container's root is an overlay of its own writable layer on the function's
layer (handler and language shim) on a small image that all share.  Programs and
libraries are the host's /usr, read-only.
"""
import json
import os
import shutil
import stat
import subprocess

from . import cgroup, net
from .say import BIN, BadInput, Fail, die_with_parent, mounts, run, wait_for

USER = 10001  # nobody else on an ordinary machine has it
HOME = "/home/app"
SECRETS = "/var/openfaas/secrets"
WATCHDOG = "/faasprov/fwatchdog"
PORT = 8080
RUNTIME = os.path.join(os.path.dirname(os.path.abspath(__file__)), "runtime")

# Settings of OpenFaaS's own templates; the stack's `environment` wins over them.
DEFAULTS = {
    "node": {"fprocess": "node index.js", "mode": "http", "upstream_url": "http://127.0.0.1:3000"},
    "python3": {"fprocess": "python3 index.py", "mode": "http", "upstream_url": "http://127.0.0.1:5000"},
    "binary": {"mode": "streaming"},
}
LIMITS = {"exec_timeout": "60s", "read_timeout": "60s", "write_timeout": "60s", "prefix_logs": "false"}


def watchdog(kind):
    path = os.path.join(BIN, {"patched": "fwatchdog", "vanilla": "of-watchdog"}[kind])
    if not os.access(path, os.X_OK):
        raise Fail(f"{path} is missing: run scripts/setup")
    return path


def make_image(lab, nameserver=""):
    """The lowest layer: an almost empty root with the host's /usr to be mounted into it."""
    image = lab.make("image")
    for name in ("usr", "proc", "dev", "sys", "run", "root", "var/tmp", "home/app", "faasprov",
                 "etc/ssl", "etc/alternatives"):
        os.makedirs(f"{image}/{name}", exist_ok=True)
    os.makedirs(f"{image}/tmp", exist_ok=True)
    os.chmod(f"{image}/tmp", 0o1777)
    for name in ("bin", "sbin", "lib", "lib64", "lib32"):
        if os.path.islink("/" + name):
            os.symlink("usr/" + name, f"{image}/{name}")
        elif name in ("bin", "lib"):
            raise Fail(f"/{name} is not a link into /usr: a merged /usr is needed")
    files = {
        "passwd": f"root:x:0:0:root:/root:/bin/sh\napp:x:{USER}:{USER}:app:{HOME}:/bin/sh\n",
        "group": f"root:x:0:\napp:x:{USER}:\n",
        "hosts": f"127.0.0.1 localhost\n{net.GATEWAY} gateway gateway.openfaas\n{net.DATABASE} db\n",
        "nsswitch.conf": f"passwd: files\ngroup: files\nhosts: files{' dns' if nameserver else ''}\nservices: files\nprotocols: files\n",
        "resolv.conf": f"nameserver {nameserver}\n" if nameserver else "",
    }
    for name, text in files.items():
        _write(f"{image}/etc/{name}", text)
    for name in ("ld.so.cache", "services", "protocols"):
        if os.path.exists(f"/etc/{name}"):
            shutil.copy(f"/etc/{name}", f"{image}/etc/{name}")
    # as images have it: without, a runtime reads hundreds of zones to find out which one this is
    os.symlink("/usr/share/zoneinfo/Etc/UTC", f"{image}/etc/localtime")
    _write(f"{image}{WATCHDOG}", "")


def make_layer(lab, function):
    """The function's own layer: what its image would hold on top of the language's."""
    layer = lab.make("layers", function.name)
    home = layer + HOME
    os.makedirs(home)
    _copy(function.handler, home + "/function")
    for inside, source in function.copies.items():
        _copy(source, f"{home}/function/{inside}")
    shim = {"node": "index.js", "python3": "index.py"}.get(function.lang)
    if shim:
        shutil.copy(f"{RUNTIME}/{shim}", f"{home}/{shim}")
        _require(function, {"node": "handler.js", "python3": "handler.py"}[function.lang])
    if _modules(function):
        os.makedirs(home + "/node_modules")
    for name, source in function.secrets.items():
        os.makedirs(layer + SECRETS, exist_ok=True)
        shutil.copyfile(source, f"{layer}{SECRETS}/{name}")
    for directory, _, files in os.walk(home):
        for name in (".", *files):
            os.chown(os.path.join(directory, name), USER, USER, follow_symlinks=False)


def start(lab, function, replica, node, number, dog):
    """Starts one container; returns what `status` and the gateway need to know of it."""
    name = f"{function.name}-{replica}"
    home = lab.make(f"node{node}", name)
    for part in ("rootfs", "upper", "work"):
        os.makedirs(f"{home}/{part}", exist_ok=True)
    layers = f"{lab.path('layers', function.name)}:{lab.path('image')}"
    run("mount", "-t", "overlay", f"faasprov-{name}", "-o",
        f"lowerdir={layers},upperdir={home}/upper,workdir={home}/work", f"{home}/rootfs")
    group = f"{lab.cgroup}/node{node}/{name}"
    _write(f"{home}/config.json", json.dumps(_config(function, replica, node, group, dog), indent=1))
    runc = ["runc", "--root", lab.path(f"node{node}", "runc")]
    log = lab.log(name)
    with open(log, "ab") as output:
        _runc([*runc, "create", "--bundle", home, "--pid-file", f"{home}/pid", name], output, log)
        with open(f"{home}/pid") as file:
            pid = int(file.read())
        if cgroup.of(pid) != "/" + group:
            raise Fail(f"container {name} is in cgroup {cgroup.of(pid)} instead of /{group}")
        address = net.plug_container(lab, node, number, pid)
        _runc([*runc, "start", name], output, log)
    return {"id": name, "function": function.name, "replica": replica, "node": node, "address": address, "pid": pid,
            "ports": [PORT, *([] if function.plain else _upstream_port(environment(function)))]}


def wait_ready(lab, container):
    """Until the watchdog and, in http mode, the function behind it listen."""
    pid = container["pid"]
    for port in container["ports"]:
        wait_for(f"container {container['id']}, port {port}", lambda: net.listens(pid, port), 90,
                 log=lab.log(container["id"]), alive=lambda: os.path.exists(f"/proc/{pid}/cgroup"))


def down(lab, nodes):
    """Ends all containers of these nodes and takes their mounts away, whatever state they are in."""
    for node in nodes:
        cgroup.kill(f"{lab.cgroup}/{node}")
        runtime = lab.path(node, "runc")
        for name in sorted(os.listdir(runtime)) if os.path.isdir(runtime) else []:
            run("runc", "--root", runtime, "delete", "--force", name, check=False)
        cgroup.remove(f"{lab.cgroup}/{node}")
    for place in reversed([m for m in mounts() if m.startswith(lab.dir + "/")]):
        run("umount", place)


def environment(function):
    settings = {**DEFAULTS[function.lang], **LIMITS, "port": str(PORT), **function.environment}
    if function.lang == "binary" and "fprocess" not in settings:
        settings["fprocess"] = f"{HOME}/function/{_executable(function)}"
    return settings


def _config(function, replica, node, group, dog):
    env = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": HOME, "USER": "app", "LANG": "C.UTF-8",
           "NODE_ENV": "production", "PYTHONUNBUFFERED": "1", "OPENFAAS_NAME": function.name,
           **environment(function)}
    return {
        "ociVersion": "1.0.2",
        "hostname": f"{function.name}-{replica}"[:63],
        "root": {"path": "rootfs"},
        "process": {
            "args": environment(function)["fprocess"].split() if function.plain else [WATCHDOG], "cwd": HOME, "user": {"uid": USER, "gid": USER}, "noNewPrivileges": True,
            "env": [f"{key}={value}" for key, value in env.items()],
            "capabilities": {kind: [] for kind in ("bounding", "effective", "permitted", "inheritable", "ambient")},
            "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 4096, "soft": 4096}],
        },
        "mounts": _mounts(function, dog),
        "annotations": {"openfaas.function": function.name, "openfaas.replica": str(replica),
                        "openfaas.image": f"lab/{function.name}:latest", "openfaas.node": f"node{node}"},
        "linux": {
            # Relative, so that version 1 controllers stay below this process's own groups;
            # but the unified path has to be the same wherever the lab is started from.
            "cgroupsPath": group if cgroup.own() == "/" else "/" + group,
            "namespaces": [{"type": t} for t in ("pid", "mount", "network", "uts", "ipc")],
            "resources": {"devices": [{"allow": False, "access": "rwm"}]},
            "maskedPaths": ["/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/scsi", "/sys/firmware"],
            "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
        },
    }


def _mounts(function, dog):
    mounts = [
        {"destination": "/proc", "type": "proc", "source": "proc"},
        {"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
         "options": ["nosuid", "strictatime", "mode=755", "size=64k"]},
        {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
         "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]},
        {"destination": "/dev/shm", "type": "tmpfs", "source": "shm",
         "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=64m"]},
        _bind("/usr", "/usr"), _bind(dog, WATCHDOG),
    ]
    mounts += [_bind(f"/etc/{name}", f"/etc/{name}") for name in ("ssl", "alternatives") if os.path.isdir(f"/etc/{name}")]
    modules = _modules(function)
    if modules:
        mounts.append(_bind(modules, HOME + "/node_modules"))
    return mounts


def _copy(source, destination):
    if os.path.isdir(source):
        shutil.copytree(source, destination, symlinks=True, dirs_exist_ok=True,
                        ignore=shutil.ignore_patterns("node_modules", "__pycache__"))
    else:
        os.makedirs(os.path.dirname(destination), exist_ok=True)
        shutil.copy2(source, destination)


def _bind(source, destination):
    return {"destination": destination, "type": "bind", "source": source,
            "options": ["rbind", "ro", "nosuid", "nodev"]}


def _modules(function):
    """The node_modules next to the handler or in a directory above it, up to one with a package.json."""
    directory = function.handler
    while function.lang == "node":
        if os.path.isdir(directory + "/node_modules"):
            return directory + "/node_modules"
        if os.path.exists(directory + "/package.json"):
            raise Fail(f"{directory}/node_modules is missing: run `npm ci` there (scripts/setup does)")
        parent = os.path.dirname(directory)
        if parent == directory:
            break
        directory = parent
    return None


def _executable(function):
    names = [name for name in sorted(os.listdir(function.handler))
             if os.access(f"{function.handler}/{name}", os.X_OK) and os.path.isfile(f"{function.handler}/{name}")]
    if "handler" in names:
        return "handler"
    if len(names) != 1:
        raise BadInput(f"function {function.name}: {function.handler} has {len(names)} executables: "
                       "name one `handler` or set fprocess")
    return names[0]


def _require(function, name):
    if not os.path.isfile(f"{function.handler}/{name}"):
        raise BadInput(f"function {function.name}: {function.handler}/{name} is missing")


def _upstream_port(settings):
    if settings.get("mode") != "http":
        return []
    port = settings.get("upstream_url", "").rstrip("/").rpartition(":")[2]
    return [int(port)] if port.isdigit() else []


def _runc(argv, output, log):
    if subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                      preexec_fn=die_with_parent).returncode != 0:
        raise Fail(f"{' '.join(argv[3:4])} of container {argv[-1]} failed", log=log)


def _write(path, text):
    with open(path, "w") as file:
        file.write(text)
    os.chmod(path, stat.S_IMODE(os.stat(path).st_mode) | 0o444)
