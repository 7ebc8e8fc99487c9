'use strict';
// /categories, and /products of one category.
//
// This function has a weakness on purpose: the category becomes part of the
// statement as it is.
const { Refusal, handler } = require('./shop/answer');
const { rows } = require('./shop/database');

const read = (event) => (event.method === 'GET' ? event.query : event.body);

module.exports = handler(require('./schema.json'), async ({ category }, event) => {
  if (event.path === '/categories') {
    const found = await rows('SELECT category FROM productCategory ORDER BY category');
    return { categories: found.map((row) => row.category) };
  }
  if (event.path !== '/products') throw new Refusal(404, 'neither /categories nor /products');
  if (!category) throw new Refusal(400, 'products of which category?');
  return {
    products: await rows(`SELECT id, brand, name, description FROM productCatalog WHERE category = '${category}'`),
  };
}, read);
