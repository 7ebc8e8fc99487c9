'use strict';
// How every function checks what it is given and says what is wrong with it.
const Ajv = require('ajv');

const ajv = new Ajv({ allErrors: true });

class Refusal extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

// Makes a check of a value against a JSON schema.
function checker(schema) {
  const valid = ajv.compile(schema);
  return (value) => {
    if (!valid(value)) throw new Refusal(400, ajv.errorsText(valid.errors, { dataVar: 'body' }));
    return value;
  };
}

// Turns a function of the body into a handler; the body has to be as the schema says.
function handler(schema, work, read = (event) => event.body) {
  const check = checker(schema);
  return async (event, context) => {
    try {
      return context.status(200).succeed(await work(check(read(event)), event));
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      return context.status(error.status).succeed({ error: error.message });
    }
  };
}

module.exports = { Refusal, checker, handler };
