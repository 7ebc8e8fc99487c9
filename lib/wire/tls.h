/*
 * Mutual TLS 1.3 for channels: who may talk is decided by one certificate
 * authority that signs the certificates of agents and aggregators.  A thin layer
 * over OpenSSL that keeps all I/O outside: bytes go in and come out of memory.
 * Used by channel.c; programs make and free the context only.
 */
#ifndef FP_WIRE_TLS_H
#define FP_WIRE_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buffer.h"

struct fp_tls; /* certificates of this side; shared by its connections */

/* PEM files.  0, -EINVAL or -ENOMEM with the sentence in ret_error. */
int fp_tls_new(bool server, const char *ca, const char *certificate, const char *key, struct fp_tls **ret_tls,
	       char ret_error[256]);
struct fp_tls *fp_tls_free(struct fp_tls *tls);

struct fp_tls_session;

/* `peer`: name or address that the server's certificate must be for (client side), else NULL. */
int fp_tls_session_new(struct fp_tls *tls, const char *peer, struct fp_tls_session **ret_session);
struct fp_tls_session *fp_tls_session_free(struct fp_tls_session *session);
/* Bytes from the network.  0 or -ENOMEM. */
int fp_tls_session_input(struct fp_tls_session *session, const uint8_t *data, size_t len);
/* Goes on with the handshake: 1 done, 0 needs more from the network, -EPROTO (see fp_tls_session_reason). */
int fp_tls_session_handshake(struct fp_tls_session *session);
/* Plain bytes: how many, 0 when more is needed from the network, -EPIPE closed by the peer, -EPROTO. */
ssize_t fp_tls_session_read(struct fp_tls_session *session, uint8_t *out, size_t size);
/* Encrypts.  0, -EPROTO, -ENOMEM. */
int fp_tls_session_write(struct fp_tls_session *session, const uint8_t *data, size_t len);
/* Tells the peer that nothing more comes. */
void fp_tls_session_end(struct fp_tls_session *session);
/* Moves what is to be sent into `out`. */
void fp_tls_session_output(struct fp_tls_session *session, struct fp_buffer *out);
/* Why the last operation failed, for people. */
const char *fp_tls_session_reason(const struct fp_tls_session *session);
/* Common name of the peer's certificate; "" before the handshake is done. */
const char *fp_tls_session_peer(const struct fp_tls_session *session);

#endif
