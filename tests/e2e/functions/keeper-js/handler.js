'use strict';
// As ../keeper, with Node's own clients: of HTTP, of HTTPS by the OpenSSL that is within node, and fetch.
const http = require('node:http');
const https = require('node:https');

const clients = {
  http: [http, { port: 80, agent: new http.Agent({ keepAlive: true, maxSockets: 2 }) }],
  https: [https, { port: 443, servername: 'store.example', rejectUnauthorized: false,
    agent: new https.Agent({ keepAlive: true, maxSockets: 2 }) }],
};

module.exports = async (event, context) => {
  const { store, put, name } = event.body;
  if (store === 'fetch') {
    const answer = await fetch(`http://198.18.0.30/keep/${name}`, put ? { method: 'PUT', body: 'abc' } : {});
    await answer.text();
    return context.status(200).succeed(name);
  }
  const [client, options] = clients[store];
  await new Promise((resolve, reject) => {
    const body = put ? 'abc' : '';
    client.request({ host: '198.18.0.30', method: put ? 'PUT' : 'GET', path: `/keep/${name}`, ...options,
      headers: { Host: 'store.example', 'Content-Length': body.length } }, (answer) => answer.resume().on('end', resolve))
      .on('error', reject).end(body);
  });
  return context.status(200).succeed(name);
};
