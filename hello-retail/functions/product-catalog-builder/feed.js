'use strict';
// The feeds of suppliers whose systems cannot write JSON: an object as JavaScript
// writes it, names without quotes.
//
// This has a weakness on purpose: the text is evaluated.
const { Refusal } = require('./shop/answer');

function parse(text) {
  try {
    return new Function(`return (${text});`)();
  } catch (error) {
    throw new Refusal(400, `not a feed: ${error.message}`);
  }
}

module.exports = { parse };
