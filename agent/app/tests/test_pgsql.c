/* PostgreSQL: simple and extended queries, names, encryption, cuts. */
#include "agent/app/tests/collect.h"

/* Messages with their lengths, written out: type, length, body. */
#define STARTUP "\x00\x00\x00" "3\x00\x03\x00\x00user\x00joe\x00" "database\x00shop\x00" "application_name\x00x\x00\x00"
#define STARTUP_USER "\x00\x00\x00\x12\x00\x03\x00\x00user\x00joe\x00\x00"
#define ASK_TLS "\x00\x00\x00\x08\x04\xd2\x16/"
#define PASSWORD "p\x00\x00\x00\x0chunter2\x00"
#define SELECT_CARDS "Q\x00\x00\x00'SELECT a FROM Cards WHERE b='4111'\x00"
#define INSERT_LOG "Q\x00\x00\x00)INSERT INTO \x22" "Audit\x22.log VALUES (123)\x00"
#define CATALOGUE "Q\x00\x00\x00`SELECT 1 FROM pg_type; SELECT 1 FROM pg_catalog.pg_class, information_schema.tables; SHOW x\x00"
#define UNNAMED "P\x00\x00\x00'\x00SELECT * FROM cards WHERE id=$1\x00\x00\x00" "B\x00\x00\x00 \x00\x00\x00\x00\x00\x01\x00\x00\x00\x10" "4111111111111111\x00\x00" "D\x00\x00\x00\x06P\x00" "E\x00\x00\x00\x09\x00\x00\x00\x00\x00S\x00\x00\x00\x04"
#define PARSE_NAMED "P\x00\x00\x00&s1\x00UPDATE public.cards SET a=$1\x00\x00\x00" "D\x00\x00\x00\x08Ss1\x00S\x00\x00\x00\x04"
#define EXECUTE_NAMED "B\x00\x00\x00\x22\x00s1\x00\x00\x00\x00\x01\x00\x00\x00\x10" "4111111111111111\x00\x00" "E\x00\x00\x00\x09\x00\x00\x00\x00\x00S\x00\x00\x00\x04"
#define EXECUTE_PORTAL "B\x00\x00\x00$c1\x00s1\x00\x00\x00\x00\x01\x00\x00\x00\x10" "4111111111111111\x00\x00" "E\x00\x00\x00\x0b" "c1\x00\x00\x00\x00\x00" "E\x00\x00\x00\x0b" "c1\x00\x00\x00\x00\x00S\x00\x00\x00\x04"
#define CLOSE_NAMED "C\x00\x00\x00\x08Ss1\x00S\x00\x00\x00\x04"
#define TWO "P\x00\x00\x00!\x00INSERT INTO a VALUES ($1)\x00\x00\x00" "B\x00\x00\x00 \x00\x00\x00\x00\x00\x01\x00\x00\x00\x10" "4111111111111111\x00\x00" "E\x00\x00\x00\x09\x00\x00\x00\x00\x00P\x00\x00\x00!\x00INSERT INTO b VALUES ($1)\x00\x00\x00" "B\x00\x00\x00 \x00\x00\x00\x00\x00\x01\x00\x00\x00\x10" "4111111111111111\x00\x00" "E\x00\x00\x00\x09\x00\x00\x00\x00\x00S\x00\x00\x00\x04"
#define COPY_IN "Q\x00\x00\x00\x1a" "COPY cards FROM STDIN\x00"
#define COPY_DATA "d\x00\x00\x00LQ\x00\x00\x00 SELECT x FROM fake\x00Q\x00\x00\x00 SELECT x FROM fake\x00Q\x00\x00\x00 SELECT x FROM fake\x00" "c\x00\x00\x00\x04"
#define READY IN("Z\0\0\0\5I")

static void simple(void **state)
{
	CHECK_SPLITS(2, "> sql get SELECT shop.cards\n> sql put INSERT shop.Audit.log\n", OUT(STARTUP), READY, OUT(PASSWORD),
		     READY, OUT(SELECT_CARDS), READY, OUT(INSERT_LOG), READY);
	/* without a database it is the user's; the server's own tables say nothing */
	CHECK("> sql get SELECT joe.cards\n", OUT(STARTUP_USER), READY, OUT(CATALOGUE), READY, OUT(SELECT_CARDS));
	/* joined in the middle */
	CHECK("> sql get SELECT cards\n", READY, OUT(SELECT_CARDS));
	/* several in one breath */
	CHECK("> sql get SELECT cards\n> sql put INSERT Audit.log\n", OUT(SELECT_CARDS INSERT_LOG));
}

static void extended(void **state)
{
	CHECK_SPLITS(2, "> sql get SELECT shop.cards\n", OUT(STARTUP), READY, OUT(UNNAMED), READY);
	CHECK_SPLITS(2, "> sql put INSERT shop.a\n> sql put INSERT shop.b\n", OUT(STARTUP), READY, OUT(TWO), READY);
	/* prepared once, executed twice, then by a portal that is asked twice; parsing touches nothing */
	CHECK_SPLITS(2, "> sql put UPDATE shop.cards\n> sql put UPDATE shop.cards\n"
			"> sql put UPDATE shop.cards\n> sql put UPDATE shop.cards\n",
		     OUT(STARTUP), READY, OUT(PARSE_NAMED), READY, OUT(EXECUTE_NAMED), READY, OUT(EXECUTE_NAMED), READY,
		     OUT(EXECUTE_PORTAL), READY, OUT(CLOSE_NAMED), READY);
	/* what was closed, or prepared before the recording, is not known */
	CHECK("> sql get EXECUTE ? cut\n", OUT(STARTUP), READY, OUT(PARSE_NAMED), READY, OUT(CLOSE_NAMED), READY,
	      OUT(EXECUTE_NAMED), READY);
}

static void encryption(void **state)
{
	CHECK("> sql get SELECT shop.cards\n", OUT(ASK_TLS), IN("N"), OUT(STARTUP), READY, OUT(SELECT_CARDS));
	/* granted: what follows is not ours, whatever it looks like, until TLS has begun */
	CHECK("", OUT(ASK_TLS), IN("S"), OUT("\x17\x03\x03\x00\x05hello"));
}

/* Contents of a table that look like statements are none. */
static void copies(void **state)
{
	CHECK_SPLITS(2, "> sql put COPY shop.cards\n> sql get SELECT shop.cards\n", OUT(STARTUP), READY, OUT(COPY_IN), IN("G\0\0\0\7\0\0\0"),
		     OUT(COPY_DATA), READY, OUT(SELECT_CARDS));
}

/* A statement in pieces of which only the beginnings were captured. */
static void holes(void **state)
{
	static const char parse[] = "P\x00\x00\x00\x1b\x00SELECT 1 FROM cards\x00\x00\x00" "B\x00\x00\x03\x94\x00\x00\x00\x00\x00\x01\x00\x00\x03\x84xxxxxxxxxxxxxxxxxxxxxxxxx", query[] = "Q\x00\x00\x06\x16SELECT 1 FROM cards WHERE a IN (0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,";
	const struct step lost[] = {OUT(STARTUP), READY, {true, parse, 1000, sizeof(parse) - 1}, READY, OUT(SELECT_CARDS)};
	const struct step bridged[] = {OUT(STARTUP), READY, {true, query, 1559, sizeof(query) - 1}, READY, OUT(SELECT_CARDS)};
	const struct step twice[] = {OUT(STARTUP), READY, {true, query, 1559 - 10, sizeof(query) - 1},
				     {true, NULL, 10, 0}, OUT(SELECT_CARDS)};

	/* Bind and Execute are in the hole: they came in the same breath */
	check_steps(lost, 5, "> sql get SELECT shop.cards\n> sql get SELECT shop.cards\n");
	check_steps(bridged, 5, "> sql get SELECT shop.cards cut\n> sql get SELECT shop.cards\n");
	check_steps(twice, 5, "> sql get SELECT shop.cards cut\n> sql get SELECT shop.cards\n");
}

static void garbage(void **state)
{
	CHECK("", OUT("Q\0\0\0\x20" "hello world, not a statement"));
	CHECK("", OUT("P\xff\xff\xff\xff" "x\0SELECT 1 FROM t\0"));
	CHECK("", OUT(STARTUP), READY, OUT("Q\0\0\0\1SELECT 1 FROM t"), READY, OUT("\0\0\0\0\0\0"));
	/* a body sent by HTTP is no statement */
	CHECK("> http-request put POST http://h/x url=/x host=h\n",
	      OUT("POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 40\r\n\r\n" SELECT_CARDS));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(simple), cmocka_unit_test(extended), cmocka_unit_test(encryption),
		cmocka_unit_test(copies), cmocka_unit_test(holes), cmocka_unit_test(garbage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
