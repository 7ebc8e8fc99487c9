'use strict';
// Photographs of products, in two halves.  /request: a photographer is chosen,
// told, and noted down.  /photos: a photograph that came is stored, announced,
// and counted.  Each step is a function, and what it answers goes to the next.
const { Refusal, checker, handler } = require('./shop/answer');
const { call } = require('./shop/call');

const halves = {
  '/request': {
    check: checker(require('./request-schema.json')),
    begin: (product) => ({ product }),
    steps: ['assign', 'message', 'record'],
  },
  '/photos': {
    check: checker(require('./photos-schema.json')),
    begin: (photo) => photo,
    steps: ['receive', 'success', 'report'],
  },
};

module.exports = handler({}, async (body, event) => {
  const half = halves[event.path];
  if (!half) throw new Refusal(404, 'neither /request nor /photos');
  let envelope = half.begin(half.check(body));
  for (const step of half.steps) envelope = await call(`product-photos-${step}`, envelope);
  return envelope;
});
