/*
 * Certificates for tests: an authority and those it signed, as PEM files in a
 * folder (ca.pem, NAME.pem, NAME.key).  Failures are failed assertions.
 */
#ifndef FP_WIRE_TESTS_CERTIFICATES_H
#define FP_WIRE_TESTS_CERTIFICATES_H

struct fp_authority;

/* Makes the folder and ca.pem in it. */
struct fp_authority *fp_authority_new(const char *folder);
void fp_authority_free(struct fp_authority *authority);
/* `host`: name or address it is for, as in "DNS:localhost,IP:127.0.0.1"; NULL: none.  `days` may be negative: expired. */
void fp_authority_sign(struct fp_authority *authority, const char *name, const char *host, int days);

#endif
