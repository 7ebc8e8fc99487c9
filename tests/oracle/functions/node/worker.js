'use strict'
// What a process or a thread does for whoever asks it.
const fs = require('node:fs')
const { parentPort } = require('node:worker_threads')
const answer = parentPort ? token => parentPort.postMessage(token) : token => process.send(token)

;(parentPort ?? process).on('message', ({ token, file }) => {
  fs.writeFileSync(file, token)
  setTimeout(() => {
    fs.writeFileSync(`${file}-later`, token)
    answer(token)
  }, 2)
})
