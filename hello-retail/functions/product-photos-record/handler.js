'use strict';
// Notes down who photographs what.
const { handler } = require('./shop/answer');
const { rows } = require('./shop/database');

module.exports = handler(require('./schema.json'), async (envelope) => {
  const { product, photographer } = envelope;
  await rows('REPLACE INTO photoAssignmentTable (product, photographer) VALUES (?, ?)', product.id, photographer.id);
  return { ...envelope, recorded: true };
});
