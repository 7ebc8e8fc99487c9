"""The servers around the shop, over loopback."""
import json
import os
import smtplib
import socket
import subprocess
import sys
import time
import unittest
import urllib.error
import urllib.request

SERVICES = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "services")


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class ServiceCase(unittest.TestCase):
    program = None

    def setUp(self):
        self.port = free_port()
        self.server = subprocess.Popen([sys.executable, os.path.join(SERVICES, self.program), "127.0.0.1", str(self.port)],
                                       stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.addCleanup(self.server.stdout.close)
        self.addCleanup(self.server.wait)
        self.addCleanup(self.server.kill)
        deadline = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except ConnectionRefusedError:
                self.assertLess(time.monotonic(), deadline)
                time.sleep(0.02)


class MailTest(ServiceCase):
    program = "mail-sink"

    def test_a_message_is_kept_as_it_was_sent(self):
        with smtplib.SMTP("127.0.0.1", self.port, timeout=20) as client:
            client.sendmail("a@shop.example", ["b@x.example", "c@x.example"], "Subject: x\r\n\r\none\r\n.two\r\n")
            client.sendmail("a@shop.example", ["d@x.example"], "second\r\n")
        first, second = (json.loads(self.server.stdout.readline()) for _ in range(2))
        self.assertEqual({"from": "a@shop.example", "to": ["b@x.example", "c@x.example"],
                          "message": "Subject: x\n\none\n.two"}, first)
        self.assertEqual(("second", ["d@x.example"]), (second["message"], second["to"]))

    def test_what_is_out_of_order_unknown_or_too_large_is_refused(self):
        with smtplib.SMTP("127.0.0.1", self.port, timeout=20) as client:
            client.ehlo()
            self.assertEqual(503, client.docmd("RCPT", "TO:<a@b>")[0])
            self.assertEqual(503, client.docmd("DATA")[0])
            self.assertEqual(500, client.docmd("VRFY", "a")[0])
            self.assertEqual(500, client.docmd("__init__")[0])
            with self.assertRaises((smtplib.SMTPException, OSError)):
                client.sendmail("a@b", ["c@d"], "x" * 8192)
        with smtplib.SMTP("127.0.0.1", self.port, timeout=20) as client:
            client.sendmail("a@b", ["c@d"], "still here\r\n")


class ClusterTest(ServiceCase):
    program = "cluster-api"

    def ask(self, path, token):
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", headers={"Authorization": f"Bearer {token}"})
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    def test_only_the_token_opens_it(self):
        with open(os.path.join(SERVICES, "..", "secrets", "cluster-token"), encoding="utf-8") as file:
            token = file.read().strip()
        path = "/api/v1/namespaces/openfaas-fn/secrets"
        self.assertEqual(401, self.ask(path, "wrong")[0])
        self.assertEqual(404, self.ask("/", token)[0])
        self.assertEqual("SecretList", self.ask(path, token)[1]["kind"])


if __name__ == "__main__":
    unittest.main()
