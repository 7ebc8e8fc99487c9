'use strict';
// Passes what it is given on to the function that writes invoices.
const http = require('node:http');

function post(url, text) {
  return new Promise((resolve, reject) => {
    const request = http.request(url, { method: 'POST', headers: { 'Content-Type': 'text/plain' } }, (response) => {
      const parts = [];
      response.on('data', (part) => parts.push(part));
      response.on('end', () => resolve(Buffer.concat(parts).toString()));
    });
    request.on('error', reject);
    request.end(text);
  });
}

module.exports = async (event, context) => {
  const text = Buffer.isBuffer(event.body) ? event.body.toString() : String(event.body);
  return context.status(200).succeed(await post(`${process.env.gateway}/function/invoice`, text));
};
