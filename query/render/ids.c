#include "query/render/ids.h"

#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1
#define uthash_nonfatal_oom(element) ((element)->unhashed = 1)
#include <uthash.h>

struct named {
	IDTYPE id;
	char *name; /* from the graph's pool: cgraph looks at what stands before it in memory */
	int unhashed;
	UT_hash_handle by_name, by_id;
};

struct ids {
	Agraph_t *graph;
	struct named *by_name, *by_id;
	IDTYPE last;
};

static void *ids_open(Agraph_t *graph, Agdisc_t *discipline)
{
	struct ids *ids = calloc(1, sizeof(*ids));

	if (ids)
		ids->graph = graph;
	return ids;
}

static struct named *add(struct ids *ids, const char *name)
{
	struct named *named = calloc(1, sizeof(*named));

	if (!named)
		return NULL;
	named->name = agstrdup(ids->graph, (char *)name);
	named->id = ids->last + 2;
	if (named->name)
		HASH_ADD_KEYPTR(by_name, ids->by_name, named->name, strlen(named->name), named);
	if (!named->name || named->unhashed) {
		free(named);
		return NULL;
	}
	HASH_ADD(by_id, ids->by_id, id, sizeof(IDTYPE), named);
	ids->last += 2;
	return named;
}

/* Even numbers have a name, odd ones have none. */
static long ids_map(void *state, int type, char *name, IDTYPE *id, int create)
{
	struct ids *ids = state;
	struct named *named = NULL;

	if (!ids)
		return 0;
	if (!name) {
		if (!create)
			return 0;
		*id = (ids->last += 2) + 1;
		return 1;
	}
	HASH_FIND(by_name, ids->by_name, name, strlen(name), named);
	if (!named && create)
		named = add(ids, name);
	if (!named)
		return 0;
	*id = named->id;
	return 1;
}

static long ids_alloc(void *state, int type, IDTYPE id)
{
	return 0; /* nobody asks for a number of their own */
}

static void ids_free(void *state, int type, IDTYPE id)
{
	/* Names live as long as the graph: several objects of different types share one. */
}

static char *ids_print(void *state, int type, IDTYPE id)
{
	struct ids *ids = state;
	struct named *named = NULL;

	if (ids)
		HASH_FIND(by_id, ids->by_id, &id, sizeof(id), named);
	return named ? named->name : NULL;
}

static void ids_close(void *state)
{
	struct ids *ids = state;
	struct named *named, *next;

	if (!ids)
		return;
	HASH_CLEAR(by_id, ids->by_id);
	HASH_ITER(by_name, ids->by_name, named, next) {
		HASH_DELETE(by_name, ids->by_name, named);
		free(named);
	}
	free(ids);
}

static void ids_register(void *state, int type, void *object)
{
}

Agdisc_t *fp_ids_discipline(void)
{
	static Agiddisc_t ids = {ids_open, ids_map, ids_alloc, ids_free, ids_print, ids_close, ids_register};
	static Agdisc_t discipline;

	discipline = (Agdisc_t){.mem = &AgMemDisc, .id = &ids, .io = &AgIoDisc};
	return &discipline;
}
