/* Which tables a statement touches, by the text of the statement. */
#include "agent/app/tests/collect.h"

#include "agent/app/sql.h"
#include "agent/app/sql_rows.h"

static void describe(enum fp_sql_dialect dialect, struct fp_buffer *out, const char *text, size_t len, bool truncated)
{
	struct fp_sql_statement statement;
	size_t n;

	while ((n = fp_sql_read(dialect, text, len, truncated, &statement)) > 0) {
		assert_true(n <= len);
		fp_buffer_add_text(out, out->len ? " | " : "");
		fp_buffer_add_text(out, statement.verb);
		for (unsigned i = 0; i < statement.n_tables; i++) {
			const struct fp_sql_table *table = &statement.tables[i];

			fp_buffer_add_text(out, table->put ? " +" : " -");
			fp_buffer_add(out, table->schema.data, table->schema.len);
			fp_buffer_add_text(out, table->schema.len ? "." : "");
			fp_buffer_add(out, table->name.data, table->name.len);
		}
		if (statement.incomplete)
			fp_buffer_add_text(out, " ...");
		text += n;
		len -= n;
	}
}

struct row {
	const char *text, *expected; /* verb, -table read, +table written, ... may be more */
};

static void check_rows(enum fp_sql_dialect dialect, const struct row *rows, size_t n, bool truncated)
{
	for (size_t i = 0; i < n; i++) {
		struct fp_buffer out = FP_BUFFER_INIT;
		size_t len = strlen(rows[i].text);
		char *copy = malloc(len + 1);

		/* no NUL behind the text: a read beyond it is found */
		assert_non_null(copy);
		memcpy(copy, rows[i].text, len);
		copy = realloc(copy, len ? len : 1);
		describe(dialect, &out, copy, len, truncated);
		if (strcmp(out.data ? out.data : "", rows[i].expected) != 0)
			print_error("%s\n", rows[i].text);
		assert_string_equal(out.data ? out.data : "", rows[i].expected);
		free(copy);
		fp_buffer_done(&out);
	}
}

#define CHECK_ROWS(rows, truncated) check_rows(FP_SQL_MYSQL, rows, sizeof(rows) / sizeof(rows[0]), truncated)

static void reads(void **state)
{
	static const struct row rows[] = {
		{"SELECT a FROM t", "SELECT -t"},
		{"select a from T where b='from x'", "SELECT -T"},
		{"SELECT /*!40001 SQL_NO_CACHE */ `user`, `creditCard` FROM `creditCards`", "SELECT -creditCards"},
		{"SELECT * FROM `helloRetail`.`creditCards` WHERE `user`='x'", "SELECT -helloRetail.creditCards"},
		{"SELECT * FROM shop . cards c", "SELECT -shop.cards"},
		{"SELECT * FROM a, b AS x, c y WHERE 1", "SELECT -a -b -c"},
		{"SELECT * FROM a JOIN b ON a.x=b.y LEFT JOIN c USING (x), d", "SELECT -a -b -c -d"},
		{"SELECT * FROM (a, b) WHERE f(x, y)", "SELECT -a -b"},
		{"SELECT f(a, b), (SELECT max(x) FROM t2) FROM t1", "SELECT -t2 -t1"},
		{"SELECT * FROM (SELECT x FROM inner1) AS d, outer1", "SELECT -inner1 -outer1"},
		{"SELECT x FROM a WHERE x IN (SELECT y FROM b) ORDER BY x, y", "SELECT -a -b"},
		{"(SELECT a FROM t) UNION ALL (SELECT b FROM u) LIMIT 1, 2", "SELECT -t -u"},
		{"SELECT a FROM t UNION SELECT b FROM u", "SELECT -t -u"},
		{"SELECT EXTRACT(YEAR FROM born), TRIM(LEADING 'x' FROM n), SUBSTRING(n FROM 2) FROM people",
		 "SELECT -people"},
		{"SELECT * FROM t USE INDEX FOR JOIN (i, j), u FORCE INDEX (k)", "SELECT -t -u"},
		{"SELECT * FROM t FOR UPDATE", "SELECT -t"},
		{"SELECT * FROM t PARTITION (p0, p1), u", "SELECT -t -u"},
		{"SELECT * FROM JSON_TABLE('[]', '$' COLUMNS (x INT PATH '$')) AS j, t", "SELECT -t"},
		{"SELECT * FROM t INTO OUTFILE '/tmp/x'", "SELECT -t"},
		{"SELECT a INTO @x FROM t", "SELECT -t"},
		{"SELECT t.from, @from, @@global.x FROM t", "SELECT -t"},
		{"SELECT \"from x\", 'it''s from y', 'a\\' from z' FROM t", "SELECT -t"},
		{"SELECT * FROM \"quoted\"", "SELECT -quoted"},
		{"SELECT * FROM `a``b`, `weird name`", "SELECT -a``b -weird name"},
		{"SELECT 1 FROM dual", "SELECT"},
		{"SELECT 1", "SELECT"},
		{"SELECT @@version", "SELECT"},
		{"SELECT * FROM t t1 NATURAL JOIN t t2", "SELECT -t"},
		{"SELECT STRAIGHT_JOIN * FROM a STRAIGHT_JOIN b", "SELECT -a -b"},
		{"SELECT * FROM a, LATERAL (SELECT * FROM b) x", "SELECT -a -b"},
		{"SELECT * FROM value, t2", "SELECT -value -t2"},
		{"TABLE t ORDER BY a, b", "TABLE -t"},
		{"HANDLER cards READ FIRST", "HANDLER -cards"},
		{"SET @x = (SELECT card FROM cards LIMIT 1)", "SET -cards"},
		{"DO (SELECT 1 FROM cards)", "DO -cards"},
		{"EXPLAIN SELECT * FROM t", "EXPLAIN -t"},
		{"SELECT kartennummer FROM \xc3\xbc" "bersicht", "SELECT -\xc3\xbc" "bersicht"},
	};

	CHECK_ROWS(rows, false);
}

static void comments(void **state)
{
	static const struct row rows[] = {
		{"/* FROM x */ SELECT a -- FROM y\n FROM t # FROM z", "SELECT -t"},
		{"SELECT a FROM/**/t", "SELECT -t"},
		{"SELECT a /*!50000 FROM secret */", "SELECT -secret"},
		{"SELECT a /*M!100100 FROM secret, */ other", "SELECT -secret -other"},
		{"SELECT a FROM t /*!40000 , u */ , v", "SELECT -t -u -v"},
		{"SELECT 1--2 FROM t", "SELECT -t"},
		{"SELECT a FROM t /* never closed", "SELECT -t"},
		{"/*!40101 SET NAMES utf8 */", "SET"},
		{"/*!40000 SELECT * FROM cards */;", "SELECT -cards"},
		{" \t\n;; -- nothing\n", ""},
		{"", ""},
	};

	CHECK_ROWS(rows, false);
}

static void writes(void **state)
{
	static const struct row rows[] = {
		{"INSERT INTO t (a, b) VALUES ('x', 1), ('y from z', 2)", "INSERT +t"},
		{"INSERT IGNORE t SET a=1", "INSERT +t"},
		{"insert low_priority into `s`.`t` values (1) on duplicate key update a=values(a)", "INSERT +s.t"},
		{"INSERT INTO t SELECT * FROM s", "INSERT +t -s"},
		{"INSERT INTO t (a) (SELECT b FROM s)", "INSERT +t -s"},
		{"REPLACE INTO t VALUES (REPLACE('a', 'b', 'c'))", "REPLACE +t"},
		{"UPDATE t SET a=1 WHERE b=2", "UPDATE +t"},
		{"UPDATE a, b SET a.x=b.y", "UPDATE +a +b"},
		{"UPDATE a JOIN (SELECT x FROM c) d ON a.i=d.x JOIN b SET a.x=1, b.y=2", "UPDATE +a -c +b"},
		{"UPDATE t SET a=(SELECT max(x) FROM s)", "UPDATE +t -s"},
		{"DELETE FROM t WHERE a IN (SELECT b FROM s)", "DELETE +t -s"},
		{"DELETE t1 FROM t1 JOIN t2 ON t1.a=t2.a", "DELETE +t1 +t2"},
		{"DELETE FROM t1, t2 USING t1 JOIN t2 USING (a)", "DELETE +t1 +t2"},
		{"WITH x AS (SELECT * FROM s) DELETE FROM t WHERE a IN (SELECT a FROM x)", "DELETE -s +t"},
		{"CREATE TABLE IF NOT EXISTS t (a INT, b INT) ENGINE=InnoDB", "CREATE +t"},
		{"CREATE TEMPORARY TABLE t AS SELECT * FROM s", "CREATE +t -s"},
		{"CREATE TABLE t LIKE s", "CREATE +t"},
		{"CREATE OR REPLACE ALGORITHM=MERGE DEFINER=`a`@`%` VIEW v AS SELECT * FROM s", "CREATE +v -s"},
		{"DROP TABLE IF EXISTS a, b", "DROP +a +b"},
		{"ALTER TABLE t ADD COLUMN a INT, RENAME TO u", "ALTER +t +u"},
		{"RENAME TABLE a TO b, c TO d", "RENAME +a +b +c +d"},
		{"TRUNCATE TABLE t", "TRUNCATE +t"},
		{"TRUNCATE t", "TRUNCATE +t"},
		{"LOAD DATA LOCAL INFILE '/etc/passwd' INTO TABLE t (a, b)", "LOAD +t"},
	};

	CHECK_ROWS(rows, false);
}

static void table_expressions(void **state)
{
	static const struct row rows[] = {
		{"WITH x AS (SELECT * FROM s) SELECT * FROM x, t", "SELECT -s -t"},
		{"WITH RECURSIVE x (n) AS (SELECT 1 UNION ALL SELECT n+1 FROM x), `y` AS (SELECT * FROM t) "
		 "SELECT * FROM X JOIN y JOIN z", "SELECT -t -z"},
		{"SELECT * FROM (WITH x(a, b) AS (SELECT * FROM s) SELECT * FROM x) d", "SELECT -s"},
		{"INSERT INTO t WITH x AS (SELECT * FROM s) SELECT * FROM x", "INSERT +t -s"},
		{"SELECT a FROM t GROUP BY a WITH ROLLUP", "SELECT -t"},
		{"WITH x AS (SELECT * FROM s) SELECT * FROM shop.x", "SELECT -s -shop.x"},
	};

	CHECK_ROWS(rows, false);
}

static void moves_nothing(void **state)
{
	static const struct row rows[] = {
		{"SHOW TABLES FROM helloRetail", "SHOW"},
		{"SHOW CREATE TABLE `creditCards`", "SHOW"},
		{"LOCK TABLES `creditCards` READ /*!32311 LOCAL */", "LOCK"},
		{"SET SQL_QUOTE_SHOW_CREATE=1", "SET"},
		{"CALL pay('4111111111111111')", "CALL"},
		{"GRANT SELECT ON a.b TO c", "GRANT"},
		{"REVOKE SELECT ON a.b FROM c", "REVOKE"},
		{"PREPARE s FROM 'SELECT * FROM cards'", "PREPARE"},
		{"4111111111111111", "?"},
		{"'secret'", "?"},
		{"FROBNICATE a FROM b", "FROBNICATE"},
		{"p4ssw0rd x", "?"},
	};

	CHECK_ROWS(rows, false);
}

static void several(void **state)
{
	static const struct row rows[] = {
		{"SELECT a FROM t; UPDATE u SET a=';'; ", "SELECT -t | UPDATE +u"},
		{"BEGIN NOT ATOMIC SELECT * FROM t; END", "BEGIN -t | END"},
	};

	CHECK_ROWS(rows, false);
}

static void truncated(void **state)
{
	static const struct row rows[] = {
		{"SELECT a, b, c", "SELECT ..."},
		{"SELECT a FROM credit", "SELECT ..."},
		{"SELECT a FROM `credit", "SELECT ..."},
		{"SELECT a FROM `helloRetail`", "SELECT ..."},
		{"SELECT a FROM helloRetail.", "SELECT ..."},
		{"SELECT a FROM helloRetail.`credit", "SELECT ..."},
		{"SELECT a FROM creditCards WHERE", "SELECT -creditCards ..."},
		{"INSERT INTO t VALUES ('xxx", "INSERT +t"},
		{"INSERT INTO t (a, b", "INSERT +t ..."},
		{"SELECT a FROM t;", "SELECT -t"},
		{"SEL", "? ..."},
	};

	CHECK_ROWS(rows, true);
}

#define CHECK_POSTGRES(rows, truncated) check_rows(FP_SQL_POSTGRES, rows, sizeof(rows) / sizeof(rows[0]), truncated)

static void postgres(void **state)
{
	static const struct row rows[] = {
		/* strings: no backslash, but in E''; dollars; a parameter is none */
		{"SELECT 'a\\' FROM t", "SELECT -t"},
		{"SELECT E'a\\' FROM u' FROM t", "SELECT -t"},
		{"SELECT $$ FROM u $$ FROM t WHERE a = $1 AND b = $2", "SELECT -t"},
		{"SELECT $x$ $$ FROM u $y$ $x$ FROM t", "SELECT -t"},
		{"SELECT U&'d\\0061t' FROM t", "SELECT -t"},
		/* comments and signs */
		{"SELECT a #>> '{b}' FROM t -- FROM u", "SELECT -t"},
		{"SELECT /* a /* b */ FROM u */ 1 FROM t --", "SELECT -t"},
		{"SELECT a::text, b @> c FROM ONLY \"T\" t", "SELECT -T"},
		{"SELECT 1 FROM shop.public.cards", "SELECT -public.cards"},
		/* words */
		{"SELECT a IS DISTINCT FROM b FROM t", "SELECT -t"},
		{"UPDATE ONLY t SET a = b.c FROM b JOIN c USING (d) WHERE e IS DISTINCT FROM f", "UPDATE +t -b -c"},
		{"DELETE FROM ONLY t USING b WHERE t.a = b.a RETURNING *", "DELETE +t -b"},
		{"MERGE INTO t USING s ON t.a = s.a WHEN MATCHED THEN UPDATE SET a = 1", "MERGE +t -s"},
		{"INSERT INTO t (a) VALUES ($1) ON CONFLICT (a) DO UPDATE SET b = excluded.b RETURNING a", "INSERT +t"},
		{"COPY t (a, b) FROM STDIN WITH (FORMAT csv)", "COPY +t"},
		{"COPY public.t TO STDOUT", "COPY -public.t"},
		{"COPY (SELECT a FROM t) TO PROGRAM 'nc 1.2.3.4 5'", "COPY -t"},
		{"TRUNCATE TABLE ONLY a, b RESTART IDENTITY CASCADE", "TRUNCATE +a +b"},
		{"WITH m AS (DELETE FROM a WHERE b RETURNING *) INSERT INTO c SELECT * FROM m", "INSERT +a +c"},
		{"WITH m AS NOT MATERIALIZED (SELECT 1 FROM a) SELECT * FROM m", "SELECT -a"},
		{"DECLARE c CURSOR FOR SELECT * FROM t", "DECLARE -t"},
		{"CREATE TABLE n AS SELECT * FROM o", "CREATE +n -o"},
		{"REFRESH MATERIALIZED VIEW CONCURRENTLY v", "REFRESH +v"},
		{"SET search_path TO x; SELECT 1 FROM t", "SET | SELECT -t"},
	};
	static const struct row cut[] = {
		{"SELECT $x$ FROM u", "SELECT ..."}, {"SELECT a FROM ta", "SELECT ..."}, {"INSERT INTO t VALUES (E'a\\", "INSERT +t"},
	};

	CHECK_POSTGRES(rows, false);
	CHECK_POSTGRES(cut, true);
}

static void bounds(void **state)
{
	struct fp_sql_statement statement;
	struct fp_buffer text = FP_BUFFER_INIT;

	fp_buffer_add_text(&text, "SELECT * FROM t0");
	for (int i = 1; i <= FP_SQL_TABLES_MAX; i++)
		fp_buffer_add_format(&text, ", t%d", i);
	assert_int_equal(fp_sql_read(FP_SQL_MYSQL, text.data, text.len, false, &statement), text.len);
	assert_int_equal(statement.n_tables, FP_SQL_TABLES_MAX);
	assert_true(statement.incomplete);
	fp_buffer_clear(&text);
	for (int i = 0; i < 1000; i++)
		fp_buffer_add_text(&text, "SELECT * FROM (");
	assert_int_equal(fp_sql_read(FP_SQL_MYSQL, text.data, text.len, false, &statement), text.len);
	assert_true(statement.incomplete);
	fp_buffer_done(&text);
}

static void rows_of(const char *text, char ret_rows[FP_SQL_ROWS_MAX + 1])
{
	struct fp_sql_statement statement;
	size_t n = fp_sql_read(FP_SQL_MYSQL, text, strlen(text), false, &statement);

	assert_int_equal(n, strlen(text));
	*ret_rows = '\0';
	if (statement.n_tables)
		fp_sql_rows(FP_SQL_MYSQL, text, n, &statement, 0, ret_rows);
}

/* `shape` is what is known, with every digest as its letter alone. */
static void check_shape(const char *text, const char *shape)
{
	char rows[FP_SQL_ROWS_MAX + 1], out[FP_SQL_ROWS_MAX + 1];
	size_t len = 0;

	rows_of(text, rows);
	for (const char *at = rows; *at; at++) {
		out[len++] = *at;
		if (at > rows && at[-1] == ':')
			at += 3;
	}
	out[len] = '\0';
	if (strcmp(out, shape) != 0)
		fail_msg("%s: %s (%s) instead of %s", text, out, rows, shape);
}

static void rows_that_are_named(void **state)
{
	check_shape("SELECT price FROM p WHERE id = '1001'", "id:n");
	check_shape("SELECT price FROM p WHERE p.id = 5 AND `Kind`='shoes' ORDER BY a, b LIMIT 1", "id:n,kind:s");
	check_shape("SELECT a FROM p WHERE b > 3 AND id=7 AND (x = 1 OR y = 2)", "id:n");
	check_shape("UPDATE p SET n = n + 1, m = GREATEST(m, 1) - 1 WHERE id = 'ines'", "id:s");
	check_shape("DELETE FROM p WHERE id = 5", "id:n");
	check_shape("INSERT INTO p (id, name, made) VALUES ('4a', 'Scarf', now())", "id:m,name:s");
	check_shape("SELECT a FROM p WHERE kind = 'none' UNION ALL SELECT user FROM cards -- ' ", "kind:s");
	check_shape("REPLACE INTO s.p (id,price) VALUES (5, '20');", "id:n,price:n");
}

static void rows_that_are_all(void **state)
{
	check_shape("SELECT * FROM p", "*");
	check_shape("SELECT /*!40001 SQL_NO_CACHE */ `id`, `email` FROM `p`", "*");
	check_shape("SELECT a FROM p UNION SELECT b FROM q WHERE c = 1", "*");
	check_shape("SELECT id, email FROM p ORDER BY assignments, id LIMIT 1", "*");
}

static void rows_that_are_not_known(void **state)
{
	static const char *const texts[] = {
		"SELECT a FROM p WHERE id = 5 OR id = 6", "SELECT a FROM p WHERE id = 5 UNION SELECT a FROM p",
		"SELECT a FROM p WHERE id = ?", "SELECT a FROM p WHERE id = 5 UNION SELECT a FROM q, p", "SELECT a FROM p WHERE id = 5 + 1", "SELECT a FROM p WHERE id = -5",
		"SELECT a FROM p WHERE id = 5.5", "SELECT a FROM p WHERE id = 0", "SELECT a FROM p WHERE id = 'a' 'b'",
		"SELECT a FROM p WHERE id = 'a\\'b'", "SELECT a FROM p WHERE id = 'caf\xc3\xa9'",
		"SELECT a FROM p WHERE NOT id = 5", "SELECT a FROM p WHERE id = 5 IS FALSE", "SELECT a FROM p WHERE id = \"x\"",
		"SELECT a FROM p WHERE n BETWEEN 1 AND id = 5", "SELECT a FROM p WHERE id = 5 || 1",
		"SELECT a FROM p WHERE id = 5 AND EXISTS (SELECT 1 FROM p)", "SELECT a FROM p, p q WHERE p.id = 5",
		"SELECT a FROM p JOIN p q ON 1 WHERE p.id = 5", "SELECT a FROM p q WHERE q.id = 5",
		"SELECT a FROM p WHERE card_number = 5", "SELECT a FROM p WHERE id = 4111111111111111",
		"SELECT (SELECT max(b) FROM p) FROM p", "UPDATE p SET id = 6 WHERE id = 5", "UPDATE p SET p.id = 6 WHERE id = 5",
		"UPDATE p SET a = 1", "INSERT INTO p VALUES (5)", "INSERT INTO p (id) VALUES (5), (6)",
		"INSERT INTO p (id) VALUES (5) ON DUPLICATE KEY UPDATE a = 1", "INSERT INTO p SET id = 5",
		"INSERT INTO p (id) VALUES (5, 6)", "INSERT INTO p (id) VALUES (", "SELECT a FROM p WHERE (id = 5",
		"SELECT a FROM p WHERE id = 5) OR (1", "DELETE p FROM p JOIN p q WHERE p.id = 5",
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		check_shape(texts[i], "");
}

static void rows_compare_as_the_server_does(void **state)
{
	static const char *const same[][2] = {{"5", "'005'"}, {"'Ines'", "'ines  '"}};
	static const char *const other[][2] = {{"5", "6"}, {"'ines'", "'juri'"}};
	char text[64], a[FP_SQL_ROWS_MAX + 1], b[FP_SQL_ROWS_MAX + 1];

	for (size_t i = 0; i < 4; i++) {
		const char *const *pair = i < 2 ? same[i] : other[i - 2];

		snprintf(text, sizeof(text), "SELECT a FROM p WHERE id = %s", pair[0]);
		rows_of(text, a);
		snprintf(text, sizeof(text), "DELETE FROM p WHERE ID=%s", pair[1]);
		rows_of(text, b);
		assert_true((strcmp(a, b) == 0) == (i < 2));
		assert_string_not_equal(a, "");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads), cmocka_unit_test(comments), cmocka_unit_test(writes),
		cmocka_unit_test(table_expressions), cmocka_unit_test(moves_nothing), cmocka_unit_test(several),
		cmocka_unit_test(truncated), cmocka_unit_test(postgres), cmocka_unit_test(bounds),
		cmocka_unit_test(rows_that_are_named), cmocka_unit_test(rows_that_are_all),
		cmocka_unit_test(rows_that_are_not_known), cmocka_unit_test(rows_compare_as_the_server_does),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
