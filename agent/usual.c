#include "agent/usual.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

static bool has_part(struct fp_str path, const char *part)
{
	return path.len && memmem(path.data, path.len, part, strlen(part));
}

static bool ends_with(struct fp_str path, const char *end)
{
	size_t len = strlen(end);

	return path.len >= len && memcmp(path.data + path.len - len, end, len) == 0;
}

static bool is_any(struct fp_str path, const char *const *list, bool (*matches)(struct fp_str, const char *))
{
	for (; *list; list++)
		if (matches(path, *list))
			return true;
	return false;
}

/*
 * What loaders, module systems, the C library and message catalogues look for.  An attacker can hide a guess among
 * them only by guessing such a name.
 */
static bool is_looked_up(struct fp_str path)
{
	static const char *const parts[] = {
		".so.", "/node_modules/", "/site-packages/", "/dist-packages/", "/__pycache__/", "/LC_", "/gconv", "/zoneinfo/",
		"/sys/devices/system/cpu/", NULL};
	static const char *const ends[] = {
		".so", "/package.json", ".js", ".cjs", ".mjs", ".node", ".py", ".pyc", ".pth", "/__pycache__", ".mo",
		"/pyvenv.cfg", "/pybuilddir.txt", "/locale-archive", "/locale.alias", "/etc/gai.conf", "/etc/host.conf",
		"/etc/localtime", "/etc/default/locale", "/nscd/socket", "/etc/ssl/openssl.cnf", NULL};

	return is_any(path, parts, has_part) || is_any(path, ends, ends_with);
}

/* Python writes what it has compiled beside modules, where it may. */
static bool is_module_cache(const struct fp_event *event)
{
	return (event->operation == FP_OPERATION_OPEN || event->operation == FP_OPERATION_NAME) &&
	       (has_part(event->path, "/__pycache__/") || ends_with(event->path, "/__pycache__"));
}

/* Nobody is there, or there is no way. */
static bool is_unanswered(int error)
{
	return error == ECONNREFUSED || error == EHOSTUNREACH || error == EHOSTDOWN || error == ENETUNREACH || error == ETIMEDOUT;
}

/* Families that everybody tries; others are asked for by whom nothing else will do. */
static bool is_usual_family(uint64_t family)
{
	return family == AF_UNSPEC || family == AF_INET || family == AF_INET6 || family == AF_UNIX || family == AF_NETLINK;
}

static bool is_usual_name(const struct fp_event *event, int error)
{
	return (error == ENOENT || error == ENOTDIR) && is_looked_up(event->path);
}

static bool is_usual_of(const struct fp_event *event, int error)
{
	switch (event->operation) {
	case FP_OPERATION_TRANSFER:
		return error != ECONNREFUSED;
	case FP_OPERATION_SOCKET:
		return is_usual_family(event->flags);
	case FP_OPERATION_MAP:
	case FP_OPERATION_SECCOMP: /* tried with arguments that cannot be, to see what is supported */
		return true;
	case FP_OPERATION_CHANGE:
		return error == ENODATA || error == EOPNOTSUPP || error == ERANGE;
	case FP_OPERATION_NAME:
		return error == EEXIST || error == ENOTEMPTY || is_usual_name(event, error);
	case FP_OPERATION_OPEN:
		return error == EEXIST || error == ENXIO /* a terminal that a shell has not */ || is_usual_name(event, error);
	case FP_OPERATION_ACCESS:
		return is_usual_name(event, error);
	case FP_OPERATION_CONNECT:
		/* that is how the C library orders the addresses of a name */
		return error == EISCONN || (event->protocol == IPPROTO_UDP && (error == EADDRNOTAVAIL || is_unanswered(error))) ||
		       is_looked_up(event->path);
	default:
		return false;
	}
}

bool fp_failure_is_usual(const struct fp_event *event)
{
	int error = event->result < 0 && event->result > -4096 ? (int)-event->result : 0;

	if (error == EPERM || error == EACCES || error == EROFS)
		return is_module_cache(event);
	return is_usual_of(event, error);
}
