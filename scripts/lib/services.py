"""What functions find around them: the gateway, MariaDB, plain web servers, other servers."""
import grp
import os
import pwd
import shutil

from . import net, process
from .say import Fail, run, wait_for

GATEWAY_PORT = 8080
QUEUE_PORT = 8081
DATABASE_PORT = 3306
QUEUE_WORKER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "queue_worker.py")


def gateway_url():
    return f"http://{net.GATEWAY}:{GATEWAY_PORT}"


# --- gateway -----------------------------------------------------------------

NGINX = """\
daemon off;
worker_processes 1;
user {user};
pid {dir}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 4096; }}
http {{
{log}
  client_max_body_size 64m;
  client_body_temp_path {dir}/body;
  proxy_temp_path {dir}/proxy;
  fastcgi_temp_path {dir}/fastcgi;
  uwsgi_temp_path {dir}/uwsgi;
  scgi_temp_path {dir}/scgi;
  server_tokens off;
  keepalive_requests 1000000;

  # As OpenFaaS's gateway: an id only where the caller sent none, the start time always.
  map $request_id $new_id {{
    "~^(?<a>.{{8}})(?<b>.{{4}})(?<c>.{{4}})(?<d>.{{4}})(?<e>.{{12}})$" "$a-$b-$c-$d-$e";
  }}
  map $http_x_call_id $call_id {{ "" $new_id; default $http_x_call_id; }}
  map $http_x_forwarded_for $forwarded {{ "" "$remote_addr:$remote_port"; default $http_x_forwarded_for; }}
  map $msec $start_time {{ "~^(?<s>[0-9]+)\\.(?<ms>[0-9]{{3}})$" "$s${{ms}}000000"; }}

{upstreams}
  server {{
    listen {address}:{port};
    location = /healthz {{ return 200 "OK\\n"; }}
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header Host $http_host;
    proxy_set_header X-Call-Id $call_id;
    proxy_set_header X-Start-Time $start_time;
    proxy_set_header X-Forwarded-For $forwarded;
    proxy_set_header X-Forwarded-Host $http_host;
    proxy_hide_header X-Call-Id;
    add_header X-Call-Id $call_id always;
    # An invocation is never repeated behind the caller's back.
    proxy_next_upstream off;
    proxy_read_timeout 120s;
{routes}
    location / {{ return 404 "no such function\\n"; }}
  }}
}}
"""


# One line for each call: who called, what truth it carried, whom it reached and how that ended.
CALLS = ('  log_format calls escape=json \'{{"caller": "$remote_addr:$remote_port", "truth": "$http_x_truth", '
         '"uri": "$request_uri", "call_id": "$call_id", "request": "$upstream_http_x_faasprov_request", '
         '"status": "$status"}}\';\n  access_log {path} calls;')


def start_queue(lab):
    """Behind /async-function/: calls that are made later."""
    pid = process.start(lab, "queue", "queue", ["/usr/bin/python3", QUEUE_WORKER, net.QUEUE, QUEUE_PORT,
                                                f"{net.GATEWAY}:{GATEWAY_PORT}"])
    process.wait_ready(lab, "queue", lambda: net.listens(pid, QUEUE_PORT))


def start_gateway(lab, containers, calls_log=None):
    home = lab.make("gateway")
    config = f"{home}/nginx.conf"
    groups = _groups(containers)
    with open(config, "w") as file:
        file.write(NGINX.format(dir=home, user=_web_user(), address=net.GATEWAY, port=GATEWAY_PORT,
                                log=CALLS.format(path=os.path.abspath(calls_log)) if calls_log else "  access_log off;",
                                upstreams="".join(map(_upstream, groups)), routes="".join(map(_route, groups))))
    nginx = ["nginx", "-p", home, "-e", "stderr", "-c", config]
    pid = process.start(lab, "gateway", "gateway", nginx)
    process.wait_ready(lab, "gateway", lambda: net.listens(pid, GATEWAY_PORT))


def _groups(containers):
    """(route, upstream name, addresses): each function, and each of its replicas as function:N"""
    functions = {}
    for container in containers:
        functions.setdefault(container["function"], []).append(container)
    groups = []
    for name, members in functions.items():
        groups.append((name, f"fn-{name}", [c["address"] for c in members]))
        groups += [(f"{name}:{c['replica']}", f"fn-{name}--{c['replica']}", [c["address"]]) for c in members]
    return groups


def _upstream(group):
    servers = "".join(f" server {address}:8080 max_fails=0;" for address in group[2])
    return f"  upstream {group[1]} {{{servers} keepalive 32; keepalive_requests 1000000; }}\n"


def _route(group):
    return (f"    location ~ ^/function/{group[0]}(?:/|$) {{ rewrite ^/function/[^/]+/?(.*)$ /$1 break;"
            f" proxy_pass http://{group[1]}; }}\n"
            f"    location ~ ^/async-function/{group[0]}(?:/|$) {{ proxy_set_header X-Forwarded-For $http_x_forwarded_for;"
            f" proxy_set_header Host $http_host; proxy_set_header Connection \"\"; proxy_set_header X-Call-Id $call_id;"
            f" proxy_set_header X-Start-Time $start_time; proxy_pass http://{net.QUEUE}:{QUEUE_PORT}; }}\n")


def _web_user():
    user = _first_user("www-data", "nobody")
    return f"{user.pw_name} {grp.getgrgid(user.pw_gid).gr_name}"


def _first_user(*names):
    users = {user.pw_name: user for user in pwd.getpwall()}
    return next(users[name] for name in names if name in users)


# --- MariaDB -----------------------------------------------------------------

def start_database(lab, init):
    """A throw-away server with its data in the lab's directory, filled from SQL files."""
    data = lab.path("mariadb")
    # A restart would find a half-made directory of an interrupted run.
    shutil.rmtree(data, ignore_errors=True)
    # Not /tmp: a server that starts removes the temporary tables of every other one there.
    temporary = lab.path("mariadb-tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    user = _first_user("mysql", "nobody")
    for directory in (data, temporary):
        os.makedirs(directory, mode=0o750)
        os.chown(directory, user.pw_uid, user.pw_gid)
    process.run_to_end(lab, "mariadb-install", "db", [
        "mariadb-install-db", "--no-defaults", f"--datadir={data}", f"--tmpdir={temporary}", f"--user={user.pw_name}",
        "--skip-test-db", "--force",
        "--auth-root-authentication-method=socket", "--innodb-log-file-size=4M"])
    socket = f"{data}/server.sock"
    pid = process.start(lab, "mariadb", "db", [
        "mariadbd", "--no-defaults", f"--datadir={data}", f"--tmpdir={temporary}", f"--user={user.pw_name}",
        f"--socket={socket}",
        f"--pid-file={data}/server.pid", f"--bind-address={net.DATABASE}", f"--port={DATABASE_PORT}",
        "--skip-name-resolve", "--innodb-log-file-size=4M", "--innodb-buffer-pool-size=16M",
        "--innodb-flush-log-at-trx-commit=2", "--skip-log-bin"])
    process.wait_ready(lab, "mariadb", lambda: os.path.exists(socket) and net.listens(pid, DATABASE_PORT))
    for path in init:
        with open(path) as file:
            try:
                run("mariadb", "--no-defaults", f"--socket={socket}", "--user=root", stdin=file.read())
            except Fail as error:
                raise Fail(f"{path}: {error}")


# --- plain web servers -------------------------------------------------------

def start_web(lab, name, about):
    """Serves a directory's files at an address of its own, as anybody on the Internet could."""
    argv = ["/usr/bin/python3", "-u", "-m", "http.server", "--bind", about["address"], "--directory",
            about["directory"], "80"]
    pid = process.start(lab, name, name, argv)
    process.wait_ready(lab, name, lambda: net.listens(pid, 80))


def start_program(lab, name, about):
    """Starts a server that the stack file names, at an address of its own: PROGRAM ADDRESS PORT."""
    pid = process.start(lab, name, name, [about["run"], about["address"], str(about["port"])])
    process.wait_ready(lab, name, lambda: net.listens(pid, about["port"]))


def reachable(lab):
    """The gateway answers a client."""
    def answers():
        url = gateway_url() + "/healthz"
        return run(*net.enter(lab, "client"), "curl", "-s", "-m", "2", url, check=False).strip() == "OK"
    wait_for(f"gateway {gateway_url()}", answers, log=lab.log("gateway"))
