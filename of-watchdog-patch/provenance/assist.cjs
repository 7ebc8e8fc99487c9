'use strict'
/*
 * The runtime assist for Node: keeps, in memory that it has shown to the
 * recorder once, which invocation each thread works for.  fwatchdog loads it
 * before the function (--require in NODE_OPTIONS); nothing of the function is
 * changed.
 *
 * The memory is the board of lib/schema/mark.def.  Whose an asynchronous resource
 * is, is noted there by its number when it is made, in tables of fixed size: of what is too old for
 * them, the board says nothing, which is never wrong.  Which resource's callback runs, Node itself keeps in memory,
 * and the recorder reads it there: nothing at all is done when the context changes.  What the thread pool does for
 * JavaScript is told by the board's own tables: which descriptor is whose, and, in
 * bits of an open's mode that mean nothing, whose the open is.
 */
const { AsyncResource, createHook, executionAsyncId } = require('node:async_hooks')
const children = require('node:child_process')
const { writeSync } = require('node:fs')
const { Server } = require('node:http')
const Module = require('node:module')
const { Socket } = require('node:net')
const { promiseHooks } = require('node:v8')
const { isMainThread, parentPort, setEnvironmentData, getEnvironmentData, Worker } = require('node:worker_threads')

const BOARD_DESCRIPTOR = 0x46505256
const DESCRIPTORS = 4096
const UNSAID = 0xffff // in place of a place: the descriptor is JavaScript's, and nothing more is said
const PLACES = 4096
const RESOURCES = 1 << 17 // a request of some size makes a few hundred
const LASTING = 1024 // sets of four: connections
const MODE_BITS = 12
const HEADER = 'x-faasprov-request'
const MYSQL2 = /(^|[\\/])mysql2([\\/]|$)/
const BOUND = Symbol('faasprov.bound')
const WORKER = 'faasprov.invocation' // environment data that a worker thread is born with
const BOARD = 'faasprov.board' // the same: what it shows of its board
const LENT = Symbol('faasprov.board')
const OUTPUTS = Symbol('faasprov.outputs')

const board = Buffer.alloc(64 + 2 * DESCRIPTORS + 20 * PLACES + 8 * RESOURCES + 32 * LASTING)
// A thread that ends does more when its own memory is gone, and maybe another's: what a worker thread shows is its parent's.
const lent = isMainThread ? undefined : getEnvironmentData(BOARD)
const shown = lent instanceof SharedArrayBuffer ? Buffer.from(lent, 0, 64) : board
const current = new Int32Array(shown.buffer, shown.byteOffset, 4)
const lookups = new Uint32Array(board.buffer, board.byteOffset + 24, 1)
const descriptors = new Uint16Array(board.buffer, board.byteOffset + 64, DESCRIPTORS)
const ids = new Int32Array(board.buffer, board.byteOffset + 64 + 2 * DESCRIPTORS, 4 * PLACES)
const numbers = new Int32Array(board.buffer, ids.byteOffset + ids.byteLength, PLACES) // which invocation each place holds
const owners = new Int32Array(board.buffer, numbers.byteOffset + numbers.byteLength, 2 * RESOURCES) // a number, whose it is
const lasting = new Int32Array(board.buffer, owners.byteOffset + owners.byteLength, 8 * LASTING) // the same

// --- invocations: numbers from 1; the last ones have a place on the board ------

let newest = 0

// A number below zero is the same invocation by hearsay: an answer came for it on a connection that a pool may lend to
// others, and nothing since (a promise of its own, a bound callback) has confirmed that it is still at work.
function place (invocation) {
  return 1 + Math.abs(invocation) % (PLACES - 1)
}

function known (invocation) {
  return invocation !== 0 && numbers[place(invocation)] === Math.abs(invocation)
}

const underWay = new Map() // how many name lookups each invocation has
let othersUsePool = false

// Which places hold ids, by the first bits of each id, in sets of four: the latest first.
const SETS = 4096
const places = new Uint16Array(4 * SETS)
const DIGITS = Int8Array.from({ length: 256 }, (_, c) => '0123456789abcdef'.indexOf(String.fromCharCode(c)))
const bytes = new Uint8Array(16) // of the id that is looked at
const words = new Int32Array(bytes.buffer)

function read (id) {
  if (id.length !== 32) return false
  let any = 0
  for (let i = 0; i < 16; i++) {
    const high = id.charCodeAt(2 * i)
    const low = id.charCodeAt(2 * i + 1)
    bytes[i] = DIGITS[high & 255] << 4 | DIGITS[low & 255]
    any |= DIGITS[high & 255] | DIGITS[low & 255] | 255 - (high | low)
  }
  return any >= 0
}

// The number of an invocation, from its id; 0: that is no id.
function take (id) {
  if (!read(id)) return 0
  const set = 4 * (words[0] & SETS - 1)
  for (let i = set; i < set + 4; i++) {
    const at = 4 * places[i]
    if (at !== 0 && ids[at] === words[0] && ids[at + 1] === words[1] && ids[at + 2] === words[2] &&
        ids[at + 3] === words[3]) return numbers[places[i]]
  }
  newest = newest % 0x7fffffff + 1
  const at = place(newest)
  if (lookups[0] === at) lookups[0] = 0
  numbers[at] = newest
  for (let i = 0; i < 4; i++) ids[4 * at + i] = words[i]
  for (let i = set + 3; i > set; i--) places[i] = places[i - 1]
  places[set] = at
  return newest
}

const born = getEnvironmentData(WORKER)
const first = !isMainThread && typeof born === 'string' ? take(born) : 0

// --- whose is which asynchronous resource ---------------------------------------

function own (resource, invocation) {
  const at = 2 * (resource & (RESOURCES - 1))
  owners[at] = resource // its last 32 bits
  owners[at + 1] = invocation
}

function ownerOf (resource) {
  const at = 2 * (resource & (RESOURCES - 1))
  return owners[at] === (resource | 0) ? owners[at + 1] : holderOf(resource)
}

// What lasts changes hands: it is noted apart, because in the table above it would take the place of what was made since.
const changed = new Float64Array(4 * LASTING) // when each did
let changes = 0

function hold (resource, invocation) {
  if (resource === -1) return
  const at = 2 * (resource & (RESOURCES - 1))
  if (owners[at] === (resource | 0)) owners[at + 1] = invocation
  const set = 4 * (resource & (LASTING - 1))
  let into = set // itself, or what has not changed for longest
  for (let i = set; i < set + 4; i++) {
    if (lasting[2 * i] === (resource | 0)) {
      into = i
      break
    }
    if (changed[i] < changed[into]) into = i
  }
  lasting[2 * into] = resource
  lasting[2 * into + 1] = invocation
  changed[into] = ++changes
}

function holderOf (resource) {
  const set = 4 * (resource & (LASTING - 1))
  for (let i = set; i < set + 4; i++) {
    if (lasting[2 * i] === (resource | 0)) return lasting[2 * i + 1]
  }
  return 0
}

// --- whom this thread works for -----------------------------------------------------

// The number of the resource whose callback runs, where Node keeps it; without, hooks follow each callback.
const node = binding('async_wrap')
const RUNNING = node?.constants?.kExecutionAsyncId
const running = node?.async_id_fields?.[RUNNING] === executionAsyncId() ? node.async_id_fields : undefined

// What holds within one callback, whoever its resource belongs to: while a promise goes on, or a request is handed over.
let said = 0
const within = new Float64Array(shown.buffer, shown.byteOffset + 16, 1)
within[0] = -1 // the number of none
const interrupted = [] // what held before
say(first, -1)

function context () {
  return running === undefined ? -1 : running[RUNNING]
}

function working () {
  const resource = context()
  return resource === within[0] ? said : ownerOf(resource) || first
}

function say (invocation, resource) {
  if (invocation !== said) {
    const from = known(invocation) ? 4 * place(invocation) : 0 // the first place holds zeros
    said = from === 0 ? 0 : invocation
    within[0] = -1 // half an id holds for nothing: a signal's handler can do something in between
    current[0] = ids[from]
    current[1] = ids[from + 1]
    current[2] = ids[from + 2]
    current[3] = ids[from + 3]
  }
  within[0] = resource
}

function enter (invocation) {
  interrupted.push(said, within[0])
  say(invocation, context())
}

function leave () {
  const resource = interrupted.pop() ?? -1
  say(interrupted.pop() ?? 0, resource)
}

createHook({
  init (resource, type, _, handle) {
    const invocation = working()
    if (invocation !== 0 && type !== 'MESSAGEPORT') own(resource, invocation) // through a port comes anybody's work
    if (type === 'WORKER') bear(handle, invocation)
  }
}).enable()
const followed = isMainThread && running !== undefined // the recorder reads what runs: not of a worker, whose memory ends with it
if (!followed) createHook({ before (resource) { enter(ownerOf(resource)) }, after: leave }).enable()

// Promises are most of what is asynchronous.  V8 tells of them directly at a tenth of what it costs when Node numbers each
// and tells the hook above; so Node's way is closed until somebody else in the process asks for it, and then both work.
const OWNER = Symbol('faasprov.invocation')
const promised = {
  init (promise) {
    const invocation = working()
    if (invocation !== 0) promise[OWNER] = invocation
  },
  before (promise) { enter(promise[OWNER] ?? 0) },
  after: leave
}
promiseHooks.createHook(promised)
node?.setPromiseHooks?.(promised.init, promised.before, promised.after, undefined) // a Node without it only works more

// Of what is deprecated the function is to hear what it does itself.
function binding (name) {
  const silent = process.noDeprecation
  process.noDeprecation = true
  try {
    return process.binding(name)
  } catch { // a Node without it, or one that does not allow it
  } finally {
    process.noDeprecation = silent
  }
}

// The handle is there until the thread has ended, and with it the memory.
function bear (handle, invocation) {
  setEnvironmentData(WORKER, invocation === 0 ? undefined : idOf(invocation))
  giveUpLookups()
  handle[LENT] = new SharedArrayBuffer(64 + 2 * HINTS)
  setEnvironmentData(BOARD, handle[LENT])
}

function idOf (invocation) {
  const at = ids.byteOffset + 16 * place(invocation)
  return board.toString('hex', at, at + 16)
}

// --- what threads and processes send each other ---------------------------------

// Beside the messages of a worker thread go hints, in the memory that its board is in: for whom each message was sent, by
// its number.  The first half is for what goes to the thread, the second for what comes from it.
const RING = 64
const HINTS = 16 + 16 * RING
const DISPATCH = Symbol.for('nodejs.internal.kHybridDispatch')
const NOBODY = '0'.repeat(32)

function nameOf (invocation) {
  return known(invocation) ? idOf(invocation) : NOBODY
}

function hintsOf (memory, half) {
  const at = 64 + half * HINTS
  return { count: new Int32Array(memory, at, 1), ids: Buffer.from(memory, at + 16, 16 * RING), heard: 0 }
}

function redefine (object, name, value) {
  Object.defineProperty(object, name, { value, writable: true, configurable: true, enumerable: false })
}

function tellWith (port, hints) {
  const post = port.postMessage
  redefine(port, 'postMessage', function () {
    const number = hints.count[0]
    hints.ids.write(nameOf(working()), 16 * (number & RING - 1), 'hex')
    Atomics.store(hints.count, 0, number + 1 | 0)
    try {
      return post.apply(this, arguments)
    } catch (error) {
      Atomics.store(hints.count, 0, number)
      throw error
    }
  })
}

// Whom the next message is for; of what was sent too long ago nothing is known.
function hear (hints) {
  const number = hints.heard
  hints.heard = number + 1 | 0
  const at = 16 * (number & RING - 1)
  const id = hints.ids.toString('hex', at, at + 16)
  const behind = Atomics.load(hints.count, 0) - number | 0
  return behind < 1 || behind > RING || id === NOBODY ? 0 : take(id)
}

function hearWith (port, hints) {
  const dispatch = port[DISPATCH]
  if (typeof dispatch !== 'function') return
  redefine(port, DISPATCH, function () {
    return during(hear(hints), dispatch, this, arguments)
  })
}

function during (invocation, called, self, args) {
  enter(invocation)
  try {
    return called.apply(self, args)
  } finally {
    leave()
  }
}

function symbolOf (object, name) {
  return object[Object.getOwnPropertySymbols(object).find(symbol => symbol.description === name)]
}

process.on('worker', worker => {
  const memory = symbolOf(worker, 'kHandle')?.[LENT]
  const port = symbolOf(worker, 'kPublicPort')
  if (!(memory instanceof SharedArrayBuffer) || typeof port?.postMessage !== 'function') return
  hearWith(port, hintsOf(memory, 1))
})

const { postMessage } = Worker.prototype
Worker.prototype.postMessage = function () {
  const memory = symbolOf(this, 'kHandle')?.[LENT]
  const port = symbolOf(this, 'kPublicPort')
  if (memory instanceof SharedArrayBuffer && port && !Object.hasOwn(port, 'postMessage')) tellWith(port, hintsOf(memory, 0))
  return postMessage.apply(this, arguments)
}

// What wakes a thread otherwise, another port or memory, is for nobody knows whom.
if (lent instanceof SharedArrayBuffer) {
  const hints = hintsOf(lent, 0)
  hearWith(parentPort, hints)
  tellWith(parentPort, hintsOf(lent, 1))
  const threads = require('node:worker_threads')
  const { receiveMessageOnPort } = threads
  threads.receiveMessageOnPort = function (port) {
    const received = receiveMessageOnPort(port)
    if (received !== undefined) say(port === parentPort ? hear(hints) : 0, context())
    return received
  }
  const { wait } = Atomics
  Atomics.wait = function () {
    const woken = wait.apply(this, arguments)
    if (woken !== 'timed-out') say(0, context())
    return woken
  }
}

// Between Node processes go messages that Node keeps to itself, as it does its own of this name: from which message on
// those that follow are for whom.
const TOLD = 'NODE_FAASPROV'

function followMessages (target) {
  const heard = [] // [first message, invocation], as they came
  let received = 0
  let sent = 0
  let told = 0
  const { send, emit } = target
  redefine(target, 'send', function (message, ...rest) {
    if (typeof message?.cmd === 'string' && message.cmd.startsWith('NODE_')) return send.call(this, message, ...rest)
    const invocation = working()
    if (invocation !== told && this.connected) {
      told = invocation
      send.call(this, { cmd: TOLD, from: sent, id: nameOf(invocation) }, () => {})
    }
    const result = send.call(this, message, ...rest)
    sent++
    return result
  })
  target.on('internalMessage', message => {
    if (message?.cmd === TOLD && typeof message.id === 'string') heard.push([message.from, message.id === NOBODY ? 0 : take(message.id)])
  })
  redefine(target, 'emit', function (event) {
    if (event !== 'message') return emit.apply(this, arguments)
    while (heard.length > 1 && heard[1][0] <= received) heard.shift()
    const invocation = heard.length > 0 && heard[0][0] <= received ? heard[0][1] : 0
    received++
    return during(invocation, emit, this, arguments)
  })
}

// What a child writes to its output answers what was written to its input.
const { spawn } = children.ChildProcess.prototype
children.ChildProcess.prototype.spawn = function () {
  const result = spawn.apply(this, arguments)
  const outputs = (this.stdio ?? []).filter((stream, number) => number > 0 && typeof stream?.bytesRead === 'number')
  if (this.stdin && outputs.length > 0) this.stdin[OUTPUTS] = outputs
  return result
}

const { fork } = children
children.fork = function () {
  const child = fork.apply(this, arguments)
  if (typeof child.send === 'function') followMessages(child)
  return child
}
Module.syncBuiltinESMExports()
if (isMainThread && typeof process.send === 'function') followMessages(process)

// --- requests ---------------------------------------------------------------------

// Everything that a request sets going runs, at whatever distance, in its context: also what
// its connection brings later, which Node gives to the connection's resources.
const COMPLETE = binding('http_parser')?.HTTPParser?.kOnHeadersComplete
const FOLLOWED = Symbol('faasprov.followed') // of a server's connection: the numbers of what it is read by
const { emit } = Server.prototype
Server.prototype.emit = function (event, socket) {
  const result = emit.apply(this, arguments)
  if (event === 'connection' && typeof socket?.parser?.[COMPLETE] === 'function') follow(socket, socket.parser)
  return result
}

// Its header is taken away before Node makes an object of all: to delete it there costs more than all else here.
// Parsers are lent from connection to connection, also to those of clients: which one it is for, it knows itself.
function follow (socket, parser) {
  socket[FOLLOWED] = [parser, socket._handle].map(numberOf)
  const complete = parser[COMPLETE]
  if (complete[FOLLOWED]) return
  parser[COMPLETE] = function (major, minor, headers) {
    const resources = this.socket?.[FOLLOWED]
    const invocation = resources === undefined ? 0 : takeFrom(headers ?? this._headers ?? [])
    if (invocation === 0) return complete.apply(this, arguments)
    for (const resource of resources) hold(resource, invocation)
    return during(invocation, complete, this, arguments)
  }
  parser[COMPLETE][FOLLOWED] = true
}

function takeFrom (headers) {
  for (let i = headers.length - 2; i >= 0; i -= 2) {
    if (headers[i].length !== HEADER.length || headers[i].toLowerCase() !== HEADER) continue
    const invocation = take(headers[i + 1])
    if (invocation !== 0) headers.splice(i, 2)
    return invocation
  }
  return 0
}

// A connection that is used again, as those of pools are, works for who wrote to it last, not for who made
// it.  When another writes before there was any answer, several share it, and nothing is said of it any more.
// What is written because an answer has come can be what a pool held back for somebody else: nothing is said
// of it either.  Node's own HTTP keeps its queue with whoever asked.
const WRITER = Symbol('faasprov.writer')
const READ = Symbol('faasprov.read')
const SHARED = -1
const UNSURE = -2

const write = Socket.prototype._writeGeneric
Socket.prototype._writeGeneric = function () {
  const last = this[WRITER]
  if (last === SHARED) return write.apply(this, arguments)
  const invocation = working()
  const own = Math.abs(invocation)
  const read = this[OUTPUTS]?.reduce((sum, output) => sum + output.bytesRead, 0) ?? this.bytesRead
  const answered = read !== this[READ]
  const lent = !this.server && !this._httpMessage
  this[READ] = read
  if (last !== undefined && last !== own && !answered) {
    this[WRITER] = SHARED
    claimAll(this, 0)
  } else if (lent && invocation < 0 && last === own) {
    this[WRITER] = answered ? UNSURE : SHARED
    claimAll(this, 0)
    return during(0, write, this, arguments)
  } else {
    this[WRITER] = own
    claimAll(this, lent ? -own : own)
    if (this._secureEstablished === false && own !== 0) goesOutLater(this, own, arguments)
  }
  return write.apply(this, arguments)
}

// What is written within TLS before hands are shaken goes out when they are, in nobody's callback.  Until it has, the
// board says by the descriptor whose it is.
function goesOutLater (socket, invocation, parts) {
  const fd = socket.connecting ? -1 : socket._handle?.fd // while it connects, this write comes again
  const callback = parts[3]
  if (!(fd >= 0 && fd < DESCRIPTORS) || typeof callback !== 'function' || !known(invocation)) return
  descriptors[fd] = place(invocation)
  parts[3] = function () {
    descriptors[fd] = 0
    return callback.apply(this, arguments)
  }
}

function claimAll (socket, invocation) {
  claim(socket._handle, invocation)
  socket[OUTPUTS]?.forEach(output => claim(output._handle, invocation))
}

function claim (handle, invocation) {
  hold(numberOf(handle), invocation)
}

// The number of none is -1.
function numberOf (handle) {
  return typeof handle?.getAsyncId === 'function' ? handle.getAsyncId() : -1
}

// Where answers come in the order of what was asked, each is of who asked: so it is with Redis.  What goes out on a
// connection and what comes in is counted from its first byte on, as long as it is that protocol; what several answers
// came in together is handed on one by one.  Who asked is known of a command that an invocation wrote by itself: of two
// that are written without a pause, and of what is written before the first answer, it may have waited in a client's
// queue, for somebody else.
const QUEUE = Symbol('faasprov.queue')
const COMMAND = 0x2a
const NOT_ANSWERED_ONCE = /^(?:[ps]?(?:un)?subscribe|monitor|p?sync|client (?:reply|tracking))\b/i
const BEGINNING = 64 // of a line or a command, what has to be known of it

// Follows that protocol in one direction; `ended` is called with where each command or answer ends and how it began.
class Redis {
  constructor (ended) {
    this.ended = ended
    this.frames = 0 // that are left of what has begun
    this.bytes = 0 // that are left of a string, with its line's end
    this.line = ''
    this.words = ''
  }

  // False: it is something else.
  take (data) {
    for (let at = 0; at < data.length;) {
      const before = at
      if (this.bytes > 0) {
        at += Math.min(this.bytes, data.length - at)
        this.bytes -= at - before
        if (this.words.length < BEGINNING) this.words += data.latin1Slice(before, Math.min(at, before + BEGINNING))
      } else {
        const end = data.indexOf(10, at)
        at = end < 0 ? data.length : end + 1
        if (this.line.length < BEGINNING) this.line += data.latin1Slice(before, Math.min(at, before + BEGINNING))
        if (end < 0) return true
        if (!this.begin(this.line[0], Number.parseInt(this.line.slice(1), 10))) return false
        this.line = ''
      }
      if (this.frames > 0 || this.bytes > 0) continue
      this.ended(at, this.words)
      this.words = ''
    }
    return true
  }

  begin (kind, n) {
    if (this.frames === 0) this.frames = 1
    if ('+-:_,(#'.includes(kind)) {
      this.frames--
    } else if ('$=!'.includes(kind) && n >= -1) {
      this.frames--
      if (n >= 0) this.bytes = n + 2
    } else if ('*~%'.includes(kind) && n >= -1) {
      this.frames += (kind === '%' ? 2 : 1) * Math.max(n, 0) - 1
    } else {
      return false // also what answers nothing, and what is told beside an answer
    }
    return true
  }
}

class Queue {
  constructor () {
    this.waiting = [] // whose each command is that was not answered yet; 0: not known
    this.writer = 0 // of the last command
    this.run = -1 // in which it was written; -1: something has come since
    this.answered = false
    this.written = 0
    this.ends = []
    this.commands = new Redis((_, words) => this.ask(words))
    this.answers = new Redis(end => this.ends.push(end))
    this.fits = true
  }

  write (data) {
    this.written += data.length
    this.fits = this.commands.take(data) && this.fits
  }

  ask (words) {
    const invocation = working()
    const again = this.run !== -1 && this.run === context() && invocation === this.writer
    if (again && this.waiting.length > 0) this.waiting[this.waiting.length - 1] = 0
    this.waiting.push(this.answered && invocation > 0 && !again ? invocation : 0)
    this.writer = invocation
    this.run = context()
    if (NOT_ANSWERED_ONCE.test(words.replace('\r\n', ' '))) this.fits = false
  }

  // Hands on what came, each piece for whose it is.
  read (socket, data) {
    let at = 0
    let result
    this.run = -1
    this.answered = true
    this.ends = []
    this.fits &&= socket.bytesWritten === this.written && this.answers.take(data) && this.ends.length <= this.waiting.length
    if (!this.fits) {
      socket[QUEUE] = false
      return push.call(socket, data)
    }
    const { ends } = this
    for (const end of ends) {
      result = during(-this.waiting.shift(), push, socket, [data.subarray(at, end)])
      at = end
    }
    if (at < data.length) result = during(-(this.waiting[0] ?? 0), push, socket, [data.subarray(at)])
    this.run = -1
    return result
  }
}

function bytesOf (data, encoding) {
  if (ArrayBuffer.isView(data)) return Buffer.from(data.buffer, data.byteOffset, data.byteLength)
  return Buffer.from(String(data), Buffer.isEncoding(encoding) ? encoding : undefined)
}

const { push, write: writeAny } = Socket.prototype
Socket.prototype.push = function (data) {
  const queue = this[QUEUE]
  return queue && data?.length > 0 ? queue.read(this, data) : push.apply(this, arguments)
}
Socket.prototype.write = function (data, encoding) {
  let queue = this[QUEUE]
  if (queue === undefined) {
    const begins = typeof data === 'string' ? data.charCodeAt(0) : data?.[0]
    queue = begins === COMMAND && !this.server && !this[WRITER] && this.bytesRead === 0 && new Queue()
    this[QUEUE] = queue
  }
  if (queue) queue.write(bytesOf(data, encoding))
  return writeAny.apply(this, arguments)
}

// Pools that are known to hold questions back are told to do so for whoever asked.
const load = Module._load
Module._load = function (request) {
  const exported = load.apply(this, arguments)
  if (typeof request === 'string' && MYSQL2.test(request)) bindMysql2()
  return exported
}

function bindMysql2 () {
  for (const file of Object.keys(Module._cache)) {
    if (file.endsWith('/mysql2/lib/base/pool.js')) bindArgument(Module._cache[file].exports?.prototype, 'getConnection', bound)
    if (file.endsWith('/mysql2/lib/base/connection.js')) bindArgument(Module._cache[file].exports?.prototype, 'addCommand', boundCommand)
  }
}

// The first argument of the method is made another one first; once.
function bindArgument (prototype, name, change) {
  const original = prototype?.[name]
  if (typeof original !== 'function' || original[BOUND]) return
  prototype[name] = function (argument) {
    if (working() !== 0) arguments[0] = change(argument)
    return original.apply(this, arguments)
  }
  prototype[name][BOUND] = true
}

function bound (callback) {
  if (typeof callback !== 'function') return callback
  const here = new AsyncResource('faasprov')
  return function () {
    return here.runInAsyncScope(callback, this, ...arguments)
  }
}

// A command waits for those before it; what comes for it is told to it alone.
function boundCommand (command) {
  if (typeof command?.execute === 'function' && !Object.hasOwn(command, 'execute')) {
    command.execute = bound(command.execute)
  }
  return command
}

// A worker thread speaks for itself alone, because the thread pool is the whole process's.
show(isMainThread ? board : shown)
if (followed) show(Buffer.from(running.buffer, running.byteOffset + 8 * RUNNING, 8))

function show (what) {
  try {
    writeSync(BOARD_DESCRIPTOR, what)
  } catch {} // as it must: there is no such descriptor
}

const fs = isMainThread && binding('fs')
if (fs) tellOfPool(fs)
const cares = isMainThread && binding('cares_wrap')
if (cares) tellOfLookups(cares)

/*
 * The pool's threads.  A descriptor that one invocation opened is its own until
 * another uses it through the pool; from then on the board does not say.
 */
function tellOfPool (fs) {
  const users = new Int32Array(DESCRIPTORS) // who uses each descriptor; -1: several

  function opened (file, invocation) {
    const fd = typeof file === 'object' ? file?.fd : file
    if (!(fd >= 0 && fd < DESCRIPTORS)) return
    users[fd] = Math.abs(invocation)
    descriptors[fd] = known(invocation) ? place(invocation) : UNSAID
  }

  function using (fd) {
    if (!(fd >= 0 && fd < DESCRIPTORS) || users[fd] === -1) return
    const invocation = working()
    if (invocation !== 0 && (users[fd] === Math.abs(invocation) || users[fd] === 0)) {
      opened(fd, invocation)
    } else {
      users[fd] = -1
      descriptors[fd] = UNSAID
    }
  }

  // Node's own code counts the arguments: they are handed on as they came.
  for (const name of ['open', 'openFileHandle']) {
    const original = fs[name]
    fs[name] = function (path, flags, mode, request) {
      const invocation = working()
      if (request === undefined) { // synchronous: this thread's board tells
        const file = original.apply(this, arguments)
        opened(file, invocation)
        return file
      }
      if (invocation !== 0 && Number.isInteger(mode)) {
        arguments[2] = (mode & (1 << MODE_BITS) - 1) | place(invocation) << MODE_BITS
      }
      if (typeof request === 'object') {
        const complete = request.oncomplete
        request.oncomplete = function (error, file) {
          if (!error) opened(file, invocation)
          return complete.apply(this, arguments)
        }
      }
      const result = original.apply(this, arguments)
      if (typeof result?.then === 'function') result.then(file => opened(file, invocation), () => {})
      return result
    }
  }
  // Its number is anybody's from then on, also of what the C library opens when it looks up a name.
  function closed (fd) {
    if (!(fd >= 0 && fd < DESCRIPTORS)) return
    users[fd] = 0
    descriptors[fd] = 0
  }

  const { close } = fs
  fs.close = function (fd) {
    closed(fd)
    return close.apply(this, arguments)
  }
  const handles = fs.FileHandle?.prototype
  if (typeof handles?.close === 'function') {
    const { close } = handles
    handles.close = function () {
      closed(this.fd)
      return close.apply(this, arguments)
    }
  }
  for (const name of ['read', 'readBuffers', 'writeBuffer', 'writeBuffers', 'writeString']) {
    const original = fs[name]
    fs[name] = function (fd) {
      using(fd)
      return original.apply(this, arguments)
    }
  }
}

/*
 * Name lookups.  Which of the pool's threads does which is not to be seen, but on the network it does nothing else: as long
 * as all that are under way are one invocation's, what it does there is that one's.  Add-ons and worker threads use
 * the pool as well, unseen: where there are any, nothing is said.
 */
function tellOfLookups (cares) {
  const { dlopen } = process
  process.dlopen = function () {
    giveUpLookups()
    return dlopen.apply(this, arguments)
  }
  for (const name of ['getaddrinfo', 'getnameinfo']) {
    const original = cares[name]
    if (typeof original !== 'function') continue
    cares[name] = function (request) {
      const invocation = Math.abs(working())
      const complete = request?.oncomplete
      if (typeof complete !== 'function') return original.apply(this, arguments)
      request.oncomplete = function () {
        countLookup(invocation, -1)
        return complete.apply(this, arguments)
      }
      countLookup(invocation, 1)
      const error = original.apply(this, arguments)
      if (error !== 0) countLookup(invocation, -1)
      return error
    }
  }
}

function countLookup (invocation, n) {
  const count = (underWay.get(invocation) ?? 0) + n
  if (count > 0) underWay.set(invocation, count)
  else underWay.delete(invocation)
  const [only] = underWay.keys()
  lookups[0] = othersUsePool || underWay.size !== 1 || !known(only) ? 0 : place(only)
}

function giveUpLookups () {
  othersUsePool = true
  lookups[0] = 0
}
