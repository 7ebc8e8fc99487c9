'use strict';
// Buys one product: asks for its price and has the card authorized at the same
// time, then announces the purchase.
//
// This function has a weakness on purpose: so that a customer need not be asked
// twice, a purchase that is tried again may bring the authorization it was given
// the first time, and nobody checks where that comes from.
const { handler } = require('./shop/answer');
const { call } = require('./shop/call');

module.exports = handler(require('./schema.json'), async ({ id, user, creditCard, authorization: given }) => {
  const [{ price }, authorization] = await Promise.all([
    call('product-purchase-get-price', { id }),
    given || call('product-purchase-authorize-cc', { user, creditCard }),
  ]);
  const purchase = { approved: authorization.approved, id, price, user, authorization };
  await call('product-purchase-publish', purchase);
  return purchase;
});
