'use strict';
// Announces a purchase: the event goes to the log, from where others take it.
const { Refusal, fields, handler } = require('./shop/answer');

module.exports = handler(async (body) => {
  const { id, user } = fields(body, 'id', 'user');
  if (typeof body.approved !== 'boolean') throw new Refusal(400, 'approved is not true or false');
  const event = {
    type: body.approved ? 'purchase' : 'refusal',
    time: new Date().toISOString(), id, user, price: body.price, authorization: body.authorization,
  };
  console.log(JSON.stringify(event));
  return { published: true };
});
