"""Writes an invoice to somebody: a name goes into a shell unescaped, on purpose."""
import subprocess


def handle(event, context):
    name = event.body.decode() if isinstance(event.body, bytes) else event.body
    done = subprocess.run(f"echo invoice for {name}", shell=True, stdout=subprocess.PIPE, check=False)
    return {"statusCode": 200, "body": done.stdout.decode()}
