#include "store/digest.h"

#include <string.h>

#include <sodium.h>

#include "store/tables.h"

static void add_number(crypto_generichash_state *state, uint64_t number)
{
	uint8_t bytes[8];

	for (unsigned i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(number >> (8 * i));
	crypto_generichash_update(state, bytes, sizeof(bytes));
}

/* Its length goes before it, and none is not the same as an empty one: no two rows make the same bytes. */
static void add_text(crypto_generichash_state *state, const char *text)
{
	size_t len = text ? strlen(text) : 0;

	add_number(state, text ? len + 1 : 0);
	if (len)
		crypto_generichash_update(state, (const uint8_t *)text, len);
}

static void add_id(crypto_generichash_state *state, bool has, const uint8_t id[FP_REQUEST_ID_SIZE])
{
	add_number(state, has);
	if (has)
		crypto_generichash_update(state, id, FP_REQUEST_ID_SIZE);
}

/* Times are kept up to INT64_MAX. */
static uint64_t kept_time(uint64_t ns)
{
	return ns > INT64_MAX ? INT64_MAX : ns;
}

#define ADD_NUM(member) add_number(&state, row->member);
#define ADD_INT(member) add_number(&state, (uint64_t)row->member);
#define ADD_TIME(member) add_number(&state, kept_time(row->member));
#define ADD_ENUM(member) add_number(&state, (uint64_t)row->member);
#define ADD_TEXT(member) add_text(&state, row->member);
#define ADD_ID(member) add_id(&state, row->has_##member, row->member);
#define ADD_NAME(member) add_id(&state, true, row->member);
#define ADD(member, declaration, KIND, set) ADD_##KIND(member)

#define DEFINE_DIGEST(table, COLUMNS)                                                                              \
	void fp_store_digest_##table(const struct fp_store_##table *row, uint8_t ret_digest[FP_STORE_DIGEST_SIZE]) \
	{                                                                                                          \
		crypto_generichash_state state;                                                                    \
                                                                                                                   \
		crypto_generichash_init(&state, NULL, 0, FP_STORE_DIGEST_SIZE);                                     \
		COLUMNS(ADD, ADD)                                                                                  \
		crypto_generichash_final(&state, ret_digest, FP_STORE_DIGEST_SIZE);                                \
	}

DEFINE_DIGEST(node, FP_NODE_COLUMNS)
DEFINE_DIGEST(edge, FP_EDGE_COLUMNS)
DEFINE_DIGEST(request, FP_REQUEST_COLUMNS)
DEFINE_DIGEST(loss, FP_LOSS_COLUMNS)
