'use strict'
// Leaves a file named after the request by every way in which a handler gets
// work done, so that each file's request is known without asking the recorder.
const dgram = require('node:dgram')
const fs = require('node:fs')
const http = require('node:http')
const path = require('node:path')
const database = require('./database')
const { execFile, fork } = require('node:child_process')
const { Worker } = require('node:worker_threads')
const { setTimeout: delay } = require('node:timers/promises')

// A child gets the token as an argument, and through a pipe into a file.
const CHILD = 'echo "$1" > "$2"child; echo "$1" | { read token; : > "$2"pipe.$(stat -Lc %i /dev/stdin); }'
const directory = process.env.oracle_directory || '/tmp'

function file (token, way) {
  return path.join(directory, `oracle.${token}.${way}`)
}

function touch (token, way) {
  fs.writeFileSync(file(token, way), token)
}

// The token to an address that is made of it.
function throughSocket (token) {
  const [a, b, c] = Buffer.from(token.slice(-6), 'hex')
  const to = dgram.createSocket('udp4')
  return new Promise((resolve, reject) => {
    to.send(token, 4998, `127.${a | 0x80}.${b}.${c}`, error => {
      to.close()
      if (error) reject(error)
      else resolve()
    })
  })
}

function call (url, token) {
  return new Promise((resolve, reject) => {
    http.get(url, { headers: { 'X-Oracle': token } }, response => {
      response.resume()
      response.on('end', resolve)
    }).on('error', reject)
  })
}

// A process and a thread that the first request makes, and that work for all.
const pools = {}

function ask (kind, token) {
  if (!pools[kind]) {
    const waiting = new Map()
    const file = path.join(__dirname, 'worker.js')
    const worker = kind === 'process' ? fork(file) : new Worker(file)
    worker.on('message', token => {
      touch(token, `${kind}-answer`)
      waiting.get(token)()
    })
    pools[kind] = { waiting, tell: kind === 'process' ? message => worker.send(message) : message => worker.postMessage(message) }
  }
  return new Promise(resolve => {
    pools[kind].waiting.set(token, resolve)
    pools[kind].tell({ token, file: file(token, kind) })
  })
}

module.exports = async (event, context) => {
  const token = event.headers['x-call-id']

  touch(token, 'sync')
  await new Promise(resolve => setImmediate(resolve))
  touch(token, 'immediate')
  await delay(2)
  touch(token, 'timer')
  await Promise.resolve()
  touch(token, 'promise')
  await fs.promises.writeFile(file(token, 'pool'), token)
  touch(token, 'after-pool')
  await throughSocket(token)
  if (process.env.oracle_url) {
    await call(process.env.oracle_url, token)
    touch(token, 'after-call')
  }
  if (event.query.database) {
    await database.pooled(token, answer => touch(answer, 'pooled'))
    touch(token, 'after-pooled')
    await database.shared(token, answer => touch(answer, 'shared'))
    touch(token, 'after-shared')
  }
  if (event.query.unknown) {
    await database.unknown(token, answer => touch(answer, 'unknown'))
    touch(token, 'after-unknown')
  }
  if (event.query.child) {
    await new Promise((resolve, reject) =>
      execFile('/bin/sh', ['-c', CHILD, 'child', token, file(token, '')], error => error ? reject(error) : resolve()))
    touch(token, 'after-child')
  }
  if (event.query.pools) {
    for (const kind of ['process', 'thread']) {
      await ask(kind, token)
      touch(token, `after-${kind}`)
    }
  }
  if (event.query.behind) {
    setTimeout(() => {
      touch(token, 'behind')
      fs.promises.writeFile(file(token, 'behind-pool'), token).then(() => touch(token, 'behind-after-pool'))
    }, 5).unref()
  }
  return context.status(200).succeed({ token })
}
