"""As relay: makes the calls that it is told to make, one after the other on one connection, or in threads."""
import concurrent.futures
import http.client
import json
import time

GATEWAY = ("gateway", 8080)


def post(connection, call, headers):
    place = "async-function" if call.get("async") else "function"
    connection.request("POST", f"/{place}/{call['to']}/{call.get('at', '')}", json.dumps(call.get("body") or {}),
                       {"Content-Type": "application/json", **headers, **call.get("headers", {})})
    response = connection.getresponse()
    response.read()
    return response.status


def alone(call, headers):
    connection = http.client.HTTPConnection(*GATEWAY, timeout=60)
    try:
        return post(connection, call, headers)
    finally:
        connection.close()


def handle(event, _):
    plan = json.loads(event.body or b"{}")
    calls = plan.get("calls") or []
    headers = {name: event.headers[name] for name in plan.get("copy", []) if event.headers.get(name)}
    if plan.get("parallel"):
        with concurrent.futures.ThreadPoolExecutor(len(calls)) as pool:
            statuses = list(pool.map(lambda call: alone(call, headers), calls))
    else:
        connection = http.client.HTTPConnection(*GATEWAY, timeout=60)
        statuses = [post(connection, call, headers) for call in calls]
        connection.close()
    time.sleep(plan.get("sleep", 0) / 1000)
    return {"statusCode": plan.get("status", 200), "body": {"statuses": statuses}}
