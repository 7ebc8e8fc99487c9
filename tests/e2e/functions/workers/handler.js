'use strict';
// Threads that end, and threads that are ended, while others go on.
const { Worker } = require('node:worker_threads');

const END = "require('node:fs').writeFileSync('/tmp/ended', 'x')";
const STAY = `const fs = require('node:fs');
setInterval(() => fs.readFileSync('/etc/hosts'), 1);
setTimeout(() => require('node:worker_threads').parentPort.postMessage('enough'), 10);`;

function run(code) {
  return new Promise((resolve, reject) => {
    const worker = new Worker(code, { eval: true });
    worker.on('message', () => worker.terminate());
    worker.on('exit', resolve);
    worker.on('error', reject);
  });
}

module.exports = async (event, context) => {
  await Promise.all([run(END), run(STAY)]);
  await run(END);
  return context.status(200).succeed('done');
};
