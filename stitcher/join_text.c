#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "stitcher/join.h"

/* The last element of a comma-separated list, without blanks around it. */
static size_t last_element(const char *text, const char **ret_start)
{
	const char *comma = strrchr(text, ',');
	const char *start = comma ? comma + 1 : text;
	size_t len;

	while (*start == ' ')
		start++;
	len = strlen(start);
	while (len && start[len - 1] == ' ')
		len--;
	*ret_start = start;
	return len;
}

int fp_join_endpoint(const char *text, struct fp_endpoint *ret_endpoint)
{
	struct fp_endpoint endpoint = {0};
	const char *start;
	size_t len = last_element(text, &start);
	int r = fp_endpoint_parse(start, len, &endpoint.hi, &endpoint.lo, &endpoint.port);

	if (r == 0)
		*ret_endpoint = endpoint;
	return r;
}

int fp_join_address(const char *text, uint64_t *ret_hi, uint64_t *ret_lo)
{
	struct fp_endpoint endpoint = {0};
	char with_port[FP_ADDRESS_TEXT_SIZE + 8];
	const char *start;
	size_t len;
	int n;

	if (fp_join_endpoint(text, &endpoint) < 0) {
		len = last_element(text, &start);
		n = snprintf(with_port, sizeof(with_port), memchr(start, ':', len) && *start != '[' ? "[%.*s]:0" : "%.*s:0",
			     (int)(len < sizeof(with_port) ? len : sizeof(with_port)), start);
		if (n < 0 || (size_t)n >= sizeof(with_port) || fp_join_endpoint(with_port, &endpoint) < 0)
			return -EINVAL;
	}
	*ret_hi = endpoint.hi;
	*ret_lo = endpoint.lo;
	return 0;
}

bool fp_join_names_function(const char *url, const char *function)
{
	static const char *const prefixes[] = {"/function/", "/async-function/"};
	size_t len = strlen(function);

	for (size_t i = 0; len && i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
		size_t skip = strlen(prefixes[i]);

		if (strncmp(url, prefixes[i], skip) != 0 || strncmp(url + skip, function, len) != 0)
			continue;
		if (strchr("/?.#", url[skip + len])) /* its NUL counts too */
			return true;
	}
	return false;
}

bool fp_join_is_later(const char *url)
{
	static const char prefix[] = "/async-function/";

	return strncmp(url, prefix, sizeof(prefix) - 1) == 0;
}

bool fp_join_same_path(const char *a, const char *b)
{
	size_t n = strcspn(a, "?#"), m = strcspn(b, "?#");

	return n == m && memcmp(a, b, n) == 0;
}
