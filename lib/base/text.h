/*
 * Text forms that several programs share: hex, times, addresses.  Pure.
 */
#ifndef FP_BASE_TEXT_H
#define FP_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FP_NS_PER_SEC 1000000000ull
#define FP_TIME_TEXT_SIZE 36
#define FP_ADDRESS_TEXT_SIZE 64

/* `out` holds 2 * len + 1 bytes. */
void fp_hex(const uint8_t *data, size_t len, char *out);
/* Exactly `len` bytes from hex; dashes between digits are passed over.  0 or -EINVAL. */
int fp_unhex(const char *text, uint8_t *out, size_t len);
/* RFC 3339 with nanoseconds, UTC: 2026-11-21T01:02:03.000000004Z */
void fp_time_text(uint64_t ns, char out[FP_TIME_TEXT_SIZE]);
/* RFC 3339, with or without fraction, UTC (Z) or with an offset.  0 or -EINVAL. */
int fp_time_parse(const char *text, uint64_t *ret_ns);
/* Address halves as in the schema: "198.18.0.2", "::1". */
void fp_address_text(uint64_t hi, uint64_t lo, char out[FP_ADDRESS_TEXT_SIZE]);
/* "198.18.0.2:8080", "[::1]:80"; 0 or -EINVAL. */
int fp_endpoint_parse(const char *text, size_t len, uint64_t *ret_hi, uint64_t *ret_lo, uint16_t *ret_port);
void fp_endpoint_text(uint64_t hi, uint64_t lo, uint16_t port, char out[FP_ADDRESS_TEXT_SIZE]);

struct sockaddr;
struct sockaddr_storage;
/* The same of a socket's address, which is IPv4 or IPv6; "?" for another family. */
void fp_sockaddr_text(const struct sockaddr *address, char out[FP_ADDRESS_TEXT_SIZE]);
int fp_sockaddr_parse(const char *text, struct sockaddr_storage *ret_address);
/* 127.0.0.0/8, ::1 */
bool fp_sockaddr_is_loopback(const struct sockaddr *address);

#endif
