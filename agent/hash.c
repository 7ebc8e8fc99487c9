#include "agent/hash.h"

#include <sys/auxv.h>

uint64_t fp_hash_key;

/* Random bytes that the kernel gives each program: nothing that could fail, before anything is in a table. */
__attribute__((constructor)) static void choose_key(void)
{
	const void *random = (const void *)getauxval(AT_RANDOM);

	if (random)
		memcpy(&fp_hash_key, random, sizeof(fp_hash_key));
}
