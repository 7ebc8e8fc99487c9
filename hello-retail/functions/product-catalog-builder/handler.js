'use strict';
// Takes a new product, or a new version of one, into the catalog.
const { handler } = require('./shop/answer');
const { rows } = require('./shop/database');
const feed = require('./feed');

async function store({ id, brand, name, description, category, price }) {
  await rows('REPLACE INTO productCategory (category) VALUES (?)', category);
  await rows('REPLACE INTO productCatalog (id, brand, name, description, category) VALUES (?, ?, ?, ?, ?)',
    id, brand, name, description, category);
  await rows('REPLACE INTO productPrice (id, price) VALUES (?, ?)', id, price);
}

const read = (event) => (typeof event.body === 'string' ? feed.parse(event.body) : event.body);

module.exports = handler(require('./schema.json'), async ({ data }) => {
  await store(data);
  return { id: data.id, stored: true };
}, read);
