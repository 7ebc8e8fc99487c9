'use strict';
// Looks up names for several requests at the same time: each waits until all that are meant to be there are there, then all
// ask at once; the pool does two at a time, whichever is free.
const dns = require('node:dns');
const fs = require('node:fs');
const http = require('node:http');

const AT_ONCE = Number(process.env.at_once);
let waiting = [];

const together = () => new Promise((resolve) => {
  waiting.push(resolve);
  if (waiting.length < AT_ONCE) return;
  waiting.forEach((go) => go());
  waiting = [];
});

// What comes of it does not matter: the question does.
const lookup = (name, family) => new Promise((resolve) => { dns.lookup(name, { family }, resolve); });

const WAYS = {
  async different(token) {
    await lookup(`first.${token}.y.example`, 4);
    // the pool's other work, by the same threads
    await fs.promises.writeFile(`/tmp/${token}`, token);
    await Promise.all([lookup(`second.${token}.y.example`, 4), lookup(`third.${token}.y.example`, 4)]);
  },
  same() {
    return lookup('same.y.example', 4);
  },
  async service() {
    await new Promise((resolve) => { dns.lookupService('127.0.0.1', 22, resolve); });
  },
};

http.createServer((request, response) => {
  let token = '';
  request.on('data', (data) => { token += data; });
  request.on('end', async () => {
    await together();
    await WAYS[request.url.slice(1)](token);
    await together(); // before all have been answered none of the next is here
    response.end(token);
  });
}).listen(5000, '127.0.0.1');
