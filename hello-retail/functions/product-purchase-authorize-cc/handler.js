'use strict';
// Authorizes a payment with the given card, or with the one on file.
//
// This function has a weakness on purpose: the card number reaches a shell
// unescaped.  It is what the attacks in hello-retail/attacks go through.
const { exec } = require('node:child_process');
const { randomUUID } = require('node:crypto');
const { promisify } = require('node:util');
const { Refusal, handler } = require('./shop/answer');
const { rows } = require('./shop/database');

const run = promisify(exec);

async function cardOnFile(user) {
  const [row] = await rows('SELECT creditCard FROM creditCards WHERE user = ?', user);
  if (!row) throw new Refusal(404, 'no card on file');
  return row.creditCard;
}

// The issuer's check is a shell script; it prints the kind of card.
async function check(card) {
  try {
    const { stdout } = await run(`sh function/check-card.sh ${card}`, { maxBuffer: 16 * 1024 * 1024 });
    return { valid: true, issuer: stdout.trim() };
  } catch (error) {
    return { valid: false, issuer: String(error.stdout || '').trim() };
  }
}

module.exports = handler(require('./schema.json'), async ({ user, creditCard }) => {
  const { valid, issuer } = await check(creditCard || (await cardOnFile(user)));
  const declined = Math.random() * 100 < Number(process.env.decline_percent || 0);
  return { approved: valid && !declined, issuer, authorization: randomUUID() };
});
