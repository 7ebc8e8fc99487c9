/* SMTP: envelopes, mails that look like commands, pipelining, TLS, cuts. */
#include "agent/app/tests/collect.h"

#define GREETING IN("220 mail.example ESMTP\r\n")
#define OK IN("250 OK\r\n")
#define GO IN("354 go on\r\n")
#define ONE_MAIL                                                                                                  \
	GREETING, OUT("EHLO shop\r\n"), IN("250-mail\r\n250 PIPELINING\r\n"), OUT("MAIL FROM:<a@Shop.Example> SIZE=3\r\n"), OK, \
		OUT("RCPT TO:<Bob@Example.ORG>\r\n"), OK, OUT("rcpt to: <@relay:c@d.example>\r\n"), OK, OUT("DATA\r\n"), GO,    \
		OUT("Subject: x\r\n\r\nMAIL FROM:<evil@x>\r\nRCPT TO:<evil@y>\r\n..\r\n.\r\n"), OK, OUT("QUIT\r\n")
#define ONE_MAIL_SAYS "> mail put RCPT Bob@example.org url=a@shop.example\n> mail put RCPT c@d.example url=a@shop.example\n"

static void envelope(void **state)
{
	CHECK(ONE_MAIL_SAYS, ONE_MAIL);
	CHECK_SPLITS(3, ONE_MAIL_SAYS, ONE_MAIL);
	/* the second mail of a connection; joined in the middle; nobody's sender */
	CHECK("> mail put RCPT b@x url=a@x\n> mail put RCPT c@x\n", OUT("MAIL FROM:<a@x>\r\n"), OK, OUT("RCPT TO:<b@x>\r\n"), OK,
	      OUT("DATA\r\n"), GO, OUT("hello\r\n.\r\n"), OK, OUT("MAIL FROM:<>\r\n"), OK, OUT("RCPT TO:<c@x>\r\n"), OK);
}

static void in_one_breath(void **state)
{
	CHECK_SPLITS(1, "> mail put RCPT b@x url=a@x\n> mail put RCPT c@x url=a@x\n> mail put RCPT e@x url=d@x\n", OUT("EHLO h\r\n"), OK,
		     OUT("MAIL FROM:<a@x>\r\nRCPT TO:<b@x>\r\nRCPT TO:<c@x>\r\nDATA\r\n"), IN("250 1\r\n250 2\r\n250 3\r\n354 go\r\n"),
		     OUT("RCPT TO:<no@x>\r\n.\r\nMAIL FROM:<d@x>\r\nRCPT TO:<e@x>\r\n"), IN("250 ok\r\n250 ok\r\n250 ok\r\n"));
	/* in chunks */
	CHECK_SPLITS(1, "> mail put RCPT b@x url=a@x\n> mail put RCPT c@x url=a@x\n", OUT("EHLO h\r\n"), OK,
		     OUT("MAIL FROM:<a@x>\r\nRCPT TO:<b@x>\r\nBDAT 18 LAST\r\nRCPT TO:<evil@y>\r\nRCPT TO:<c@x>\r\n"), OK);
	/* refused: the next line is a command again */
	CHECK("> mail put RCPT b@x url=a@x\n> mail put RCPT c@x url=a@x\n", OUT("EHLO h\r\n"), OK, OUT("MAIL FROM:<a@x>\r\n"), OK,
	      OUT("RCPT TO:<b@x>\r\n"), OK, OUT("DATA\r\n"), IN("554 no\r\n"), OUT("RCPT TO:<c@x>\r\n"));
}

static void secrets_and_tls(void **state)
{
	CHECK("", OUT("EHLO h\r\n"), OK, OUT("AUTH PLAIN AGJvYgBodW50ZXIy\r\n"), IN("235 ok\r\n"), OUT("STARTTLS\r\n"), IN("220 go\r\n"),
	      OUT("RCPT TO:<b@x>\r\n"));
	CHECK("> mail put RCPT b@x\n", OUT("EHLO h\r\n"), OK, OUT("STARTTLS\r\n"), IN("454 no\r\n"), OUT("RCPT TO:<b@x>\r\n"));
}

static void holes(void **state)
{
	/* of a long mail only the beginning: the server's answer ends it */
	CHECK("> mail put RCPT b@x url=a@x\n> mail put RCPT d@x url=c@x\n", OUT("MAIL FROM:<a@x>\r\nRCPT TO:<b@x>\r\nDATA\r\n"), GO,
	      {true, "RCPT TO:<evil@y>\r\n.\r", 70000, 20}, {true, "RCPT TO:<evil@y>\r\n", 18, 0}, OK,
	      OUT("MAIL FROM:<c@x>\r\nRCPT TO:<d@x>\r\n"));
	/* a mailbox that is cut, or none, has no known name */
	CHECK("> mail put RCPT ? url=a@x cut\n", OUT("MAIL FROM:<a@x>\r\nRCPT TO:bob\r\n"));
}

static void garbage(void **state)
{
	CHECK("", OUT("EHLOX\r\nRCPT TO:<b@x>\r\n"));
	CHECK("", GREETING, OUT("USER ftp\r\n"), IN("331 password\r\n"), OUT("PASS secret\r\n"));
	CHECK("> http-request get GET http://h/ url=/ host=h\n", OUT("GET / HTTP/1.1\r\nHost: h\r\nX: EHLO x\r\n\r\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(envelope), cmocka_unit_test(in_one_breath), cmocka_unit_test(secrets_and_tls),
		cmocka_unit_test(holes), cmocka_unit_test(garbage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
