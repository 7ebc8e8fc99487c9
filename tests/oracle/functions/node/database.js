'use strict'
// Two servers that answer what they are asked with itself: one by lines, one by Redis' protocol.  And three clients that
// keep their connections: one lends each to one request at a time, the others write everybody's queries to one.  Callbacks
// are not bound to who asked.
const net = require('node:net')
const { spawn } = require('node:child_process')

const LINES = 4999
const REDIS = 4997
const SERVER = `const net = require("net")
net.createServer(s => s.on("data", d => setTimeout(() => s.write(d), 1))).listen(${LINES}, "127.0.0.1")
net.createServer(s => {
  let rest = ""
  s.on("data", d => {
    rest += d
    let answers = ""
    for (let one; (one = /^\\*2\\r\\n\\$4\\r\\nECHO\\r\\n(\\$\\d+\\r\\n.*\\r\\n)/.exec(rest)); rest = rest.slice(one[0].length)) answers += one[1]
    setTimeout(() => s.write(answers), 1)
  })
}).listen(${REDIS}, "127.0.0.1")`
spawn(process.execPath, ['-e', SERVER], { stdio: 'ignore', env: {} })

// `form` makes a question of a token; `answers` takes what has come whole from a text: [tokens, rest].
const byLines = {
  port: LINES,
  form: token => token + '\n',
  answers: text => {
    const lines = text.split('\n')
    return [lines, lines.pop()]
  }
}
const byRedis = {
  port: REDIS,
  form: token => `*2\r\n$4\r\nECHO\r\n$${token.length}\r\n${token}\r\n`,
  answers: text => {
    const parts = text.split('\r\n')
    const whole = parts.length - 1 & ~1
    return [parts.slice(0, whole).filter((_, n) => n % 2), parts.slice(whole).join('\r\n')]
  }
}

function connect (protocol) {
  const waiting = []
  const connection = { waiting, form: protocol.form }
  connection.ready = new Promise(resolve => {
    (function attempt () {
      const socket = net.connect(protocol.port, '127.0.0.1', () => resolve((connection.socket = socket)))
      socket.on('error', () => setTimeout(attempt, 5))
      let text = ''
      socket.on('data', data => {
        const [answers, rest] = protocol.answers(text + data)
        text = rest
        for (const answer of answers) waiting.shift()(answer)
      })
    })()
  })
  return connection
}

const pool = [connect(byLines), connect(byLines), connect(byLines), connect(byLines)]
const borrowers = []
const common = connect(byRedis)
const strange = connect(byLines)

function query (connection, token, callback) {
  return new Promise(resolve => {
    connection.waiting.push(answer => {
      callback(answer)
      resolve()
    })
    connection.socket.write(connection.form(token))
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

// Nobody but its client knows that its answers come in the order of asking.
async function unknown (token, callback) {
  await strange.ready
  await query(strange, token, callback)
}

module.exports = { pooled, shared, unknown }
