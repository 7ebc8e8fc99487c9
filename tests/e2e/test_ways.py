"""Ways in which one request can leave something for another in a warm container."""
import json
import os
import unittest

from e2e.world import SHOP, LabCase, needs_recording

VICTIM = "product-purchase-authorize-cc"
CARD = "4012888888881881"
USERS = ("alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi")


def python(program):
    return "python3 -c '" + program + "'"


def until(path):
    """Waits until there is something in the file, for half a minute at most."""
    return f"for i in $(seq 300); do [ -s {path} ] && break; sleep 0.1; done; "


# Name: a word that the last answer has when it works, and the commands of its requests, one after the
# other.  All of these requests must be in the slice of the last.
WAYS = {
    "copied and renamed": ("one", "echo echo one >/tmp/a1", "cp /tmp/a1 /tmp/b1 && mv /tmp/b1 /tmp/c1", "sh /tmp/c1"),
    "a hard link": ("two", "echo echo two >/tmp/a2", "ln /tmp/a2 /tmp/b2", "sh /tmp/b2"),
    "shared memory": ("six", "echo echo six >/dev/shm/a6", "sh /dev/shm/a6"),
    "left running": ("seven", "(sleep 0.3; echo echo seven >/tmp/a7) >/dev/null 2>&1 &", until("/tmp/a7") + "sh /tmp/a7"),
    "a named pipe": ("eight", "mkfifo /tmp/a8; (sh </tmp/a8 >/tmp/b8 2>&1) >/dev/null 2>&1 &",
                     "echo echo eight >/tmp/a8", until("/tmp/b8") + "cat /tmp/b8"),
    "a unix socket": ("echo nine", 
        python('import socket,os\ns=socket.socket(socket.AF_UNIX)\ns.bind("/tmp/a9")\ns.listen()\n'
               'os.fork() and os._exit(0)\nos.setsid()\n[os.close(n) for n in (0,1,2)]\n'
               'c=s.accept()[0]\nd=c.recv(99)\nc=s.accept()[0]\nc.send(d)'),
        python('import socket\ns=socket.socket(socket.AF_UNIX)\ns.connect("/tmp/a9")\ns.send(b"echo nine")\ns.close()'),
        python('import socket\ns=socket.socket(socket.AF_UNIX)\ns.connect("/tmp/a9")\nprint(s.recv(99))')),
    "a connection inside": ("echo ten", 
        python('import socket,os\ns=socket.socket()\ns.bind(("127.0.0.1",4710))\ns.listen()\n'
               'os.fork() and os._exit(0)\nos.setsid()\n[os.close(n) for n in (0,1,2)]\n'
               'c=s.accept()[0]\nd=c.recv(99)\nc=s.accept()[0]\nc.send(d)'),
        python('import socket\ns=socket.socket()\ns.connect(("127.0.0.1",4710))\ns.send(b"echo ten")\ns.close()'),
        python('import socket\ns=socket.socket()\ns.connect(("127.0.0.1",4710))\nprint(s.recv(99))')),
    "memory mapped": ("echo", 
        python('import mmap,os\nf=os.open("/dev/shm/a11",os.O_RDWR|os.O_CREAT)\nos.ftruncate(f,99)\n'
               'm=mmap.mmap(f,99)\nm[:4]=b"echo"'),
        python('import mmap,os\nf=os.open("/dev/shm/a11",os.O_RDONLY)\nm=mmap.mmap(f,99,prot=mmap.PROT_READ)\nprint(m[:4])')),
    "a file without a name": ("twelve", 
        python('import os,time\nf=os.memfd_create("a12")\nos.write(f,b"#!/bin/sh\\necho twelve\\n")\n'
               'os.fork() and os._exit(0)\nos.setsid()\nopen("/tmp/p12","w").write("/proc/%d/fd/%d"%(os.getpid(),f))\n'
               '[os.close(n) for n in (0,1,2)]\ntime.sleep(9)') + "; " + until("/tmp/p12"),
        "sh $(cat /tmp/p12)"),
    "a watcher": ("thirteen", f"({until('/tmp/a13')}sh /tmp/a13 >/tmp/b13) >/dev/null 2>&1 &",
                  "echo echo thirteen >/tmp/a13", until("/tmp/b13") + "cat /tmp/b13"),
    "a table": ("14", 'MYSQL_PWD=$db_password mysql -h$db_host -u$db_user $db_name -e '
                '"INSERT INTO productCategory VALUES (14)"',
                'MYSQL_PWD=$db_password mysql -h$db_host -u$db_user $db_name -e "SELECT * FROM productCategory"'),
    "appended and cut": ("e18", "printf \"echo e18\" >/tmp/a18", "echo x >>/tmp/a18", "truncate -s 8 /tmp/a18", "sh /tmp/a18"),
    "mode alone": ("m19", "echo echo m19 >/tmp/a19", "chmod 755 /tmp/a19", "sh -c /tmp/a19"),
    "a library": ("l20", "cp /usr/lib/x86_64-linux-gnu/libz.so.1 /tmp/a20.so", "LD_PRELOAD=/tmp/a20.so /bin/echo l20"),
    "an environment file": ("A=21", "echo export A=21 >/tmp/a21", ". /tmp/a21; env"),
    "an archive": ("x22", "mkdir /tmp/a22; echo echo x22 >/tmp/a22/s; tar -C /tmp -cf /tmp/b22 a22", "tar -C /dev/shm -xf /tmp/b22",
                   "sh /dev/shm/a22/s"),
    "a process that is told": ("told", "(trap \"echo told >/tmp/a23; exit\" USR1; echo >/tmp/q23; "
                               "for i in $(seq 300); do sleep 0.1; done) >/dev/null 2>&1 & "
                               f"echo $! >/tmp/p23; {until('/tmp/q23')}",
                               f"kill -USR1 $(cat /tmp/p23); {until('/tmp/a23')}", "cat /tmp/a23"),
}


@needs_recording
class Ways(LabCase):
    @classmethod
    def stack(cls):
        return os.path.join(SHOP, "stack.yml")

    @classmethod
    def story(cls):
        """All over one connection, with a request of somebody else before the last of each way."""
        commands = [(way, command) for way, (_, *parts) in WAYS.items() for command in [*parts[:-1], "", parts[-1]]]
        bodies = [json.dumps({"user": USERS[number % len(USERS)], "creditCard": f"{CARD};{command}"})
                  for number, (_, command) in enumerate(commands)]
        out = cls.lab("invoke", VICTIM, "--data", "-", "--lines", "--json", stdin="\n".join(bodies))
        cls.answers = {way: [] for way in WAYS}
        for (way, command), line in zip(commands, out.splitlines()):
            if command:
                cls.answers[way].append(json.loads(line))

    def test_they_work(self):
        for way, answers in self.answers.items():
            with self.subTest(way):
                self.assertEqual(len(WAYS[way]) - 1, len(answers))
                self.assertIn(WAYS[way][0], json.loads(answers[-1]["body"])["issuer"])

    def test_each_request_of_a_way_is_in_the_slice_of_the_last_and_no_other(self):
        for way, answers in self.answers.items():
            with self.subTest(way):
                own = [answer["request"] for answer in answers]
                trace = self.ask("trace", own[-1], "--backward")
                self.assert_complete(trace)
                self.assert_reaches(trace, *own)
                self.assert_free_of(trace, self.strangers(*own))


if __name__ == "__main__":
    unittest.main()
