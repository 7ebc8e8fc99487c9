/*
 * Cleanup attributes for owned locals: `fp_cleanup(fp_store_closep) struct fp_store *s = NULL;`
 */
#ifndef FP_BASE_CLEANUP_H
#define FP_BASE_CLEANUP_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define fp_cleanup(fn) __attribute__((cleanup(fn)))

/* Makes `<fn>p`, a cleanup for locals of type `T *` that `fn` takes (and which takes NULL). */
#define FP_DEFINE_CLEANUP(T, fn)                    \
	static inline void fn##p(T **object)        \
	{                                           \
		if (*object)                        \
			fn(*object);                \
	}

static inline void fp_freep(void *pointer)
{
	free(*(void **)pointer);
}

static inline void fp_closep(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void fp_fclosep(FILE **file)
{
	if (*file)
		fclose(*file);
}

#endif
