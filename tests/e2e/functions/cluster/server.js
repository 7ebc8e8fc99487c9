'use strict';
// A server of three processes by Node's own means: the first accepts and hands connections on to the others, each of which has
// a worker thread.  Every step leaves a file whose name says which request it was for.
const cluster = require('node:cluster');
const fs = require('node:fs');
const http = require('node:http');
const { Worker, isMainThread, parentPort } = require('node:worker_threads');
const { setTimeout: delay } = require('node:timers/promises');

const path = (token, way) => `/tmp/oracle.${token}.${way}`;
const touch = (token, way) => fs.writeFileSync(path(token, way), token);

function serve() {
  const waiting = new Map();
  const thread = new Worker(__filename);
  thread.on('message', (token) => waiting.get(token)());
  http.createServer(async (request, response) => {
    const token = request.headers['x-call-id'];
    request.resume();
    touch(token, 'cluster');
    await delay(5);
    touch(token, 'cluster-timer');
    await new Promise((resolve) => { setImmediate(resolve); });
    touch(token, 'cluster-immediate');
    await fs.promises.writeFile(path(token, 'cluster-pool'), token);
    touch(token, 'cluster-after-pool');
    await new Promise((resolve) => { waiting.set(token, resolve); thread.postMessage(token); });
    waiting.delete(token);
    touch(token, 'cluster-after-thread');
    response.end('ok');
  }).listen(5000, '127.0.0.1');
}

if (!isMainThread) {
  parentPort.on('message', (token) => {
    touch(token, 'cluster-thread');
    setTimeout(() => { touch(token, 'cluster-thread-later'); parentPort.postMessage(token); }, 2);
  });
} else if (cluster.isPrimary) for (let n = 0; n < 3; n += 1) cluster.fork();
else serve();
