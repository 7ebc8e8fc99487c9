'use strict';
// Gets what is at a URL, if it is not too large.
const http = require('node:http');
const { Refusal } = require('./shop/answer');

const LARGEST = 8 * 1024 * 1024; // of a photograph
const PATIENCE = 10000; // milliseconds

function fetch(url) {
  return new Promise((resolve, reject) => {
    const refuse = (why) => reject(new Refusal(422, `${url}: ${why}`));
    const request = http.get(url, { timeout: PATIENCE }, (response) => {
      if (response.statusCode !== 200) {
        response.resume();
        return refuse(`status ${response.statusCode}`);
      }
      const parts = [];
      let size = 0;
      response.on('data', (part) => {
        size += part.length;
        if (size > LARGEST) request.destroy(new Error('too large'));
        else parts.push(part);
      });
      response.on('end', () => resolve(Buffer.concat(parts)));
      response.on('error', (error) => refuse(error.message));
    });
    request.on('timeout', () => request.destroy(new Error('no answer')));
    request.on('error', (error) => refuse(error.message));
  });
}

module.exports = { fetch };
