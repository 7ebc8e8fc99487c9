/* Redis: keys of commands, pipelines, MULTI, cuts. */
#include "agent/app/tests/collect.h"

#define OK IN("+OK\r\n")
#define GET_USER "*2\r\n$3\r\nGET\r\n$6\r\nuser:1\r\n"
#define SET_USER "*3\r\n$3\r\nset\r\n$6\r\nuser:1\r\n$4\r\n4111\r\n"

static void commands(void **state)
{
	CHECK_SPLITS(0, "> redis put SET 0/user:1\n> redis get GET 0/user:1\n", OUT(SET_USER), OK, OUT(GET_USER), IN("$4\r\n4111\r\n"));
	/* as a server sees it */
	CHECK("< redis get GET 0/user:1\n", IN(GET_USER), OUT("$4\r\n4111\r\n"));
	/* both at once; every second; to the last but one; the second from the first */
	CHECK("> redis get INCR 0/n\n> redis put INCR 0/n\n", OUT("*2\r\n$4\r\nINCR\r\n$1\r\nn\r\n"));
	CHECK("> redis put MSET 0/a\n> redis put MSET 0/b\n",
	      OUT("*5\r\n$4\r\nMSET\r\n$1\r\na\r\n$1\r\n1\r\n$1\r\nb\r\n$1\r\n2\r\n"));
	CHECK("> redis get BLPOP 0/a\n> redis put BLPOP 0/a\n> redis get BLPOP 0/b\n> redis put BLPOP 0/b\n",
	      OUT("*4\r\n$5\r\nBLPOP\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\n0\r\n"));
	CHECK("> redis put SUNIONSTORE 0/d\n> redis get SUNIONSTORE 0/a\n> redis get SUNIONSTORE 0/b\n",
	      OUT("*4\r\n$11\r\nSUNIONSTORE\r\n$1\r\nd\r\n$1\r\na\r\n$1\r\nb\r\n"));
	CHECK("> redis get COPY 0/a\n> redis put COPY 0/b\n", OUT("*3\r\n$4\r\nCOPY\r\n$1\r\na\r\n$1\r\nb\r\n"));
}

static void counted(void **state)
{
	CHECK_SPLITS(0, "> redis get EVAL 0/k\n> redis put EVAL 0/k\n",
		     OUT("*5\r\n$4\r\nEVAL\r\n$8\r\nreturn 1\r\n$1\r\n1\r\n$1\r\nk\r\n$3\r\narg\r\n"));
	CHECK("> redis put ZUNIONSTORE 0/d\n> redis get ZUNIONSTORE 0/a\n> redis get ZUNIONSTORE 0/b\n",
	      OUT("*7\r\n$11\r\nZUNIONSTORE\r\n$1\r\nd\r\n$1\r\n2\r\n$1\r\na\r\n$1\r\nb\r\n$7\r\nWEIGHTS\r\n$1\r\n1\r\n"));
	CHECK("> redis get XREAD 0/s\n> redis get XREAD 0/t\n",
	      OUT("*8\r\n$5\r\nXREAD\r\n$5\r\nCOUNT\r\n$1\r\n2\r\n$7\r\nSTREAMS\r\n$1\r\ns\r\n$1\r\nt\r\n$1\r\n0\r\n$1\r\n0\r\n"));
	CHECK("> redis get SORT 0/l\n> redis put SORT 0/m\n",
	      OUT("*5\r\n$4\r\nSORT\r\n$1\r\nl\r\n$5\r\nALPHA\r\n$5\r\nSTORE\r\n$1\r\nm\r\n"));
}

static void spaces(void **state)
{
	CHECK("> redis put SET 3/user:1\n> redis get SCAN 3/*\n", OUT("*2\r\n$6\r\nSELECT\r\n$1\r\n3\r\n"), OK, OUT(SET_USER), OK,
	      OUT("*2\r\n$4\r\nSCAN\r\n$1\r\n0\r\n"));
	CHECK("> redis put PUBLISH channel/c\n", OUT("*3\r\n$7\r\nPUBLISH\r\n$1\r\nc\r\n$6\r\nsecret\r\n"));
	/* what is set is named, not to what */
	CHECK("> redis put CONFIG config/requirepass\n",
	      OUT("*4\r\n$6\r\nCONFIG\r\n$3\r\nSET\r\n$11\r\nrequirepass\r\n$6\r\nsecret\r\n"));
	CHECK("> redis get OBJECT 0/k\n", OUT("*3\r\n$6\r\nOBJECT\r\n$8\r\nencoding\r\n$1\r\nk\r\n"));
	/* no key in sight: a password, a program */
	CHECK("> redis get GET 0/user:1\n", OUT("*3\r\n$4\r\nAUTH\r\n$4\r\nuser\r\n$6\r\nsecret\r\n"), OK,
	      OUT("*3\r\n$6\r\nSCRIPT\r\n$4\r\nLOAD\r\n$1\r\nx\r\n"), OK, OUT("*2\r\n$7\r\nUNKNOWN\r\n$1\r\nx\r\n"), OK, OUT(GET_USER));
	/* bytes of a key that are no text */
	CHECK("> redis get GET 0/\\x00\\xff\\x5ca\n", OUT("*2\r\n$3\r\nGET\r\n$4\r\n\0\xff\\a\r\n"));
}

static void transactions(void **state)
{
	CHECK_SPLITS(0, "> redis put SET 0/user:1\n> redis get GET 0/user:1\n", OUT("*1\r\n$5\r\nMULTI\r\n" SET_USER GET_USER "*1\r\n$4\r\nEXEC\r\n"));
	CHECK("> redis get GET 0/user:1\n", OUT("*1\r\n$5\r\nMULTI\r\n"), OK, OUT(SET_USER), IN("+QUEUED\r\n"),
	      OUT("*1\r\n$7\r\nDISCARD\r\n"), OK, OUT(GET_USER));
	/* whether it was executed was not seen */
	CHECK("> redis put SET 0/user:1 cut\n> redis get ? ? cut\n> redis put ? ? cut\n",
	      {true, "*1\r\n$5\r\nMULTI\r\n" SET_USER, 500, 15 + sizeof(SET_USER) - 1});
}

static void typed(void **state)
{
	CHECK("> redis get GET 0/user:1\n> redis put SET 0/a\n", OUT(GET_USER), IN("$-1\r\n"), OUT("SET a  b\r\n"), OK, OUT("PING\r\n"));
}

static void holes(void **state)
{
	static const char value[] = "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1000\r\nxxxx", many[] = "*9\r\n$4\r\nMSET\r\n$1\r\nk\r\n$1000\r\nxxxx";
	static const char key[] = "*2\r\n$3\r\nGET\r\n$1000\r\nxxxx";

	/* within a value: stepped over */
	CHECK("> redis put SET 0/k\n> redis get GET 0/user:1\n", {true, value, 1029, sizeof(value) - 1}, OUT(GET_USER));
	CHECK("> redis put SET 0/k\n> redis get GET 0/user:1\n", {true, value, 1000, sizeof(value) - 1}, {true, NULL, 29, 0}, OUT(GET_USER));
	/* beyond it: there may be more keys; picked up again at the next turn */
	CHECK("> redis put MSET 0/k\n> redis put MSET ? cut\n> redis get GET 0/user:1\n",
	      {true, many, 2000, sizeof(many) - 1}, OUT(SET_USER), OK, OUT(GET_USER));
	/* within a key: it has no known name */
	CHECK("> redis get GET ? cut\n", {true, key, 1022, sizeof(key) - 1});
}

static void garbage(void **state)
{
	CHECK("", OUT("*2\r\n$3\r\nXYZ\r\n$1\r\na\r\n"), OUT(GET_USER));
	CHECK("", OUT("*99999999999\r\n$3\r\nGET\r\n"));
	CHECK("", OUT("* this is a list\r\n* and so on\r\n"));
	CHECK("", OUT("*2\r\n:3\r\nGET\r\n"));
	/* an answer's array is not a command */
	CHECK("> redis get GET 0/user:1\n", OUT(GET_USER), IN("*2\r\n$3\r\nDEL\r\n$1\r\nx\r\n"));
	/* what cannot be followed any more is left */
	CHECK("> redis get GET 0/user:1\n", OUT(GET_USER), OK, OUT("*2\r\n$x\r\n" GET_USER));
}

static void many_keys(void **state)
{
	struct fp_buffer command = FP_BUFFER_INIT, expected = FP_BUFFER_INIT;
	struct step step = {.outgoing = true};

	fp_buffer_add_text(&command, "*101\r\n$3\r\nDEL\r\n");
	for (int i = 0; i < 100; i++) {
		fp_buffer_add_format(&command, "$2\r\n%02d\r\n", i);
		if (i < 64)
			fp_buffer_add_format(&expected, "> redis put DEL 0/%02d\n", i);
	}
	fp_buffer_add_text(&expected, "> redis put DEL ? cut\n");
	step.data = command.data;
	step.total = command.len;
	check_steps(&step, 1, expected.data);
	fp_buffer_done(&command);
	fp_buffer_done(&expected);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(commands), cmocka_unit_test(counted), cmocka_unit_test(spaces),
		cmocka_unit_test(transactions), cmocka_unit_test(typed), cmocka_unit_test(holes), cmocka_unit_test(garbage),
		cmocka_unit_test(many_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
