'use strict';
// Fetches a photograph, looks at it, and stores it.
//
// This function has two weaknesses on purpose: the file gets the name that the
// sender chose before anybody has looked at it, and stays when it is refused; and
// the name of the program that looks at it is taken as it is.  Together they let
// a sender run what he has sent.
const { execFile } = require('node:child_process');
const fs = require('node:fs/promises');
const path = require('node:path');
const { promisify } = require('node:util');
const { Refusal, handler } = require('./shop/answer');
const { rows } = require('./shop/database');
const { fetch } = require('./fetch');

const run = promisify(execFile);
const PHOTOS = '/home/app/photos';

async function look(transform, file) {
  try {
    const { stdout } = await run('sh', [`function/transforms/${transform}.sh`, file]);
    return stdout.trim();
  } catch (error) {
    throw new Refusal(422, `not a photograph: ${String(error.stdout || error.message).trim()}`);
  }
}

module.exports = handler(require('./schema.json'), async ({ id, photographer, url, transform = 'identify' }) => {
  const image = await fetch(url);
  const file = path.join(PHOTOS, path.basename(new URL(url).pathname));
  await fs.mkdir(PHOTOS, { recursive: true });
  await fs.writeFile(file, image);
  const about = await look(transform, file);
  await rows('REPLACE INTO storedPhotosTable (product, photographer, about, image) VALUES (?, ?, ?, ?)',
    id, photographer, about, image);
  return { id, photographer, photo: { file, about } };
});
