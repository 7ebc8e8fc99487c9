'use strict'
/*
 * The runtime assist for Node: tells the recorder which invocation the thread
 * works for, whenever the asynchronous context changes.  fwatchdog loads it before the
 * function (--require in NODE_OPTIONS); nothing of the function is changed.
 *
 * A mark is a question after a file that never exists, whose name carries the
 * invocation id (lib/schema/mark.def, ENTER): the one system call that
 * JavaScript can make synchronously, cheaply and without effect.  It is made
 * only when the invocation differs from the last one marked.
 */
const { AsyncLocalStorage, createHook } = require('node:async_hooks')
const { existsSync } = require('node:fs')
const { Server } = require('node:http')

const CARRIER = '/.faasprov/enter/'
const HEADER = 'x-faasprov-request'
const ID = /^[0-9a-f]{32}$/
const NONE = '0'.repeat(32)

const storage = new AsyncLocalStorage()
let marked = NONE

function mark (id) {
  if (id === marked) return
  marked = id
  existsSync(CARRIER + id)
}

const emit = Server.prototype.emit

// Everything that a request sets going runs, at whatever distance, in its context.
Server.prototype.emit = function (event, request, ...rest) {
  const id = event === 'request' ? request.headers[HEADER] : undefined
  if (id === undefined || !ID.test(id)) return emit.call(this, event, request, ...rest)
  delete request.headers[HEADER]
  return storage.run(id, () => {
    mark(id)
    return emit.call(this, event, request, ...rest)
  })
}

createHook({ before () { mark(storage.getStore() ?? NONE) } }).enable()
