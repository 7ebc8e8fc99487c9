#include "agent/app/dns.h"

#include <arpa/nameser.h>
#include <ctype.h>
#include <errno.h>
#include <string.h>

#define ALIASES_MAX 8 /* resolvers give up at about as many */

static const struct {
	int type;
	const char *name;
} types[] = {{ns_t_a, "A"}, {ns_t_aaaa, "AAAA"}, {ns_t_cname, "CNAME"}, {ns_t_mx, "MX"}, {ns_t_ns, "NS"},
	     {ns_t_ptr, "PTR"}, {ns_t_soa, "SOA"}, {ns_t_srv, "SRV"}, {ns_t_txt, "TXT"}, {ns_t_any, "ANY"},
	     {ns_t_naptr, "NAPTR"}, {65, "HTTPS"}, {64, "SVCB"}, {257, "CAA"}, {ns_t_null, "NULL"}};

static struct fp_str type_name(int type)
{
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (types[i].type == type)
			return (struct fp_str){types[i].name, strlen(types[i].name)};
	return (struct fp_str){"OTHER", 5};
}

/* Names are the same in any case.  False: this is no name of anybody. */
static bool read_name(const char *text, char ret_name[NS_MAXDNAME])
{
	size_t len = strlen(text);

	if (len == 0 || len >= NS_MAXDNAME)
		return false;
	for (size_t i = 0; i <= len; i++) {
		if (iscntrl((unsigned char)text[i]) && i < len)
			return false;
		ret_name[i] = (char)tolower((unsigned char)text[i]);
	}
	return true;
}

static int read_question(const ns_rr *question, bool outgoing, const struct fp_dns_handlers *handlers)
{
	char name[NS_MAXDNAME];
	struct fp_app_message message = {
		.app = FP_APP_DNS,
		.outgoing = outgoing,
		.method = type_name(ns_rr_type(*question)),
	};

	if (!read_name(ns_rr_name(*question), name))
		return -EBADMSG;
	message.name = (struct fp_str){name, strlen(name)};
	return handlers->message ? handlers->message(handlers->arg, &message) : 0;
}

static int read_address(const ns_rr *record, const char *asked, const struct fp_dns_handlers *handlers)
{
	const uint8_t *data = ns_rr_rdata(*record);
	uint64_t halves[2] = {0, 0};
	struct fp_str name = {asked, strlen(asked)};

	if (ns_rr_type(*record) == ns_t_a && ns_rr_rdlen(*record) == 4)
		halves[1] = 0xffff00000000ull | (uint64_t)data[0] << 24 | (uint64_t)data[1] << 16 | (uint64_t)data[2] << 8 |
			    data[3];
	else if (ns_rr_type(*record) == ns_t_aaaa && ns_rr_rdlen(*record) == 16)
		for (int i = 0; i < 16; i++)
			halves[i / 8] = halves[i / 8] << 8 | data[i];
	else
		return 0;
	return handlers->address(handlers->arg, name, halves[0], halves[1]);
}

/*
 * Addresses count for the name that was asked for, if the answer leads there
 * from it by aliases; what else an answer holds may be anybody's claim.
 */
static int read_answers(ns_msg *message, const char *asked, const struct fp_dns_handlers *handlers)
{
	char current[NS_MAXDNAME], name[NS_MAXDNAME], alias[NS_MAXDNAME];
	int n = ns_msg_count(*message, ns_s_an), aliases = 0, r = 0;
	ns_rr record;

	strcpy(current, asked);
	for (int i = 0; i < n && r == 0 && ns_parserr(message, ns_s_an, i, &record) == 0; i++) {
		if (ns_rr_class(record) != ns_c_in || !read_name(ns_rr_name(record), name) || strcmp(name, current) != 0)
			continue;
		if (ns_rr_type(record) != ns_t_cname) {
			r = read_address(&record, asked, handlers);
		} else if (aliases++ < ALIASES_MAX &&
			   ns_name_uncompress(ns_msg_base(*message), ns_msg_end(*message), ns_rr_rdata(record), alias,
					      sizeof(alias)) >= 0 &&
			   read_name(alias, name)) {
			strcpy(current, name);
		}
	}
	return r;
}

static int read_message(bool outgoing, const uint8_t *data, size_t len, const struct fp_dns_handlers *handlers)
{
	char asked[NS_MAXDNAME];
	ns_rr question;
	ns_msg message;

	if (len < NS_HFIXEDSZ || ns_initparse(data, (int)len, &message) < 0)
		return -EBADMSG;
	if (ns_msg_getflag(message, ns_f_opcode) != ns_o_query || ns_msg_count(message, ns_s_qd) != 1 ||
	    ns_parserr(&message, ns_s_qd, 0, &question) < 0)
		return -EBADMSG;
	if (!ns_msg_getflag(message, ns_f_qr))
		return read_question(&question, outgoing, handlers);
	if (ns_msg_getflag(message, ns_f_rcode) == ns_r_noerror && handlers->address &&
	    read_name(ns_rr_name(question), asked))
		return read_answers(&message, asked, handlers);
	return 0;
}

/*
 * The reader wants whole messages.  Of a cut one the question is there nearly
 * always: it is read as if the message had nothing else.
 */
static int read_cut(bool outgoing, const uint8_t *data, size_t len, const struct fp_dns_handlers *handlers)
{
	uint8_t copy[FP_DNS_MESSAGE_MAX];
	size_t end = NS_HFIXEDSZ;

	if (len > sizeof(copy))
		len = sizeof(copy);
	while (end < len && data[end] && data[end] < 64)
		end += 1u + data[end];
	end += 1 + NS_QFIXEDSZ;
	if (end > len || len < NS_HFIXEDSZ)
		return -EBADMSG;
	memcpy(copy, data, end);
	memset(copy + 6, 0, 6); /* no answers, authorities, additional records */
	return read_message(outgoing, copy, end, handlers);
}

int fp_dns_read(bool outgoing, const void *data, size_t have, size_t total, const struct fp_dns_handlers *handlers)
{
	if (have > total)
		return -EINVAL;
	return have == total ? read_message(outgoing, data, have, handlers) : read_cut(outgoing, data, have, handlers);
}

/* --- over TCP -------------------------------------------------------------------- */

static int end_message(struct fp_dns_stream *stream, bool outgoing, const struct fp_dns_handlers *handlers)
{
	size_t total = (size_t)stream->data[0] << 8 | stream->data[1];
	int r = fp_dns_read(outgoing, stream->data + 2, stream->have - 2, total, handlers);

	stream->have = 0;
	stream->cut = false;
	return r == -EBADMSG ? 0 : r;
}

int fp_dns_feed(struct fp_dns_stream *stream, bool outgoing, const void *data, size_t have, size_t total,
		const struct fp_dns_handlers *handlers)
{
	const uint8_t *bytes = data;
	int r = 0;

	if (have > total)
		return -EINVAL;
	for (size_t pos = 0, n; pos < total && !stream->lost && r == 0; pos += n) {
		size_t room = sizeof(stream->data) - stream->have;

		n = 1;
		if (stream->have < 2) {
			stream->lost = pos >= have;
			if (!stream->lost)
				stream->data[stream->have++] = bytes[pos];
			if (stream->have == 2)
				stream->left = (uint32_t)stream->data[0] << 8 | stream->data[1];
		} else {
			n = total - pos < stream->left ? total - pos : stream->left;
			if (pos < have && room && !stream->cut) {
				size_t keep = have - pos < n ? have - pos : n;

				keep = keep < room ? keep : room;
				memcpy(stream->data + stream->have, bytes + pos, keep);
				stream->have += (uint32_t)keep;
			}
			stream->cut |= pos + n > have; /* what comes behind a hole is not kept */
			stream->left -= (uint32_t)n;
		}
		if (stream->have >= 2 && stream->left == 0)
			r = end_message(stream, outgoing, handlers);
	}
	return r;
}
