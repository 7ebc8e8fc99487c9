'use strict';
// Counts the photograph as delivered.
const { handler } = require('./shop/answer');
const { rows } = require('./shop/database');

module.exports = handler(require('./schema.json'), async (envelope) => {
  await rows('UPDATE photoRegistrationTable SET delivered = delivered + 1, assignments = GREATEST(assignments, 1) - 1 '
    + 'WHERE id = ?', envelope.photographer);
  return { ...envelope, reported: true };
});
