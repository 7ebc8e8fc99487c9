'use strict';
// What a product costs.
const { Refusal, fields, handler } = require('./shop/answer');
const { rows } = require('./shop/database');

module.exports = handler(async (body) => {
  const { id } = fields(body, 'id');
  const [product] = await rows('SELECT price FROM productPrice WHERE id = ?', id);
  if (!product) throw new Refusal(404, 'no such product');
  return { id, price: Number(product.price) };
});
