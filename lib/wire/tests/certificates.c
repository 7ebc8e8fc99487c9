#include "wire/tests/certificates.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

struct fp_authority {
	char folder[200];
	EVP_PKEY *key;
	X509 *certificate;
	long serial;
};

static void write_pem(const char *folder, const char *name, const char *ending, X509 *certificate, EVP_PKEY *key)
{
	char path[300];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s.%s", folder, name, ending);
	file = fopen(path, "w");
	assert_non_null(file);
	if (certificate)
		assert_int_equal(PEM_write_X509(file, certificate), 1);
	if (key)
		assert_int_equal(PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL), 1);
	fclose(file);
}

static void extend(X509 *certificate, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX context;
	X509_EXTENSION *extension;

	X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
	assert_non_null(extension);
	assert_int_equal(X509_add_ext(certificate, extension, -1), 1);
	X509_EXTENSION_free(extension);
}

static X509 *make(EVP_PKEY *key, const char *name, long serial, int days)
{
	X509 *certificate = X509_new();

	assert_int_equal(X509_set_version(certificate, X509_VERSION_3), 1);
	ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial);
	X509_time_adj_ex(X509_getm_notBefore(certificate), days < 0 ? days - 1 : -1, 0, NULL);
	X509_time_adj_ex(X509_getm_notAfter(certificate), days, 0, NULL);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_UTF8, (const uint8_t *)name, -1, -1,
				   0);
	X509_set_pubkey(certificate, key);
	return certificate;
}

struct fp_authority *fp_authority_new(const char *folder)
{
	struct fp_authority *authority = calloc(1, sizeof(*authority));
	X509 *certificate;

	snprintf(authority->folder, sizeof(authority->folder), "%s", folder);
	mkdir(folder, 0700);
	authority->key = EVP_EC_gen("P-256");
	certificate = make(authority->key, "test authority", 1, 1);
	X509_set_issuer_name(certificate, X509_get_subject_name(certificate));
	extend(certificate, certificate, NID_basic_constraints, "critical,CA:TRUE");
	assert_true(X509_sign(certificate, authority->key, EVP_sha256()) > 0);
	authority->certificate = certificate;
	authority->serial = 2;
	write_pem(folder, "ca", "pem", certificate, NULL);
	return authority;
}

void fp_authority_free(struct fp_authority *authority)
{
	EVP_PKEY_free(authority->key);
	X509_free(authority->certificate);
	free(authority);
}

void fp_authority_sign(struct fp_authority *authority, const char *name, const char *host, int days)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *certificate = make(key, name, authority->serial++, days);

	X509_set_issuer_name(certificate, X509_get_subject_name(authority->certificate));
	if (host)
		extend(certificate, authority->certificate, NID_subject_alt_name, host);
	extend(certificate, authority->certificate, NID_ext_key_usage, host ? "serverAuth" : "clientAuth");
	assert_true(X509_sign(certificate, authority->key, EVP_sha256()) > 0);
	write_pem(authority->folder, name, "pem", certificate, NULL);
	write_pem(authority->folder, name, "key", NULL, key);
	X509_free(certificate);
	EVP_PKEY_free(key);
}
