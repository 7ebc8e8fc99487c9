/* Messages of DNS; the first byte says whether over TCP, the second how much was not captured. */
#include <stdlib.h>
#include <string.h>

#include "agent/app/dns.h"

static int look(void *arg, const struct fp_app_message *message)
{
	if (!message->name.len || message->name.len > 1025 || memchr(message->name.data, '\0', message->name.len))
		abort();
	return 0;
}

static int look_at_address(void *arg, struct fp_str name, uint64_t hi, uint64_t lo)
{
	if (!name.len || name.len > 1025)
		abort();
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fp_dns_handlers handlers = {look, look_at_address, NULL};
	struct fp_dns_stream stream = {0};
	size_t len = size > 2 ? size - 2 : 0;
	uint8_t *copy = malloc(len ? len : 1);

	if (!copy)
		abort();
	if (len)
		memcpy(copy, data + 2, len);
	if (size > 2 && data[0] & 1) {
		size_t half = len / 2;

		fp_dns_feed(&stream, true, copy, half, half + data[1], &handlers);
		fp_dns_feed(&stream, true, copy + half, len - half, len - half, &handlers);
	} else if (size > 2) {
		fp_dns_read(true, copy, len, len + data[1], &handlers);
	}
	free(copy);
	return 0;
}
