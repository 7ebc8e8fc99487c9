'use strict';
const os = require('node:os');

// Says what it was called with, and by whom.
module.exports = async (event, context) => {
  if (event.query.fail) throw new Error('as asked');
  const { body, headers, method, path, query } = event;
  return context.status(202).headers({ 'X-Own': 'yes' })
    .succeed({ body, headers, method, path, query, hostname: os.hostname() });
};
