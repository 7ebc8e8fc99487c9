'use strict';
// Announces that there is a photograph: the event goes to the log.
const { handler } = require('./shop/answer');

module.exports = handler(require('./schema.json'), async (envelope) => {
  const { id, photographer } = envelope;
  console.log(JSON.stringify({ type: 'photograph', time: new Date().toISOString(), id, photographer }));
  return { ...envelope, announced: true };
});
