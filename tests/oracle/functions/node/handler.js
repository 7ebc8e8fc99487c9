'use strict'
// Leaves a file named after the request by every way in which a handler gets
// work done, so that each file's request is known without asking the recorder.
const fs = require('node:fs')
const http = require('node:http')
const path = require('node:path')
const database = require('./database')
const { execFile } = require('node:child_process')
const { setTimeout: delay } = require('node:timers/promises')

const directory = process.env.oracle_directory || '/tmp'

function file (token, way) {
  return path.join(directory, `oracle.${token}.${way}`)
}

function touch (token, way) {
  fs.writeFileSync(file(token, way), token)
}

function call (url, token) {
  return new Promise((resolve, reject) => {
    http.get(url, { headers: { 'X-Oracle': token } }, response => {
      response.resume()
      response.on('end', resolve)
    }).on('error', reject)
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
  if (event.query.child) {
    await new Promise((resolve, reject) =>
      execFile('/bin/sh', ['-c', `echo ${token} > ${file(token, 'child')}`], error => error ? reject(error) : resolve()))
    touch(token, 'after-child')
  }
  if (event.query.behind) {
    setTimeout(() => touch(token, 'behind'), 5).unref()
  }
  return context.status(200).succeed({ token })
}
