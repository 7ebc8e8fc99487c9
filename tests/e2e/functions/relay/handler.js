'use strict';
// Makes the calls that it is told to make, in one of the ways that functions do.
//   calls      [{to, at, body, async, headers, timeout, tries, agent}]   at: what stands behind the function's name
//   parallel   all at once; else one after the other
//   copy       names of headers of our own request that every call gets, too
//   sleep      ms before it answers; status: of the answer; name: what it calls itself there
const http = require('node:http');

const kept = new http.Agent({ keepAlive: true, maxSockets: 2 });
const gateway = { host: 'gateway', port: 8080 };

function post(call, headers) {
  return new Promise((resolve) => {
    const body = JSON.stringify(call.body || {});
    const request = http.request({
      ...gateway, method: 'POST', path: `/${call.async ? 'async-function' : 'function'}/${call.to}/${call.at || ''}`,
      agent: call.agent === 'kept' ? kept : undefined, timeout: call.timeout,
      headers: { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body), ...headers, ...call.headers },
    }, (response) => {
      response.resume();
      response.on('end', () => resolve(response.statusCode));
      response.on('error', () => resolve(0));
    });
    request.on('timeout', () => request.destroy());
    request.on('error', () => resolve(0));
    request.end(body);
  });
}

async function make(call, headers) {
  for (let tries = call.tries || 1; ; tries -= 1) {
    const status = await post(call, headers);
    if (tries <= 1 || (status >= 200 && status < 300)) return status;
  }
}

module.exports = async (event, context) => {
  const plan = event.body || {};
  const calls = plan.calls || [];
  const headers = Object.fromEntries((plan.copy || []).filter((name) => event.headers[name])
    .map((name) => [name, event.headers[name]]));
  const statuses = [];
  if (plan.parallel) statuses.push(...await Promise.all(calls.map((call) => make(call, headers))));
  else for (const call of calls) statuses.push(await make(call, headers));
  if (plan.sleep) await new Promise((resolve) => { setTimeout(resolve, plan.sleep); });
  return context.status(plan.status || 200).succeed({ statuses, name: plan.name });
};
