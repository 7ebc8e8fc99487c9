'use strict'
// A server that answers each line with itself, and two clients that keep their connections: one lends each
// connection to one request at a time, the other writes everybody's queries to one.  Callbacks are not bound to who asked.
const net = require('node:net')
const { spawn } = require('node:child_process')

const PORT = 4999
const SERVER = `require("net").createServer(s => s.on("data", d => setTimeout(() => s.write(d), 1))).listen(${PORT}, "127.0.0.1")`
spawn(process.execPath, ['-e', SERVER], { stdio: 'ignore', env: {} })

function connect () {
  const waiting = []
  const connection = { waiting }
  connection.ready = new Promise(resolve => {
    (function attempt () {
      const socket = net.connect(PORT, '127.0.0.1', () => resolve((connection.socket = socket)))
      socket.on('error', () => setTimeout(attempt, 5))
      let text = ''
      socket.on('data', data => {
        const lines = (text + data).split('\n')
        text = lines.pop()
        for (const line of lines) waiting.shift()(line)
      })
    })()
  })
  return connection
}

const pool = [connect(), connect(), connect(), connect()]
const borrowers = []
const common = connect()

function query (connection, token, callback) {
  return new Promise(resolve => {
    connection.waiting.push(answer => {
      callback(answer)
      resolve()
    })
    connection.socket.write(token + '\n')
  })
}

async function pooled (token, callback) {
  const connection = pool.pop() ?? await new Promise(resolve => borrowers.push(resolve))
  await connection.ready
  await query(connection, token, callback)
  const next = borrowers.shift()
  if (next) next(connection)
  else pool.push(connection)
}

async function shared (token, callback) {
  await common.ready
  await query(common, token, callback)
}

module.exports = { pooled, shared }
