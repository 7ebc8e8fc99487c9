'use strict';
// Announces a purchase: the event goes to the log, from where others take it.
const { handler } = require('./shop/answer');

module.exports = handler(require('./schema.json'), async ({ approved, id, user, price, authorization }) => {
  const type = approved ? 'purchase' : 'refusal';
  console.log(JSON.stringify({ type, time: new Date().toISOString(), id, user, price, authorization }));
  return { published: true };
});
