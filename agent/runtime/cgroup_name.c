#include "agent/runtime/cgroup_name.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

enum { ID_DIGITS = 64 };

/* 64 hex digits at the end of [<word>-]<64 hex>[.scope], or nothing. */
static struct fp_str id_of(struct fp_str part)
{
	static const char scope[] = ".scope";
	size_t tail = sizeof(scope) - 1;

	if (part.len > tail && memcmp(part.data + part.len - tail, scope, tail) == 0)
		part.len -= tail;
	if (part.len < ID_DIGITS)
		return (struct fp_str){NULL, 0};
	part.data += part.len - ID_DIGITS;
	for (int i = 0; i < ID_DIGITS; i++)
		if (!isxdigit((unsigned char)part.data[i]))
			return (struct fp_str){NULL, 0};
	return (struct fp_str){part.data, ID_DIGITS};
}

/* The last part of path[0..*len), which is taken off. */
static struct fp_str last_part(const char *path, size_t *len)
{
	size_t end = *len, start;

	while (end > 0 && path[end - 1] == '/')
		end--;
	for (start = end; start > 0 && path[start - 1] != '/'; start--)
		continue;
	*len = start;
	return (struct fp_str){path + start, end - start};
}

int fp_cgroup_name(const char *path, struct fp_cgroup_name *ret_name)
{
	size_t len = strlen(path), rest;
	struct fp_str leaf = last_part(path, &len), above, part = leaf, id;

	if (leaf.len == 0)
		return -ENOENT;
	*ret_name = (struct fp_cgroup_name){.id = leaf};
	rest = len;
	above = last_part(path, &rest);
	/* faasd: containerd's namespace for functions, and in it the function's name */
	if (above.len == strlen("openfaas-fn") && memcmp(above.data, "openfaas-fn", above.len) == 0)
		ret_name->function = leaf;
	for (; part.len > 0; part = last_part(path, &len)) {
		id = id_of(part);
		if (id.len) {
			ret_name->id = id;
			break;
		}
	}
	return 0;
}
