/* MySQL/MariaDB: what real clients sent, prepared statements, schemas, cuts. */
#include "agent/app/tests/collect.h"

#define QUERY(length, text) OUT(length "\x00\x00\x00\x03" text)
#define OK_REPLY IN("\x07\x00\x00\x01\x00\x00\x00\x02\x00\x00\x00")

static void captured(void **state)
{
	check_capture("agent/app/tests/captures/mysqldump",
		      "> sql get SELECT helloRetail.creditCards\n");
	check_capture("agent/app/tests/captures/mysqldump-compressed",
		      "> sql get SELECT helloRetail.creditCards\n");
	/* its second USE was refused */
	check_capture("agent/app/tests/captures/mariadb-client", "> sql get SELECT helloRetail.creditCards\n");
	/* one query, one statement prepared once and executed twice, one insert */
	check_capture("agent/app/tests/captures/mysql2", "> sql get SELECT helloRetail.creditCards\n"
							 "> sql get SELECT helloRetail.creditCards\n"
							 "> sql get SELECT helloRetail.creditCards\n"
							 "> sql put INSERT helloRetail.creditCards\n");
}

/* The same bytes in other pieces, and without the greeting, say the same of the tables. */
static void captured_in_pieces(void **state)
{
	struct capture capture;

	load_capture("agent/app/tests/captures/mysql2", &capture);
	for (size_t cut = 1; cut < 70; cut++) {
		struct fp_app_connection connection;
		struct fp_buffer out = FP_BUFFER_INIT;

		fp_app_connection_init(&connection);
		for (size_t i = 0; i < capture.n; i++) {
			struct step a = capture.steps[i], b;

			/* the greeting, which says that this is MySQL, comes whole */
			if (i > 0 && cut < a.total) {
				b = (struct step){a.outgoing, (const char *)a.data + cut, a.total - cut, 0};
				a = (struct step){a.outgoing, a.data, cut, 0};
				feed_step(&connection, &a, &out);
				a = b;
			}
			feed_step(&connection, &a, &out);
		}
		assert_string_equal(out.data, "> sql get SELECT helloRetail.creditCards\n"
					      "> sql get SELECT helloRetail.creditCards\n"
					      "> sql get SELECT helloRetail.creditCards\n"
					      "> sql put INSERT helloRetail.creditCards\n");
		fp_buffer_done(&out);
		fp_app_connection_done(&connection);
	}
	/* joined in the middle: the schema is not known */
	check_steps(capture.steps + 3, capture.n - 3, "> sql get SELECT creditCards\n"
						     "> sql get SELECT creditCards\n"
						     "> sql get SELECT creditCards\n"
						     "> sql put INSERT creditCards\n");
	/* and after the preparing */
	check_steps(capture.steps + 7, capture.n - 7, "> sql put INSERT creditCards\n");
}

static void schemas(void **state)
{
	CHECK("> sql get SELECT t\n> sql get SELECT a.t\n> sql get SELECT b.t\n> sql get SELECT b.t\n",
	      QUERY("\x10", "SELECT 1 FROM t"), OK_REPLY, QUERY("\x06", "use a"), OK_REPLY, QUERY("\x10", "SELECT 1 FROM t"),
	      OK_REPLY, OUT("\x02\x00\x00\x00\x02" "b"), OK_REPLY, QUERY("\x10", "SELECT 1 FROM t"), OK_REPLY,
	      QUERY("\x06", "use c"), IN("\x08\x00\x00\x01\xff\x19\x04#08S01"), QUERY("\x10", "SELECT 1 FROM t"));
	CHECK("> sql get SELECT a.t\n> sql put DELETE b.u\n",
	      OUT("\x2a\x00\x00\x00\x03use a; SELECT 1 FROM t; DELETE FROM b.u; "));
}

static void rows(void **state)
{
	collect_rows = true;
	CHECK("> sql get SELECT t rows=*\n", QUERY("\x10", "SELECT 1 FROM t"));
	CHECK("> sql put DELETE t rows=a:nd42\n> sql get SELECT t rows=*\n",
	      OUT("\x2a\x00\x00\x00\x03" "DELETE FROM t WHERE a=5; SELECT 1 FROM t "));
	/* what was cut says nothing */
	CHECK("> sql put DELETE t cut\n", {true, "\x2a\x00\x00\x00\x03" "DELETE FROM t WHERE a=5", 46, 28});
	collect_rows = false;
}

static void several_tables(void **state)
{
	CHECK("> sql put INSERT a\n> sql get INSERT b\n> sql get INSERT c\n",
	      QUERY("\x23", "INSERT INTO a SELECT * FROM b, c  "));
	CHECK("> sql get CALL\n", QUERY("\x13", "CALL pay('4111')  "));
}

static void nothing_to_tell(void **state)
{
	CHECK("> sql get SELECT t\n", OUT("\x2d\x00\x00\x00\x03" "SELECT 1 FROM Information_Schema.tables, t   "));
	CHECK("> sql get SELECT t\n", QUERY("\x10", "SELECT 1 FROM t"), OK_REPLY, QUERY("\x0c", "SHOW TABLES"), OK_REPLY,
	      QUERY("\x0a", "SET a = 1"), OK_REPLY, OUT("\x01\x00\x00\x00\x0e"), OK_REPLY, QUERY("\x07", "COMMIT"));
}

static void cut_statements(void **state)
{
	CHECK("> sql get SELECT ? cut\n> sql get SELECT t\n", {true, "\x20\x03\x00\x00\x03SELECT a, b, c", 804, 19},
	      OK_REPLY, QUERY("\x10", "SELECT 1 FROM t"));
	/* an insert in several sends; literals that look like a statement */
	CHECK("> sql put INSERT t\n> sql get SELECT t\n",
	      {true, "\x20\x03\x00\x00\x03INSERT INTO t VALUES ('", 404, 28}, {true, "\x10\x00\x00\x00\x03SELECT 1 FROM u", 400, 20},
	      OK_REPLY, QUERY("\x10", "SELECT 1 FROM t"));
}

static void prepared(void **state)
{
	/* id 5; executed; closed; executed again; an id from before the recording began */
	CHECK("> sql put DELETE t\n> sql put DELETE t\n> sql get EXECUTE ? cut\n> sql get EXECUTE ? cut\n",
	      OUT("\x0e\x00\x00\x00\x16" "DELETE FROM t"), IN("\x0c\x00\x00\x01"),
	      IN("\x00\x05\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00"), OUT("\x0a\x00\x00\x00\x17\x05\x00\x00\x00\x00\x01\x00\x00\x00"),
	      OK_REPLY, OUT("\x0a\x00\x00\x00\x17\xff\xff\xff\xff\x00\x01\x00\x00\x00"), OK_REPLY,
	      OUT("\x05\x00\x00\x00\x19\x05\x00\x00\x00"), OUT("\x0a\x00\x00\x00\x17\x05\x00\x00\x00\x00\x01\x00\x00\x00"), OK_REPLY,
	      OUT("\x0a\x00\x00\x00\x17\x09\x00\x00\x00\x00\x01\x00\x00\x00"));
	/* refused by the server: never existed */
	CHECK("> sql get EXECUTE ? cut\n", OUT("\x0e\x00\x00\x00\x16" "DELETE FROM t"), IN("\x08\x00\x00\x01\xff\x19\x04#08S01"),
	      OUT("\x0a\x00\x00\x00\x17\xff\xff\xff\xff\x00\x01\x00\x00\x00"));
}

static void many_prepared(void **state)
{
	struct fp_app_connection connection;
	struct fp_buffer out = FP_BUFFER_INIT;
	static const struct step prepare = OUT("\x0e\x00\x00\x00\x16" "DELETE FROM t");
	char execute[] = "\x0a\x00\x00\x00\x17\x00\x00\x00\x00\x00\x01\x00\x00\x00";
	char reply[] = "\x0c\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00";

	fp_app_connection_init(&connection);
	for (int i = 0; i < 1025; i++) {
		reply[5] = execute[5] = (char)i;
		reply[6] = execute[6] = (char)(i >> 8);
		feed_step(&connection, &prepare, &out);
		feed_step(&connection, &(struct step){false, reply, 16, 0}, &out);
	}
	/* the last is known; the first had to go */
	feed_step(&connection, &(struct step){true, execute, 14, 0}, &out);
	execute[5] = execute[6] = 0;
	feed_step(&connection, &(struct step){true, execute, 14, 0}, &out);
	assert_string_equal(out.data, "> sql put DELETE t\n> sql get EXECUTE ? cut\n");
	fp_buffer_done(&out);
	fp_app_connection_done(&connection);
}

static void encrypted(void **state)
{
	/* the client answers the greeting with a request for TLS */
	CHECK("> opaque get tls cut\n", IN("\x20\x00\x00\x00\x0a" "8.0.36\0\x01\x00\x00\x00" "aaaaaaaa\0\xff\xff\x21\x02\x00\xff\x81\x15\0\0\0"),
	      OUT("\x20\x00\x00\x01\x05\xae\x03\x00\x00\x00\x00\x01\x21\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
	      {true, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" "0123456789abcdef0123456789abcdef\x20", 517, 44});
}

static void not_mysql(void **state)
{
	CHECK("", OUT("\x10\x00\x00\x00\x03" "lorem ipsum dol"));
	CHECK("", OUT("\x10\x00\x00\x01\x03" "SELECT 1 FROM t"));
	CHECK("", {true, "\x10\x00\x00\x00", 20, 4}, {true, NULL, 5, 0});
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(captured), cmocka_unit_test(captured_in_pieces), cmocka_unit_test(schemas), cmocka_unit_test(rows),
		cmocka_unit_test(several_tables), cmocka_unit_test(nothing_to_tell), cmocka_unit_test(cut_statements),
		cmocka_unit_test(prepared), cmocka_unit_test(many_prepared), cmocka_unit_test(encrypted),
		cmocka_unit_test(not_mysql),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
