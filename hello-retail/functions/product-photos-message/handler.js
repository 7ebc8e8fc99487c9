'use strict';
// Tells the photographer, by mail.
const nodemailer = require('nodemailer');
const { handler } = require('./shop/answer');

const mail = nodemailer.createTransport({
  host: process.env.smtp_host, port: Number(process.env.smtp_port || 25), secure: false, ignoreTLS: true,
});

module.exports = handler(require('./schema.json'), async (envelope) => {
  const { product, photographer } = envelope;
  const { messageId } = await mail.sendMail({
    from: 'photos@shop.example', to: photographer.email, subject: `A photograph of ${product.name}, please`,
    text: `Please photograph product ${product.id}, ${product.name}, and send us where the picture is.`,
  });
  return { ...envelope, message: messageId };
});
