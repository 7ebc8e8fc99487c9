'use strict';
// Calls another function through the gateway.
const http = require('node:http');
const { Refusal } = require('./answer');

function post(url, body) {
  return new Promise((resolve, reject) => {
    const data = Buffer.from(JSON.stringify(body));
    const headers = { 'Content-Type': 'application/json', 'Content-Length': data.length };
    const request = http.request(url, { method: 'POST', headers }, (response) => {
      const parts = [];
      response.on('data', (part) => parts.push(part));
      response.on('end', () => resolve({ status: response.statusCode, text: Buffer.concat(parts).toString('utf8') }));
      response.on('error', reject);
    });
    request.on('error', reject);
    request.end(data);
  });
}

async function call(name, body) {
  const { status, text } = await post(`${process.env.gateway}/function/${name}`, body);
  if (status === 404) throw new Refusal(404, `${name}: ${text}`);
  if (status < 200 || status > 299) throw new Refusal(502, `${name} answered with status ${status}`);
  return JSON.parse(text);
}

module.exports = { call };
