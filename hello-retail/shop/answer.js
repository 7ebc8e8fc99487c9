'use strict';
// How every function checks what it is given and says what is wrong with it.

class Refusal extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

// The fields of an object that are named in `wanted`; 'name?' may be absent.
function fields(body, ...wanted) {
  if (body === null || typeof body !== 'object' || Array.isArray(body)) {
    throw new Refusal(400, 'the body is not a JSON object');
  }
  const found = {};
  for (const word of wanted) {
    const name = word.replace(/\?$/, '');
    const value = body[name];
    const absent = value === undefined || value === null;
    if (absent && word.endsWith('?')) continue;
    if (typeof value !== 'string' || value === '') throw new Refusal(400, `${name} is not a text`);
    found[name] = value;
  }
  return found;
}

// Turns a function of the body into a handler.
function handler(work) {
  return async (event, context) => {
    try {
      return context.status(200).succeed(await work(event.body, event));
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      return context.status(error.status).succeed({ error: error.message });
    }
  };
}

module.exports = { Refusal, fields, handler };
