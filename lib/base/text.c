#include "base/text.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

void fp_hex(const uint8_t *data, size_t len, char *out)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < len; i++) {
		out[2 * i] = digits[data[i] >> 4];
		out[2 * i + 1] = digits[data[i] & 15];
	}
	out[2 * len] = '\0';
}

static int digit_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int fp_unhex(const char *text, uint8_t *out, size_t len)
{
	size_t n = 0;

	for (; *text; text++) {
		int digit;

		if (*text == '-' && n % 2 == 0 && n > 0)
			continue;
		digit = digit_of(*text);
		if (digit < 0 || n >= 2 * len)
			return -EINVAL;
		if (n % 2 == 0)
			out[n / 2] = (uint8_t)(digit << 4);
		else
			out[n / 2] |= (uint8_t)digit;
		n++;
	}
	return n == 2 * len ? 0 : -EINVAL;
}

void fp_time_text(uint64_t ns, char out[FP_TIME_TEXT_SIZE])
{
	time_t seconds = (time_t)(ns / FP_NS_PER_SEC);
	struct tm tm;
	size_t n;

	gmtime_r(&seconds, &tm);
	n = strftime(out, FP_TIME_TEXT_SIZE - 12, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(out + n, FP_TIME_TEXT_SIZE - n, ".%09uZ", (unsigned)(ns % FP_NS_PER_SEC));
}

/* The part behind the seconds: ".fraction" and the zone. */
static int parse_tail(const char *text, uint64_t *ret_fraction, int *ret_offset)
{
	uint64_t fraction = 0, unit = FP_NS_PER_SEC;
	int hours, minutes, n = 0;

	if (*text == '.') {
		text++;
		if (*text < '0' || *text > '9')
			return -EINVAL;
		for (; *text >= '0' && *text <= '9'; text++)
			if (unit > 1) {
				unit /= 10;
				fraction += unit * (uint64_t)(*text - '0');
			}
	}
	*ret_fraction = fraction;
	*ret_offset = 0;
	if (strcmp(text, "Z") == 0 || strcmp(text, "z") == 0)
		return 0;
	if ((*text != '+' && *text != '-') || sscanf(text + 1, "%2d:%2d%n", &hours, &minutes, &n) != 2 || text[1 + n])
		return -EINVAL;
	*ret_offset = (hours * 3600 + minutes * 60) * (*text == '-' ? -1 : 1);
	return 0;
}

int fp_time_parse(const char *text, uint64_t *ret_ns)
{
	struct tm tm = {0};
	const char *tail = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
	uint64_t fraction;
	int offset;
	time_t seconds;

	if (!tail || parse_tail(tail, &fraction, &offset) < 0)
		return -EINVAL;
	seconds = timegm(&tm) - offset;
	/* 2^63 ns reach the year 2262 */
	if (seconds < 0 || (uint64_t)seconds > INT64_MAX / FP_NS_PER_SEC)
		return -EINVAL;
	*ret_ns = (uint64_t)seconds * FP_NS_PER_SEC + fraction;
	return 0;
}

static bool is_mapped_ipv4(uint64_t hi, uint64_t lo)
{
	return hi == 0 && lo >> 32 == 0xffff;
}

void fp_address_text(uint64_t hi, uint64_t lo, char out[FP_ADDRESS_TEXT_SIZE])
{
	struct in6_addr address;

	if (is_mapped_ipv4(hi, lo)) {
		struct in_addr v4 = {.s_addr = htonl((uint32_t)lo)};

		inet_ntop(AF_INET, &v4, out, FP_ADDRESS_TEXT_SIZE);
		return;
	}
	for (int i = 0; i < 8; i++) {
		address.s6_addr[i] = (uint8_t)(hi >> (56 - 8 * i));
		address.s6_addr[8 + i] = (uint8_t)(lo >> (56 - 8 * i));
	}
	inet_ntop(AF_INET6, &address, out, FP_ADDRESS_TEXT_SIZE);
}

void fp_endpoint_text(uint64_t hi, uint64_t lo, uint16_t port, char out[FP_ADDRESS_TEXT_SIZE])
{
	char address[FP_ADDRESS_TEXT_SIZE];

	fp_address_text(hi, lo, address);
	snprintf(out, FP_ADDRESS_TEXT_SIZE, strchr(address, ':') ? "[%.48s]:%u" : "%.48s:%u", address, port);
}

int fp_endpoint_parse(const char *text, size_t len, uint64_t *ret_hi, uint64_t *ret_lo, uint16_t *ret_port)
{
	char copy[FP_ADDRESS_TEXT_SIZE], *address = copy, *colon, *end;
	struct in_addr v4;
	struct in6_addr v6;
	unsigned long port;

	if (len == 0 || len >= sizeof(copy) || memchr(text, '\0', len))
		return -EINVAL;
	memcpy(copy, text, len);
	copy[len] = '\0';
	colon = strrchr(copy, ':');
	if (!colon || colon[1] < '0' || colon[1] > '9')
		return -EINVAL;
	port = strtoul(colon + 1, &end, 10);
	if (*end || port > 65535)
		return -EINVAL;
	*colon = '\0';
	if (*address == '[' && colon > address && colon[-1] == ']') {
		colon[-1] = '\0';
		address++;
	}
	if (inet_pton(AF_INET, address, &v4) == 1) {
		*ret_hi = 0;
		*ret_lo = 0xffff00000000ull | ntohl(v4.s_addr);
	} else if (inet_pton(AF_INET6, address, &v6) == 1) {
		*ret_hi = *ret_lo = 0;
		for (int i = 0; i < 8; i++) {
			*ret_hi = *ret_hi << 8 | v6.s6_addr[i];
			*ret_lo = *ret_lo << 8 | v6.s6_addr[8 + i];
		}
	} else {
		return -EINVAL;
	}
	*ret_port = (uint16_t)port;
	return 0;
}

/* Halves as in the schema; false for another family. */
static bool halves_of(const struct sockaddr *address, uint64_t *ret_hi, uint64_t *ret_lo, uint16_t *ret_port)
{
	if (address->sa_family == AF_INET) {
		const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;

		*ret_hi = 0;
		*ret_lo = 0xffff00000000ull | ntohl(v4->sin_addr.s_addr);
		*ret_port = ntohs(v4->sin_port);
		return true;
	}
	if (address->sa_family == AF_INET6) {
		const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)address;

		*ret_hi = *ret_lo = 0;
		for (int i = 0; i < 8; i++) {
			*ret_hi = *ret_hi << 8 | v6->sin6_addr.s6_addr[i];
			*ret_lo = *ret_lo << 8 | v6->sin6_addr.s6_addr[8 + i];
		}
		*ret_port = ntohs(v6->sin6_port);
		return true;
	}
	return false;
}

void fp_sockaddr_text(const struct sockaddr *address, char out[FP_ADDRESS_TEXT_SIZE])
{
	uint64_t hi, lo;
	uint16_t port;

	if (halves_of(address, &hi, &lo, &port))
		fp_endpoint_text(hi, lo, port, out);
	else
		snprintf(out, FP_ADDRESS_TEXT_SIZE, "?");
}

int fp_sockaddr_parse(const char *text, struct sockaddr_storage *ret_address)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)ret_address;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ret_address;
	uint64_t hi, lo;
	uint16_t port;

	if (fp_endpoint_parse(text, strlen(text), &hi, &lo, &port) < 0)
		return -EINVAL;
	memset(ret_address, 0, sizeof(*ret_address));
	if (is_mapped_ipv4(hi, lo)) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(port);
		v4->sin_addr.s_addr = htonl((uint32_t)lo);
		return 0;
	}
	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons(port);
	for (int i = 0; i < 8; i++) {
		v6->sin6_addr.s6_addr[i] = (uint8_t)(hi >> (56 - 8 * i));
		v6->sin6_addr.s6_addr[8 + i] = (uint8_t)(lo >> (56 - 8 * i));
	}
	return 0;
}

bool fp_sockaddr_is_loopback(const struct sockaddr *address)
{
	uint64_t hi, lo;
	uint16_t port;

	if (!halves_of(address, &hi, &lo, &port) || hi != 0)
		return false;
	return lo == 1 || lo >> 24 == 0xffff7f;
}
