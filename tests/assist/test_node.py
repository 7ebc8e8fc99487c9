"""The runtime assist for Node alone: what the board says where threads and processes give each other work."""
import os
import shutil
import subprocess
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
ASSIST = os.path.join(ROOT, "of-watchdog-patch", "provenance", "assist.cjs")
# Takes what the assist shows to the recorder, and reads it as that does (lib/schema/mark.def): the first byte of an id.
SHOWN = """
const fs = require('fs'), { writeSync } = fs
const IDS = 64 + 2 * 4096, NUMBERS = IDS + 16 * 4096, OWNERS = NUMBERS + 4 * 4096, LASTING = OWNERS + 8 * (1 << 17)
let running
const cares = process.binding('cares_wrap'), { getaddrinfo } = cares
globalThis.IDS = IDS
globalThis.held = [] // lookups that are answered when the test says so
cares.getaddrinfo = function (request, name) { return name === 'held.test' ? held.push(request) && 0 : getaddrinfo.apply(this, arguments) }
fs.writeSync = (descriptor, what, ...more) => {
  if (descriptor !== 0x46505256) return writeSync(descriptor, what, ...more)
  if (what.length === 8) running = what
  else globalThis.board = what
}
globalThis.says = () => {
  const resource = running?.readDoubleLE()
  if (running === undefined || resource === board.readDoubleLE(16)) return board[0]
  const places = [OWNERS + 8 * (resource % (1 << 17)), ...[0, 1, 2, 3].map(i => LASTING + 32 * (resource % 1024) + 8 * i)]
  const owner = places.find(at => board.readUInt32LE(at) === resource % 2 ** 32)
  if (owner === undefined) return 0
  const number = Math.abs(board.readInt32LE(owner + 4)), place = 1 + number % 4095
  if (board.readInt32LE(NUMBERS + 4 * place) !== number) return 0
  return board[IDS + 16 * place]
}
"""
# request(5, f) runs f as the handler of the invocation 0505...; resolves when what it returns does.
BEGINNING = """
const http = require('http'), { once } = require('events'), { setImmediate: turn } = require('timers/promises')
const handlers = []
const server = http.createServer(async (request, response) => {
  await handlers[request.url.slice(1)]()
  response.end()
}).listen(0, '127.0.0.1')
const listening = once(server, 'listening')
async function request (n, handler) {
  await listening
  const path = '/' + (handlers.push(handler) - 1)
  const id = n.toString(16).padStart(2, '0').repeat(16)
  const asked = http.get({ port: server.address().port, path, agent: false, headers: { 'X-Faasprov-Request': id } })
  const [response] = await once(asked, 'response')
  response.resume()
  await once(response, 'end')
}
function done () { server.close() }
const said = []
function say () { said.push(says()) }
function show () { console.log(said.join(' ')) }
"""


class Assisted(unittest.TestCase):
    def setUp(self):
        self.home = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.home)
        self.write("shown.cjs", SHOWN)

    def write(self, name, text):
        path = os.path.join(self.home, name)
        with open(path, "w") as file:
            file.write(text)
        return path

    def run_node(self, program, beginning=BEGINNING, before="shown.cjs"):
        options = f"--require={self.home}/{before} --require={ASSIST}"
        done = subprocess.run(["node", self.write("main.cjs", beginning + program)], cwd=self.home,
                              env={**os.environ, "NODE_OPTIONS": options}, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, timeout=120, check=False)
        self.assertEqual(("", 0), (done.stderr, done.returncode))
        return done.stdout.split("\n")[:-1]

    def test_a_child_process_works_for_who_sent_the_message(self):
        """Made in one invocation, asked by others, answers late and in another order; and its answers are theirs."""
        self.write("child.cjs", """
process.on('message', ({ n, ms }) => {
  const at = says()
  setTimeout(() => process.send({ n, seen: [at, says()] }), ms)
})
""")
        for serialization in ("json", "advanced"):
            self.assertEqual(["5 5 5 5", "6 6 6 6", "7 7 7 7", "0 0 0 0"], self.run_node("""
const { fork } = require('child_process')
let child
const answers = {}
function ask (n, ms) {
  child ??= fork('./child.cjs', { serialization: '%s' }).on('message', ({ n, seen }) => answers[n]([...seen, says()]))
  return new Promise(resolve => {
    answers[n] = seen => resolve([...seen, says()])
    child.send({ n, ms })
  })
}
const seen = {};
(async () => {
  await Promise.all([request(5, async () => { seen[5] = await ask(5, 60) }), request(6, async () => { seen[6] = await ask(6, 30) }),
    request(7, async () => { seen[7] = await ask(7, 1) })])
  seen[0] = await ask(0, 1)
  for (const n of [5, 6, 7, 0]) console.log(seen[n].join(' '))
  child.disconnect()
  done()
})()
""" % serialization))

    def test_what_a_child_writes_is_for_who_wrote_to_it(self):
        """A helper that lines are piped through, made by the first who asks; when two wait for it, it is nobody's."""
        self.write("child.cjs", """
let held = ''
process.stdin.on('data', line => {
  held += line
  if (held.includes('7') !== held.includes('8')) return
  process.stdout.write(held)
  held = ''
})
""")
        self.assertEqual(["5 6 0 0"], self.run_node("""
let child
async function ask (n) {
  child ??= require('child_process').spawn(process.execPath, ['child.cjs'], { stdio: ['pipe', 'pipe', 'inherit'] })
  child.stdin.write(n + '\\n')
  await new Promise(resolve => child.stdout.once('data', () => { say(); resolve() }))
}
(async () => {
  await request(5, () => ask(5))
  await request(6, () => ask(6))
  await Promise.all([request(7, () => ask(7)), request(8, () => ask(8))])
  child.kill()
  show()
  done()
})()
"""))

    def test_messages_that_wait_for_a_listener_keep_theirs(self):
        self.write("child.cjs", """
setTimeout(() => process.on('message', n => process.send([n, says()])), 100)
""")
        self.assertEqual(["5,5 6,6 6,6 5,5"], self.run_node("""
const child = require('child_process').fork('./child.cjs')
const all = []
child.on('message', answer => {
  if (all.push(answer) < 4) return
  console.log(all.join(' '))
  child.disconnect()
  done()
});
(async () => {
  for (const n of [5, 6, 6, 5]) await request(n, () => child.send(n))
})()
"""))

    def test_a_child_without_the_assist_gets_the_same_messages(self):
        self.write("child.cjs", "process.on('message', n => process.send(n))")
        self.assertEqual(["5 6"], self.run_node("""
const child = require('child_process').fork('./child.cjs', { env: {} })
const all = []
child.on('message', answer => {
  if (all.push(answer) < 2) return
  console.log(all.join(' '))
  child.disconnect()
  done()
});
(async () => {
  for (const n of [5, 6]) await request(n, () => child.send(n))
})()
"""))

    THREAD = """
const { parentPort } = require('worker_threads')
parentPort.on('message', ({ n, ms }) => {
  const at = says()
  setTimeout(() => parentPort.postMessage({ n, seen: [at, says()] }), ms)
})
"""

    def test_a_worker_thread_works_for_who_posted_the_message(self):
        self.write("thread.cjs", self.THREAD)
        self.assertEqual(["5 5 5 5", "6 6 6 6", "7 7 7 7", "0 0 0 0"], self.run_node("""
const { Worker } = require('worker_threads')
let worker
const answers = {}
function ask (n, ms) {
  worker ??= new Worker('./thread.cjs').on('message', ({ n, seen }) => answers[n]([...seen, says()]))
  return new Promise(resolve => {
    answers[n] = seen => resolve([...seen, says()])
    worker.postMessage({ n, ms })
  })
}
const seen = {};
(async () => {
  await Promise.all([request(5, async () => { seen[5] = await ask(5, 60) }), request(6, async () => { seen[6] = await ask(6, 30) }),
    request(7, async () => { seen[7] = await ask(7, 1) })])
  seen[0] = await ask(0, 1)
  for (const n of [5, 6, 7, 0]) console.log(seen[n].join(' '))
  worker.terminate()
  done()
})()
"""))

    def test_a_worker_thread_that_is_only_started_works_for_who_started_it(self):
        self.write("thread.cjs", """
const { parentPort } = require('worker_threads')
const at = says()
setTimeout(() => parentPort.postMessage([at, says()]), 5)
""")
        self.assertEqual(["5 5 5"], self.run_node("""
const { Worker } = require('worker_threads');
(async () => {
  await request(5, () => new Promise(resolve => new Worker('./thread.cjs').on('message', seen => {
    console.log([...seen, says()].join(' '))
    resolve()
  })))
  done()
})()
"""))

    def test_more_messages_than_are_remembered_are_nobodys(self):
        """The thread is busy until all have been posted."""
        self.write("thread.cjs", """
const { parentPort, workerData } = require('worker_threads')
Atomics.wait(workerData, 0, 0)
const all = []
parentPort.on('message', n => all.push(says()) === 100 && parentPort.postMessage(all))
""")
        self.assertEqual(["36 of 0, 64 of 5"], self.run_node("""
const { Worker } = require('worker_threads')
const go = new Int32Array(new SharedArrayBuffer(4));
(async () => {
  await request(5, () => new Promise(resolve => {
    const worker = new Worker('./thread.cjs', { workerData: go }).on('message', all => {
      console.log(`${all.filter(n => n === 0).length} of 0, ${all.filter(n => n === 5).length} of 5`)
      worker.terminate()
      resolve()
    })
    for (let n = 0; n < 100; n++) worker.postMessage(n)
    Atomics.store(go, 0, 1)
    Atomics.notify(go, 0)
  }))
  done()
})()
"""))

    def test_other_ports_and_memory_say_nothing(self):
        self.write("thread.cjs", """
const { parentPort, workerData: { port, go }, receiveMessageOnPort } = require('worker_threads')
const all = [says()]
port.on('message', () => {
  all.push(says())
  parentPort.once('message', () => {
    all.push(says())
    Atomics.wait(go, 0, 0)
    all.push(says())
    let message
    while ((message = receiveMessageOnPort(parentPort)) === undefined);
    all.push(says())
    while ((message = receiveMessageOnPort(port)) === undefined);
    all.push(says())
    parentPort.postMessage(all)
  })
})
""")
        self.assertEqual(["5 0 6 0 6 0"], self.run_node("""
const { Worker, MessageChannel } = require('worker_threads')
const go = new Int32Array(new SharedArrayBuffer(4))
let worker
const { port1, port2 } = new MessageChannel();
(async () => {
  await request(5, async () => {
    worker = new Worker('./thread.cjs', { workerData: { port: port2, go }, transferList: [port2] })
    port1.postMessage(1)
    await once(worker, 'online')
  })
  await request(6, async () => {
    worker.postMessage(1)
    while (Atomics.notify(go, 0) === 0) await turn()
    worker.postMessage(2)
    port1.postMessage(2)
    const [all] = await once(worker, 'message')
    console.log(all.join(' '))
  })
  port1.close()
  worker.terminate()
  done()
})()
"""))

    def test_a_connection_takes_nobodys_place(self):
        """What is made after a connection was has the place in the table that the connection's number has, and neither loses its own."""
        lines = self.run_node("""
const { AsyncResource } = require('async_hooks')
const made = []
// Resources until one has the place of the number.
function makeLike (number) {
  let resource
  do {
    resource = new AsyncResource('made')
  } while ((resource.asyncId() - number) % (1 << 17) !== 0)
  made.push(resource)
}
handlers.length = 0
server.removeAllListeners('request')
let asked
server.on('request', (request, response) => {
  if (made.length === 0) {
    makeLike(request.socket._handle.getAsyncId())
    makeLike(request.socket.parser.getAsyncId())
    request.once('data', () => {
      say() // in the parser's own context: 1
      request.on('data', () => {})
      request.once('end', () => response.end())
    })
    asked.end('body')
  } else {
    say() // 2
    for (const resource of made) resource.runInAsyncScope(say) // 1 1
    response.end()
  }
})
async function ask (n, agent) {
  await listening
  const headers = { 'X-Faasprov-Request': n.toString(16).padStart(2, '0').repeat(16) }
  asked = http.request({ port: server.address().port, agent, headers, method: 'POST' })
  if (n === 1) asked.flushHeaders()
  else asked.end()
  const [response] = await once(asked, 'response')
  response.resume()
  await once(response, 'end')
}
async function main () {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
  await ask(1, agent)
  await ask(2, agent)
  agent.destroy()
  done()
  show()
}
main()
""")
        self.assertEqual(["1 2 1 1"], lines)

    def test_the_function_does_not_see_the_header(self):
        """Also among more headers than Node's parser hands over at once; what only looks like it stays."""
        self.assertEqual(["5 0 0", "6 0 40", "0 1 0"], self.run_node("""
server.removeAllListeners('request').on('request', (request, response) => {
  const theirs = request.rawHeaders.filter(name => name.startsWith('H-')).length
  const seen = request.rawHeaders.filter(name => /^x-faasprov-request$/i.test(name)).length
  if (seen !== Object.keys(request.headers).filter(name => name === 'x-faasprov-request').length) throw new Error('both or none')
  console.log(says(), seen, theirs)
  response.end()
})
async function ask (id, n) {
  const headers = { 'x-Faasprov-request': id }
  for (let i = 0; i < n; i++) headers[`H-${i}`] = 'x'
  const [response] = await once(http.get({ port: server.address().port, agent: false, headers }), 'response')
  response.resume()
  await once(response, 'end')
}
(async () => {
  await listening
  await ask('05'.repeat(16), 0)
  await ask('06'.repeat(16), 40)
  await ask('g7'.repeat(16), 0)
  done()
})()
"""))

    def test_an_answers_header_says_nothing(self):
        """Of another function, say; Node lends the parsers of a server's connections to those of a client."""
        self.assertEqual([" ".join("6" * 12)], self.run_node("""
const net = require('net')
const other = net.createServer(socket => {
  socket.end(`HTTP/1.1 200 OK\\r\\nX-Faasprov-Request: ${'07'.repeat(16)}\\r\\n\\r\\nx`)
}).listen(0, '127.0.0.1')
const seen = []
async function ask () {
  const [response] = await once(http.get({ port: other.address().port, agent: false }), 'response')
  seen.push(says())
  if (response.headers['x-faasprov-request'] !== '07'.repeat(16)) throw new Error('the header is gone')
  response.resume()
  await once(response, 'end')
  seen.push(says())
}
(async () => {
  await Promise.all([5, 5, 5, 5].map(n => request(n, () => turn())))
  await request(6, () => Promise.all([ask(), ask(), ask(), ask(), ask(), ask()]))
  done()
  other.close()
  console.log(seen.join(' '))
})()
"""))

    def test_a_server_of_several_processes_works_for_whose_request_each_reads(self):
        self.assertEqual(["5 6 7"], self.run_node("""
const cluster = require('cluster'), http = require('http'), { once } = require('events')
const { setImmediate: turn } = require('timers/promises')
if (cluster.isPrimary) {
  cluster.fork()
  cluster.fork()
  cluster.on('listening', async (worker, address) => {
    if (++cluster.listened !== 2) return
    const all = []
    for (const n of [5, 6, 7]) {
      const id = n.toString(16).padStart(2, '0').repeat(16)
      const [response] = await once(http.get({ port: address.port, agent: false, headers: { 'X-Faasprov-Request': id } }), 'response')
      all.push(String(await once(response, 'data')))
    }
    console.log(all.join(' '))
    cluster.disconnect()
  })
  cluster.listened = 0
} else {
  http.createServer(async (request, response) => {
    await turn()
    response.end(String(says()))
  }).listen(0, '127.0.0.1')
}
""", beginning=""))

    def test_half_an_id_holds_for_nothing(self):
        """A signal's handler can make a call between the writing of two parts of it."""
        self.write("watched.cjs", """
require('./shown.cjs')
globalThis.held = new Set() // for which number the board's first id held when a part of it was written
globalThis.Int32Array = new Proxy(Int32Array, {
  construct (Array, args) {
    const array = new Array(...args)
    if (args[2] !== 4) return array
    const within = new Float64Array(array.buffer, array.byteOffset + 16, 1)
    return new Proxy(array, { set (_, at, value) { held.add(within[0]); array[at] = value; return true } })
  }
})
""")
        self.assertEqual(["5 5 6 6 -1"], self.run_node("""
(async () => {
  const go = [5, 6].map(n => request(n, async () => { say(); await turn(); await null; say() }))
  await Promise.all(go)
  said.sort().push(...held)
  show()
  done()
})()
""", before="watched.cjs"))

    def test_the_pools_lookups_are_told_while_they_are_one_invocations(self):
        """One, a second one of the same, one of another beside them, without the first two, and without any; and where others use the pool."""
        program = """
const dns = require('dns')
const lookup = () => new Promise(resolve => dns.lookup('held.test', resolve))
const isDone = () => held.shift().oncomplete(null, ['127.0.0.1'])
function told () {
  const place = board.readUInt32LE(24)
  said.push(place && board[IDS + 16 * place])
}
(async () => {
  %s
  const all = [request(5, () => { const one = lookup(); told(); const two = lookup(); told(); return Promise.all([one, two]) })]
  while (held.length < 2) await turn()
  all.push(request(6, () => { const one = lookup(); told(); return one }))
  while (held.length < 3) await turn()
  for (let n = 0; n < 3; n++) { isDone(); told() }
  await Promise.all(all)
  show()
  done()
})()
"""
        self.assertEqual(["5 5 0 0 6 0"], self.run_node(program % ""))
        self.assertEqual(["0 0 0 0 0 0"], self.run_node(program % "await once(new (require('worker_threads').Worker)('0', { eval: true }), 'exit')"))
        self.assertEqual(["0 0 0 0 0 0"], self.run_node(program % "try { process.dlopen({ exports: {} }, '/nowhere.node') } catch {}"))

    def test_a_descriptor_that_is_closed_is_nobodys(self):
        self.assertEqual(["5 0 5 0"], self.run_node("""
const { open } = require('fs/promises')
function told (fd) {
  const place = board.readUInt16LE(64 + 2 * fd)
  said.push(place && board[IDS + 16 * place])
}
(async () => {
  await request(5, async () => {
    const file = await open('/dev/null')
    const { fd } = file
    told(fd)
    await file.close()
    told(fd)
    const other = await new Promise(resolve => fs.open('/dev/null', (_, fd) => resolve(fd)))
    told(other)
    await new Promise(resolve => fs.close(other, resolve))
    told(other)
  })
  show()
  done()
})()
""", BEGINNING + "const fs = require('fs')\n"))

    def test_a_descriptor_of_nobody_is_still_the_runtimes(self):
        """What the C library opens by itself is known by having nothing in the table."""
        self.assertEqual(["65535 5 65535 0"], self.run_node("""
const { open, read } = require('fs')
const told = fd => said.push(board.readUInt16LE(64 + 2 * fd))
const opened = () => new Promise(resolve => open('/dev/null', (_, fd) => resolve(fd)))
const ended = fd => new Promise(resolve => fs.close(fd, resolve));
(async () => {
  const early = await opened()
  told(early)
  await ended(early)
  let shared
  await request(5, async () => {
    shared = await opened()
    said.push(board[IDS + 16 * board.readUInt16LE(64 + 2 * shared)])
  })
  await request(6, () => new Promise(resolve => read(shared, Buffer.alloc(1), 0, 1, null, resolve)))
  told(shared)
  await ended(shared)
  told(shared)
  show()
  done()
})()
""", BEGINNING + "const fs = require('fs')\n"))

    @unittest.skipUnless(shutil.which("openssl"), "needs openssl to make a certificate")
    def test_what_goes_out_when_hands_are_shaken_is_told_until_it_has(self):
        with tempfile.TemporaryDirectory() as home:
            subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                            "-subj", "/CN=x.example", "-keyout", f"{home}/key", "-out", f"{home}/certificate"], check=True, capture_output=True)
            self.assertEqual(["0 5 0 0 6"], self.run_node(f"const home = '{home}'\n" + """
const tls = require('tls'), net = require('net')
const encrypted = tls.createServer({ key: fs.readFileSync(home + '/key'), cert: fs.readFileSync(home + '/certificate') }, s => s.resume())
function told (socket) {
  const place = board.readUInt16LE(64 + 2 * socket._handle.fd)
  said.push(place && board[IDS + 16 * place])
}
(async () => {
  await once(encrypted.listen(0), 'listening')
  let client
  await request(5, async () => {
    client = tls.connect({ port: encrypted.address().port, rejectUnauthorized: false })
    await once(client, 'connect')
    told(client)
    const written = new Promise(resolve => client.write('x', resolve))
    told(client)
    await written
    told(client)
  })
  await request(6, async () => {
    client.write('y')
    told(client) // in his own callback
    say()
  })
  client.destroy()
  encrypted.close()
  show()
  done()
})()
""", BEGINNING + "const fs = require('fs')\n"))

    # A server of Redis' protocol that says what the test tells it to, and a client that keeps what is to be done with
    # each answer: ask(5) says whose that is when it comes.
    REDIS = r"""
const net = require('net')
const redis = net.createServer(socket => { peer = socket.on('data', data => { heard += data }) }).listen(0, '127.0.0.1')
const callbacks = []
let peer, client, heard = '', rest = ''
function command (...words) { return `*${words.length}\r\n` + words.map(word => `$${word.length}\r\n${word}\r\n`).join('') }
function answer (...numbers) { return numbers.map(n => `$2\r\na${n}\r\n`).join('') }
async function until (condition) { while (!condition()) await turn() }
async function hears (n) { await until(() => heard.split('ECHO').length > n) }
async function tells (text) {
  const before = client.bytesRead
  peer.write(text)
  await until(() => client.bytesRead >= before + text.length)
}
function answered () { return new Promise(resolve => callbacks.push(word => { said.push(word + ':' + says()); resolve() })) }
function ask (n, text = command('ECHO', 'a' + n)) {
  client.write(text)
  return answered()
}
async function connect () {
  await once(redis, 'listening')
  client = net.connect(redis.address().port, '127.0.0.1').on('data', data => {
    rest += data
    for (let one; (one = /^[^$]*\$2\r\n(..)\r\n/.exec(rest)); rest = rest.slice(one[0].length)) callbacks.shift()(one[1])
  })
  await once(client, 'connect')
}
// Requests that ask one after the other, when the server has heard so many.
async function inOrder (handlers, heard, numbers = [5, 6, 7]) {
  const all = []
  for (const handler of handlers) {
    all.push(request(numbers[all.length], handler))
    await hears(heard + all.length)
  }
  return all
}
async function begin () {
  await connect()
  const first = ask(0)
  await hears(1)
  await tells(answer(0))
  await first
  said.length = 0
}
function end () {
  client.destroy()
  redis.close()
  show()
  done()
}
"""

    def run_redis(self, program):
        return self.run_node("(async () => {\n" + program + "\nend()\n})()", BEGINNING + self.REDIS)

    def test_answers_that_come_in_order_are_for_who_asked(self):
        """Three ask on one connection before any answer; then one asks twice."""
        self.assertEqual(["a5:5 a6:6 a7:7 a6:6 a5:5 a5:5"], self.run_redis("""
await begin()
const all = await inOrder([5, 6, 7].map(n => () => ask(n)), 1)
await tells(answer(5, 6, 7))
await Promise.all(all)
const again = await inOrder([() => ask(6), async () => { await ask(5); await ask(5) }], 4, [6, 5])
await tells(answer(6, 5))
await hears(7)
await tells(answer(5))
await Promise.all(again)
"""))

    def test_an_answer_in_pieces_is_whole(self):
        self.assertEqual(["a5:5 a6:6", "true"], self.run_redis(r"""
await begin()
let all = ''
client.prependListener('data', data => { all += data })
const asked = await inOrder([5, 6].map(n => () => ask(n)), 1)
for (const piece of ['$', '2\r', '\na5\r\n$2', '\r\na', '6\r\n']) await tells(piece)
await Promise.all(asked)
process.on('exit', () => console.log(all === answer(5, 6)))
"""))

    def test_what_a_client_may_have_held_back_is_nobodys(self):
        """Until the first answer; and what one writes without a pause."""
        self.assertEqual(["a5:0 a6:0"], self.run_redis("""
await connect()
const all = [5, 6].map(n => request(n, () => ask(n)))
await hears(2)
await tells(answer(5, 6))
await Promise.all(all)
"""))
        self.assertEqual(["a5:0 a6:0 a7:0 a8:0 a9:9"], self.run_redis("""
await begin()
const all = [request(5, () => Promise.all([ask(5), ask(6)]))]
await hears(3)
all.push(request(7, () => Promise.all([ask(7, command('ECHO', 'a7') + command('ECHO', 'a8')), answered()])))
await hears(5)
all.push(request(9, () => ask(9)))
await hears(6)
await tells(answer(5, 6, 7, 8, 9))
await Promise.all(all)
"""))

    def test_where_the_order_ends_nothing_is_said(self):
        """More answers than commands, something else than an answer, and what is not answered once."""
        for unasked in ("+1\r\n", ">1\r\n+a\r\n", "strange\r\n"):
            self.assertEqual(["a5:0 a6:0"], self.run_redis("""
await begin()
const all = [5, 6].map(n => request(n, () => ask(n)))
await hears(3)
await tells(%r + answer(5, 6))
await Promise.all(all)
""" % unasked))
        self.assertEqual(["a5:0 a6:0"], self.run_redis("""
await begin()
client.write(command('SUBSCRIBE', 'news'))
const all = [5, 6].map(n => request(n, () => ask(n)))
await hears(3)
await tells('*3\\r\\n+subscribe\\r\\n+news\\r\\n:1\\r\\n' + answer(5, 6))
await Promise.all(all)
"""))

    def test_another_protocols_answers_are_nobodys(self):
        self.assertEqual(["a5:0 a6:0"], self.run_redis("""
await connect()
client.write('hello')
await until(() => heard)
await tells('hello')
const all = [5, 6].map(n => request(n, () => ask(n)))
await hears(2)
await tells(answer(5, 6))
await Promise.all(all)
"""))


if __name__ == "__main__":
    unittest.main()
