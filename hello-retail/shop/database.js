'use strict';
// The shop's database.  A container keeps its connections from one request to the next.
const mysql = require('mysql2/promise');

const pool = mysql.createPool({
  host: process.env.db_host,
  user: process.env.db_user,
  password: process.env.db_password,
  database: process.env.db_name,
  connectionLimit: 4,
});

async function rows(sql, ...values) {
  const [found] = await pool.query(sql, values);
  return found;
}

module.exports = { rows };
