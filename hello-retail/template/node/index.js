'use strict';
// Runs an OpenFaaS handler: module.exports = async (event, context) => ...
// The watchdog forwards each invocation to this server.
const http = require('node:http');
const { URL } = require('node:url');
const handler = require('./function/handler');

const PORT = Number(process.env.http_port || 3000);
const MAX_BODY = 16 * 1024 * 1024; // of one invocation, held in memory

class Context {
  constructor(answer) {
    this.statusCode = 200;
    this.headerValues = {};
    this.answer = answer;
  }
  status(code) {
    if (code === undefined) return this.statusCode;
    this.statusCode = code;
    return this;
  }
  headers(values) {
    if (values === undefined) return this.headerValues;
    this.headerValues = values;
    return this;
  }
  succeed(value) {
    this.answer(null, value);
    return this;
  }
  fail(error) {
    this.answer(error);
    return this;
  }
}

function readBody(request) {
  return new Promise((resolve, reject) => {
    const parts = [];
    let size = 0;
    request.on('data', (part) => {
      size += part.length;
      if (size > MAX_BODY) reject(new Error('request body too large'));
      else parts.push(part);
    });
    request.on('end', () => resolve(Buffer.concat(parts)));
    request.on('error', reject);
  });
}

function parseBody(bytes, type) {
  const text = bytes.toString('utf8');
  if (!/\bjson\b/.test(type || '')) return text;
  return text === '' ? {} : JSON.parse(text);
}

function send(response, context, value) {
  const isObject = value !== null && typeof value === 'object' && !Buffer.isBuffer(value);
  const body = isObject ? JSON.stringify(value) : value === undefined || value === null ? '' : value;
  const bytes = Buffer.isBuffer(body) ? body : Buffer.from(String(body));
  const headers = { 'Content-Type': isObject ? 'application/json' : 'text/plain', ...context.headerValues };
  response.writeHead(context.statusCode, { ...headers, 'Content-Length': bytes.length });
  response.end(bytes);
}

function sendError(response, status, error) {
  const bytes = Buffer.from(String((error && error.message) || error));
  response.writeHead(status, { 'Content-Type': 'text/plain', 'Content-Length': bytes.length });
  response.end(bytes);
}

async function serve(request, response) {
  const url = new URL(request.url, 'http://function');
  let body;
  try {
    body = parseBody(await readBody(request), request.headers['content-type']);
  } catch (error) {
    return sendError(response, 400, error);
  }
  const event = {
    body, headers: request.headers, method: request.method, path: url.pathname,
    query: Object.fromEntries(url.searchParams), contentType: request.headers['content-type'],
  };
  let answered = false;
  const answer = (error, value) => {
    if (answered) return;
    answered = true;
    if (error) sendError(response, context.statusCode === 200 ? 500 : context.statusCode, error);
    else send(response, context, value);
  };
  const context = new Context(answer);
  try {
    const value = await handler(event, context, answer);
    if (value !== context) answer(null, value);
  } catch (error) {
    console.error(error);
    answer(error);
  }
}

const server = http.createServer(serve);
server.keepAliveTimeout = 0; // the watchdog decides how long it keeps its connections
server.listen(PORT, '127.0.0.1');
