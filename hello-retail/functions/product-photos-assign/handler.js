'use strict';
// Chooses the photographer who has least to do.
const { Refusal, handler } = require('./shop/answer');
const { rows } = require('./shop/database');

module.exports = handler(require('./schema.json'), async (envelope) => {
  const [photographer] = await rows('SELECT id, email FROM photoRegistrationTable ORDER BY assignments, id LIMIT 1');
  if (!photographer) throw new Refusal(404, 'no photographer');
  await rows('UPDATE photoRegistrationTable SET assignments = assignments + 1 WHERE id = ?', photographer.id);
  return { ...envelope, photographer };
});
