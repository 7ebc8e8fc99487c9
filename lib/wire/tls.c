#include "wire/tls.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "base/cleanup.h"

struct fp_tls {
	SSL_CTX *context;
	bool server;
};

struct fp_tls_session {
	SSL *ssl;
	BIO *in, *out; /* owned by ssl */
	char reason[160];
	char peer[64];
};

FP_DEFINE_CLEANUP(struct fp_tls, fp_tls_free)

/* The first thing that OpenSSL has to say; its queue is empty afterwards. */
static void take_reason(char *out, size_t size)
{
	unsigned long code = ERR_get_error();
	const char *reason = code ? ERR_reason_error_string(code) : NULL;

	snprintf(out, size, "%s", reason ? reason : "the connection broke off");
	ERR_clear_error();
}

static int complain(char error[256], const char *what, const char *path)
{
	char reason[100];

	take_reason(reason, sizeof(reason));
	snprintf(error, 256, "%s %.90s: %s", what, path, reason);
	return -EINVAL;
}

static int load(struct fp_tls *tls, const char *ca, const char *certificate, const char *key, char error[256])
{
	SSL_CTX *context = tls->context;

	if (SSL_CTX_load_verify_file(context, ca) != 1)
		return complain(error, "cannot use the authority's certificate", ca);
	if (SSL_CTX_use_certificate_chain_file(context, certificate) != 1)
		return complain(error, "cannot use the certificate", certificate);
	if (SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1)
		return complain(error, "cannot use the private key", key);
	if (SSL_CTX_check_private_key(context) != 1)
		return complain(error, "the certificate does not belong to the private key", key);
	return 0;
}

int fp_tls_new(bool server, const char *ca, const char *certificate, const char *key, struct fp_tls **ret_tls,
	       char ret_error[256])
{
	fp_cleanup(fp_tls_freep) struct fp_tls *tls = calloc(1, sizeof(*tls));
	int r;

	snprintf(ret_error, 256, "out of memory");
	if (!tls)
		return -ENOMEM;
	tls->server = server;
	tls->context = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());
	if (!tls->context)
		return -ENOMEM;
	SSL_CTX_set_min_proto_version(tls->context, TLS1_3_VERSION);
	/* both sides: no peer without a certificate of our authority, checked anew on each connection */
	SSL_CTX_set_verify(tls->context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	SSL_CTX_set_session_cache_mode(tls->context, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_num_tickets(tls->context, 0);
	ERR_clear_error();
	r = load(tls, ca, certificate, key, ret_error);
	if (r < 0)
		return r;
	ret_error[0] = '\0';
	*ret_tls = tls;
	tls = NULL;
	return 0;
}

struct fp_tls *fp_tls_free(struct fp_tls *tls)
{
	if (tls) {
		SSL_CTX_free(tls->context);
		free(tls);
	}
	return NULL;
}

/* The server's certificate must be for the name or address that we meant to reach. */
static bool expect_peer(SSL *ssl, const char *peer)
{
	X509_VERIFY_PARAM *parameters = SSL_get0_param(ssl);

	if (X509_VERIFY_PARAM_set1_ip_asc(parameters, peer) == 1)
		return true;
	ERR_clear_error();
	return SSL_set1_host(ssl, peer) == 1 && SSL_set_tlsext_host_name(ssl, peer) == 1;
}

int fp_tls_session_new(struct fp_tls *tls, const char *peer, struct fp_tls_session **ret_session)
{
	struct fp_tls_session *session = calloc(1, sizeof(*session));

	if (!session)
		return -ENOMEM;
	session->ssl = SSL_new(tls->context);
	if (session->ssl) {
		session->in = BIO_new(BIO_s_mem());
		session->out = BIO_new(BIO_s_mem());
		/* from here on both belong to ssl; what is missing makes the test below fail */
		SSL_set_bio(session->ssl, session->in, session->out);
	}
	if (!session->ssl || !session->in || !session->out || (peer && !expect_peer(session->ssl, peer))) {
		fp_tls_session_free(session);
		return -ENOMEM;
	}
	if (tls->server)
		SSL_set_accept_state(session->ssl);
	else
		SSL_set_connect_state(session->ssl);
	*ret_session = session;
	return 0;
}

struct fp_tls_session *fp_tls_session_free(struct fp_tls_session *session)
{
	if (session) {
		SSL_free(session->ssl);
		free(session);
	}
	return NULL;
}

int fp_tls_session_input(struct fp_tls_session *session, const uint8_t *data, size_t len)
{
	if (len > INT_MAX || BIO_write(session->in, data, (int)len) != (int)len)
		return -ENOMEM;
	return 0;
}

static void note_peer(struct fp_tls_session *session)
{
	X509 *certificate = SSL_get0_peer_certificate(session->ssl);

	if (certificate)
		X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, session->peer,
					  sizeof(session->peer));
	for (char *c = session->peer; *c; c++)
		if (*c < ' ' || *c > '~' || *c == '"')
			*c = '?';
}

int fp_tls_session_handshake(struct fp_tls_session *session)
{
	int r, error;
	long verdict;

	ERR_clear_error();
	r = SSL_do_handshake(session->ssl);
	if (r == 1) {
		note_peer(session);
		return 1;
	}
	error = SSL_get_error(session->ssl, r);
	if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
		return 0;
	verdict = SSL_get_verify_result(session->ssl);
	take_reason(session->reason, sizeof(session->reason));
	if (verdict != X509_V_OK)
		snprintf(session->reason, sizeof(session->reason), "the peer's certificate is refused: %s",
			 X509_verify_cert_error_string(verdict));
	return -EPROTO;
}

ssize_t fp_tls_session_read(struct fp_tls_session *session, uint8_t *out, size_t size)
{
	size_t n;
	int r;

	ERR_clear_error();
	r = SSL_read_ex(session->ssl, out, size, &n);
	if (r == 1)
		return (ssize_t)n;
	switch (SSL_get_error(session->ssl, r)) {
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		return 0;
	case SSL_ERROR_ZERO_RETURN:
		return -EPIPE;
	default:
		take_reason(session->reason, sizeof(session->reason));
		return -EPROTO;
	}
}

int fp_tls_session_write(struct fp_tls_session *session, const uint8_t *data, size_t len)
{
	size_t n;

	ERR_clear_error();
	/* the output is memory: all of it is taken at once */
	if (SSL_write_ex(session->ssl, data, len, &n) == 1 && n == len)
		return 0;
	take_reason(session->reason, sizeof(session->reason));
	return -EPROTO;
}

void fp_tls_session_end(struct fp_tls_session *session)
{
	SSL_shutdown(session->ssl);
	ERR_clear_error();
}

void fp_tls_session_output(struct fp_tls_session *session, struct fp_buffer *out)
{
	char *data;
	long len = BIO_get_mem_data(session->out, &data);

	if (len > 0)
		fp_buffer_add(out, data, (size_t)len);
	(void)BIO_reset(session->out);
}

const char *fp_tls_session_reason(const struct fp_tls_session *session)
{
	return session->reason;
}

const char *fp_tls_session_peer(const struct fp_tls_session *session)
{
	return session->peer;
}
