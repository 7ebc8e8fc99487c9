#include "store/tests/util.h"

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

int fp_folder_setup(void **state)
{
	char path[] = "/tmp/faasprov-test-XXXXXX";

	if (!mkdtemp(path))
		return -1;
	*state = strdup(path);
	return *state ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

int fp_folder_teardown(void **state)
{
	int r = nftw(*state, remove_one, 16, FTW_DEPTH | FTW_PHYS);

	free(*state);
	*state = NULL;
	return r;
}

const char *fp_folder_path(void **state, const char *name)
{
	static char buffers[8][256];
	static unsigned turn;
	char *buffer = buffers[turn++ % 8];

	snprintf(buffer, sizeof(buffers[0]), "%s/%s", (const char *)*state, name);
	return buffer;
}

const char *fp_folder_list(void **state)
{
	static char list[1024];
	struct dirent **entries;
	int n = scandir(*state, &entries, NULL, alphasort);

	assert_true(n >= 0);
	list[0] = '\0';
	for (int i = 0; i < n; i++) {
		if (entries[i]->d_name[0] != '.') {
			if (list[0])
				strncat(list, " ", sizeof(list) - strlen(list) - 1);
			strncat(list, entries[i]->d_name, sizeof(list) - strlen(list) - 1);
		}
		free(entries[i]);
	}
	free(entries);
	return list;
}

void fp_chain_init(struct fp_chain *chain, uint8_t agent)
{
	memset(chain, 0, sizeof(*chain));
	assert_int_equal(fp_batch_writer_new(&chain->writer), 0);
	memset(chain->header.agent, agent, sizeof(chain->header.agent));
	memset(chain->header.boot, 0xb0, sizeof(chain->header.boot));
	chain->header.number = 1;
	chain->header.clock_offset = 1000000;
	strcpy(chain->header.host, "node-1");
}

void fp_chain_done(struct fp_chain *chain)
{
	chain->writer = fp_batch_writer_free(chain->writer);
}

uint8_t *fp_chain_next(struct fp_chain *chain, unsigned n, uint64_t cgroup, size_t *ret_len)
{
	static const uint8_t none[FP_REQUEST_ID_SIZE];
	uint8_t hash[FP_BATCH_HASH_SIZE], *copy;
	const uint8_t *frame;
	char path[64];

	for (unsigned i = 0; i < n; i++) {
		struct fp_event event = {.type = FP_EVENT_TYPE_OPEN,
					 .time = chain->header.number * 1000 + i,
					 .seq = i,
					 .cgroup = cgroup,
					 .tgid = 7,
					 .object = FP_OBJECT_FILE};

		snprintf(path, sizeof(path), "/var/lib/data/%llu/%u", (unsigned long long)chain->header.number, i);
		event.path = (struct fp_str){path, strlen(path)};
		if (memcmp(chain->request, none, sizeof(none)) != 0) {
			event.request = (struct fp_str){(const char *)chain->request, sizeof(chain->request)};
			event.unit = FP_UNIT_REQUEST;
		}
		assert_int_equal(fp_batch_writer_add(chain->writer, &event), 0);
	}
	assert_int_equal(fp_batch_writer_finish(chain->writer, &chain->header, &frame, ret_len, hash), 0);
	copy = malloc(*ret_len);
	assert_non_null(copy);
	memcpy(copy, frame, *ret_len);
	chain->header.number++;
	memcpy(chain->header.previous, hash, sizeof(hash));
	return copy;
}

int fp_chain_put(struct fp_store *store, const uint8_t *frame, size_t len)
{
	struct fp_batch *batch = NULL;
	int r;

	assert_int_equal(fp_batch_open(frame, len, &batch), 0);
	r = fp_store_put_batch(store, frame, len, batch);
	fp_batch_free(batch);
	return r;
}

void fp_chain_store(struct fp_chain *chain, struct fp_store *store, unsigned batches, unsigned n)
{
	while (batches-- > 0) {
		size_t len;
		uint8_t *frame = fp_chain_next(chain, n, 42, &len);

		assert_int_equal(fp_chain_put(store, frame, len), 1);
		free(frame);
	}
}
