'use strict';
// What a product costs.
const { Refusal, handler } = require('./shop/answer');
const { rows } = require('./shop/database');

module.exports = handler(require('./schema.json'), async ({ id }) => {
  const [product] = await rows('SELECT price FROM productPrice WHERE id = ?', id);
  if (!product) throw new Refusal(404, 'no such product');
  return { id, price: Number(product.price) };
});
