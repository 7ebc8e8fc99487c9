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
const { writeSync } = require('node:fs')
const { Server } = require('node:http')
const Module = require('node:module')
const { Socket } = require('node:net')
const { promiseHooks } = require('node:v8')
const { isMainThread, setEnvironmentData, getEnvironmentData } = require('node:worker_threads')

const BOARD_DESCRIPTOR = 0x46505256
const DESCRIPTORS = 4096
const PLACES = 4096
const RESOURCES = 1 << 17 // a request of some size makes a few hundred
const MODE_BITS = 12
const HEADER = 'x-faasprov-request'
const ID = /^[0-9a-f]{32}$/
const MYSQL2 = /(^|[\\/])mysql2([\\/]|$)/
const BOUND = Symbol('faasprov.bound')
const WORKER = 'faasprov.invocation' // environment data that a worker thread is born with
const BOARD = 'faasprov.board' // the same: what it shows of its board
const LENT = Symbol('faasprov.board')

const board = Buffer.alloc(64 + 2 * DESCRIPTORS + 20 * PLACES + 8 * RESOURCES)
// A thread that ends does more when its own memory is gone, and maybe another's: what a worker thread shows is its parent's.
const lent = isMainThread ? undefined : getEnvironmentData(BOARD)
const shown = lent instanceof SharedArrayBuffer ? Buffer.from(lent) : board
const current = new Int32Array(shown.buffer, shown.byteOffset, 4)
const descriptors = new Uint16Array(board.buffer, board.byteOffset + 64, DESCRIPTORS)
const ids = new Int32Array(board.buffer, board.byteOffset + 64 + 2 * DESCRIPTORS, 4 * PLACES)
const numbers = new Int32Array(board.buffer, ids.byteOffset + ids.byteLength, PLACES) // which invocation each place holds
const owners = new Int32Array(board.buffer, numbers.byteOffset + numbers.byteLength, 2 * RESOURCES) // a number, whose it is

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

function take (id) {
  newest = newest % 0x7fffffff + 1
  const at = place(newest)
  numbers[at] = newest
  board.write(id, ids.byteOffset + 16 * at, 'hex')
  return newest
}

const born = getEnvironmentData(WORKER)
const first = !isMainThread && ID.test(born) ? take(born) : 0

// --- whose is which asynchronous resource ---------------------------------------

function own (resource, invocation) {
  const at = 2 * (resource & (RESOURCES - 1))
  owners[at] = resource // its last 32 bits
  owners[at + 1] = invocation
}

function ownerOf (resource) {
  const at = 2 * (resource & (RESOURCES - 1))
  return owners[at] === (resource | 0) ? owners[at + 1] : 0
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
  within[0] = resource
  if (invocation === said) return
  const from = known(invocation) ? 4 * place(invocation) : 0 // the first place holds zeros
  said = from === 0 ? 0 : invocation
  current[0] = ids[from]
  current[1] = ids[from + 1]
  current[2] = ids[from + 2]
  current[3] = ids[from + 3]
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
    if (invocation !== 0) own(resource, invocation)
    if (type === 'WORKER') bear(handle, invocation)
  }
}).enable()
const followed = isMainThread && running !== undefined // the recorder reads what runs: not of a worker, whose memory ends with it
if (!followed) createHook({ before (resource) { enter(ownerOf(resource) || first) }, after: leave }).enable()

// Promises are most of what is asynchronous.  V8 tells of them directly at a tenth of what it costs when Node numbers each
// and tells the hook above; so Node's way is closed until somebody else in the process asks for it, and then both work.
const OWNER = Symbol('faasprov.invocation')
const promised = {
  init (promise) {
    const invocation = working()
    if (invocation !== 0) promise[OWNER] = invocation
  },
  before (promise) { enter(promise[OWNER] ?? first) },
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
  handle[LENT] = new SharedArrayBuffer(64)
  setEnvironmentData(BOARD, handle[LENT])
}

function idOf (invocation) {
  const at = ids.byteOffset + 16 * place(invocation)
  return board.toString('hex', at, at + 16)
}

// Everything that a request sets going runs, at whatever distance, in its context: also what
// its connection brings later, which Node gives to the connection's resources.
const emit = Server.prototype.emit
Server.prototype.emit = function (event, request) {
  const id = event === 'request' ? request.headers[HEADER] : undefined
  if (id === undefined || !ID.test(id)) return emit.apply(this, arguments)
  delete request.headers[HEADER]
  const invocation = take(id)
  claim(request.socket?.parser, invocation)
  claim(request.socket?._handle, invocation)
  enter(invocation)
  try {
    return emit.apply(this, arguments)
  } finally {
    leave()
  }
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
  const read = this.bytesRead
  const answered = read !== this[READ]
  const lent = !this.server && !this._httpMessage
  this[READ] = read
  if (last !== undefined && last !== own && !answered) {
    this[WRITER] = SHARED
    claim(this._handle, 0)
  } else if (lent && invocation < 0 && last === own) {
    this[WRITER] = answered ? UNSURE : SHARED
    claim(this._handle, 0)
    return silently(write, this, arguments)
  } else {
    this[WRITER] = own
    claim(this._handle, lent ? -own : own)
  }
  return write.apply(this, arguments)
}

function silently (write, socket, args) {
  enter(0)
  try {
    return write.apply(socket, args)
  } finally {
    leave()
  }
}

function claim (handle, invocation) {
  if (typeof handle?.getAsyncId === 'function') own(handle.getAsyncId(), invocation)
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
    descriptors[fd] = known(invocation) ? place(invocation) : 0
  }

  function using (fd) {
    if (!(fd >= 0 && fd < DESCRIPTORS) || users[fd] === -1) return
    const invocation = working()
    if (invocation !== 0 && (users[fd] === Math.abs(invocation) || users[fd] === 0)) {
      opened(fd, invocation)
    } else {
      users[fd] = -1
      descriptors[fd] = 0
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
  for (const name of ['read', 'readBuffers', 'writeBuffer', 'writeBuffers', 'writeString']) {
    const original = fs[name]
    fs[name] = function (fd) {
      using(fd)
      return original.apply(this, arguments)
    }
  }
}
