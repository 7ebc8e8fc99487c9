'use strict';
// Asks stores over a pool of one connection, with callbacks: what must wait is sent when another request's answer has come.
const fs = require('node:fs');
const net = require('node:net');
const mysql = require('mysql2');

const pool = mysql.createPool({
  host: process.env.db_host, user: process.env.db_user, password: process.env.db_password, database: process.env.db_name,
  connectionLimit: 1,
});

// A pool as people write them: nothing is bound to whoever asked.
const waiting = [];
let connection, busy;

function next() {
  if (busy || waiting.length === 0) return;
  const { key, done } = waiting.shift();
  busy = done;
  connection.write(`*2\r\n$3\r\nGET\r\n$${key.length}\r\n${key}\r\n`);
}

function get(key, done) {
  if (!connection) {
    connection = net.connect(6379, '198.18.0.30');
    connection.on('data', () => {
      const done = busy;
      busy = undefined;
      done();
      next();
    });
  }
  waiting.push({ key, done });
  next();
}

// Each is asked twice, the second time from the first one's callback; then a file is written.
const WAYS = {
  mysql(token, done) {
    pool.query(`SELECT 1 FROM first_${token}`, () => pool.query(`SELECT 1 FROM second_${token}`, done));
  },
  single(token, done) {
    get(`first_${token}`, () => get(`second_${token}`, done));
  },
};

module.exports = (event, context) => new Promise((resolve) => {
  const { way, token } = Buffer.isBuffer(event.body) || typeof event.body === 'string' ? JSON.parse(event.body) : event.body;
  WAYS[way](token, () => fs.writeFile(`/tmp/after_${token}`, 'x', () => resolve(context.status(200).succeed(token))));
});
