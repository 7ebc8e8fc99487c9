/* The hash of the agent's tables: every byte of a key counts, none behind it is read, and alike keys do not meet. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "agent/hash.h"

#define KEY_MAX 40

static void every_byte_counts(void **state)
{
	for (size_t len = 1; len <= KEY_MAX; len++) {
		unsigned char *key = calloc(1, len); /* so that a sanitizer sees a byte too many */
		unsigned hash = fp_hash(key, len);

		for (size_t i = 0; i < len; i++) {
			key[i] = 1;
			assert_int_not_equal(fp_hash(key, len), hash);
			key[i] = 0;
		}
		assert_int_equal(fp_hash(key, len), hash);
		free(key);
	}
}

static void a_longer_key_is_another(void **state)
{
	const char zeros[KEY_MAX] = {0};

	for (size_t len = 1; len < KEY_MAX; len++)
		assert_int_not_equal(fp_hash(zeros, len), fp_hash(zeros, len + 1));
}

/* Inodes, threads and addresses come in steps. */
static void steps_are_spread(void **state)
{
	for (uint64_t step = 1; step <= 1ull << 40; step <<= 8) {
		unsigned n[256] = {0};

		for (uint64_t i = 0; i < 1024; i++) {
			uint64_t key[2] = {i * step, 7};

			n[fp_hash(key, sizeof(key)) % 256]++;
		}
		for (unsigned i = 0; i < 256; i++)
			assert_in_range(n[i], 0, 24); /* of 4 on the average */
	}
}

static void each_process_has_its_own(void **state)
{
	assert_int_not_equal(fp_hash_key, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_byte_counts),
		cmocka_unit_test(a_longer_key_is_another),
		cmocka_unit_test(steps_are_spread),
		cmocka_unit_test(each_process_has_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
