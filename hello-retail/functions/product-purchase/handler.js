'use strict';
// Buys one product: asks for its price and has the card authorized at the same
// time, then announces the purchase.
const { fields, handler } = require('./shop/answer');
const { call } = require('./shop/call');

module.exports = handler(async (body) => {
  const { id, user, creditCard } = fields(body, 'id', 'user', 'creditCard?');
  const [{ price }, authorization] = await Promise.all([
    call('product-purchase-get-price', { id }),
    call('product-purchase-authorize-cc', { user, creditCard }),
  ]);
  const purchase = { approved: authorization.approved, id, price, user, authorization };
  await call('product-purchase-publish', purchase);
  return purchase;
});
