#include "agent/app/smtp.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
	LINE_MAX_KEPT = 600, /* a command has at most 512 bytes, its parameters apart */
	MAILBOX_MAX = 320, /* 64 before the @, 255 behind it */
	END_LEN = 5, /* CRLF . CRLF */
};

struct fp_smtp {
	bool client_known, client_outgoing;
	bool asked_tls; /* STARTTLS: the server's answer decides */
	bool data_asked; /* DATA: the mail begins when the server agrees */
	bool in_mail;
	bool lost; /* where the next line begins is not known */
	uint64_t chunk; /* bytes of the mail still to come (BDAT) */
	char line[LINE_MAX_KEPT];
	size_t line_len;
	char code[3]; /* of the server's answer at hand */
	unsigned code_len;
	unsigned matched; /* of the end of the mail */
	char sender[MAILBOX_MAX + 1];
};

struct fp_smtp *fp_smtp_new(void)
{
	return calloc(1, sizeof(struct fp_smtp));
}

struct fp_smtp *fp_smtp_free(struct fp_smtp *smtp)
{
	free(smtp);
	return NULL;
}

/* --- commands -------------------------------------------------------------- */

/* The rest of the line behind the word, NULL when it begins otherwise. */
static const char *behind(const char *line, size_t len, const char *word)
{
	size_t n = strlen(word);

	return len >= n && strncasecmp(line, word, n) == 0 ? line + n : NULL;
}

bool fp_smtp_begins(const struct fp_app_input *input)
{
	static const char *const words[] = {"EHLO ", "HELO ", "LHLO ", "MAIL FROM:"};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (input->have && behind((const char *)input->data, input->have, words[i]))
			return true;
	return false;
}

/*
 * <local@domain>, with blanks before it and parameters behind it.  Domains are
 * the same in any case.  -1: this is no mailbox.
 */
static int read_mailbox(const char *text, const char *end, char ret_mailbox[MAILBOX_MAX + 1])
{
	const char *close, *at, *route;
	size_t len;

	while (text < end && *text == ' ')
		text++;
	if (text == end || *text++ != '<')
		return -1;
	close = memchr(text, '>', (size_t)(end - text));
	if (!close)
		return -1;
	/* <@relay,@relay:local@domain>: the way is not the mailbox */
	route = close > text && *text == '@' ? memchr(text, ':', (size_t)(close - text)) : NULL;
	text = route ? route + 1 : text;
	len = (size_t)(close - text);
	if (len > MAILBOX_MAX)
		return -1;
	at = len ? memrchr(text, '@', len) : NULL;
	for (size_t i = 0; i < len; i++) {
		if (iscntrl((unsigned char)text[i]))
			return -1;
		ret_mailbox[i] = at && text + i > at ? (char)tolower((unsigned char)text[i]) : text[i];
	}
	ret_mailbox[len] = '\0';
	return 0;
}

static void read_recipient(struct fp_smtp *smtp, struct fp_app_input *input, const char *rest)
{
	char mailbox[MAILBOX_MAX + 1];
	bool known = read_mailbox(rest, smtp->line + smtp->line_len, mailbox) == 0 && mailbox[0];
	struct fp_app_message message = {
		.app = FP_APP_MAIL,
		.outgoing = input->outgoing,
		.direction = 1,
		.truncated = !known,
		.method = {"RCPT", 4},
		.url = {smtp->sender, strlen(smtp->sender)},
		.name = {known ? mailbox : FP_APP_NAME_UNKNOWN, known ? strlen(mailbox) : 1},
	};

	fp_app_emit(input, &message);
}

static void read_command(struct fp_smtp *smtp, struct fp_app_input *input)
{
	const char *line = smtp->line, *end = line + smtp->line_len, *rest;

	if ((rest = behind(line, smtp->line_len, "MAIL FROM:"))) {
		if (read_mailbox(rest, end, smtp->sender) < 0)
			smtp->sender[0] = '\0';
	} else if ((rest = behind(line, smtp->line_len, "RCPT TO:"))) {
		read_recipient(smtp, input, rest);
	} else if (smtp->line_len == 4 && behind(line, smtp->line_len, "DATA")) {
		smtp->data_asked = true;
	} else if ((rest = behind(line, smtp->line_len, "BDAT "))) {
		for (smtp->chunk = 0; rest < end && isdigit((unsigned char)*rest) && smtp->chunk < UINT32_MAX; rest++)
			smtp->chunk = smtp->chunk * 10 + (uint64_t)(*rest - '0');
	} else if (behind(line, smtp->line_len, "STARTTLS")) {
		smtp->asked_tls = true;
	} else if (behind(line, smtp->line_len, "RSET")) {
		smtp->sender[0] = '\0';
	}
}

/* --- bytes ----------------------------------------------------------------- */

static void take_line(struct fp_smtp *smtp, struct fp_app_input *input, char c)
{
	if (c != '\n') {
		if (smtp->line_len < LINE_MAX_KEPT)
			smtp->line[smtp->line_len++] = c;
		return;
	}
	if (smtp->line_len && smtp->line[smtp->line_len - 1] == '\r')
		smtp->line_len--;
	read_command(smtp, input);
	smtp->line_len = 0;
}

/* A line with a dot alone ends the mail. */
static void take_mail(struct fp_smtp *smtp, char c)
{
	static const char end[END_LEN + 1] = "\r\n.\r\n";

	if (c == end[smtp->matched])
		smtp->matched++;
	else
		smtp->matched = c == '\r';
	if (smtp->matched == END_LEN)
		smtp->in_mail = false;
}

static size_t take_chunk(struct fp_smtp *smtp, size_t len)
{
	size_t n = len < smtp->chunk ? len : smtp->chunk;

	smtp->chunk -= n;
	return n;
}

static void feed_client(struct fp_smtp *smtp, struct fp_app_input *input)
{
	size_t missing = input->total - input->have;

	if (smtp->lost && input->turn) {
		smtp->lost = false;
		smtp->line_len = 0;
	}
	for (size_t pos = 0; pos < input->have && !smtp->lost && !input->error;) {
		if (smtp->chunk) {
			pos += take_chunk(smtp, input->have - pos);
		} else if (smtp->in_mail) {
			take_mail(smtp, (char)input->data[pos++]);
		} else {
			take_line(smtp, input, (char)input->data[pos++]);
		}
	}
	if (missing && !smtp->in_mail && !smtp->lost)
		smtp->lost = take_chunk(smtp, missing) < missing;
	if (missing && smtp->in_mail)
		smtp->matched = 0;
}

/* Each line of an answer begins with its code; what ends a mail or begins one is said by the code alone. */
static enum fp_app_verdict read_code(struct fp_smtp *smtp)
{
	if (smtp->asked_tls && smtp->code[0] == '2')
		return FP_APP_OVER;
	smtp->asked_tls = false;
	smtp->in_mail = smtp->data_asked && memcmp(smtp->code, "354", 3) == 0;
	if (smtp->in_mail) {
		smtp->data_asked = false;
		smtp->matched = 2; /* a line of the mail begins */
	}
	return FP_APP_MINE;
}

static enum fp_app_verdict feed_server(struct fp_smtp *smtp, const struct fp_app_input *input)
{
	enum fp_app_verdict verdict = FP_APP_MINE;

	if (input->turn)
		smtp->code_len = 0;
	for (size_t i = 0; i < input->have && verdict == FP_APP_MINE; i++) {
		if (input->data[i] == '\n') {
			smtp->code_len = 0;
		} else if (smtp->code_len < sizeof(smtp->code)) {
			smtp->code[smtp->code_len++] = (char)input->data[i];
			if (smtp->code_len == sizeof(smtp->code))
				verdict = read_code(smtp);
		}
	}
	return verdict;
}

enum fp_app_verdict fp_smtp_feed(struct fp_smtp *smtp, struct fp_app_input *input)
{
	if (!smtp->client_known) {
		smtp->client_known = true;
		smtp->client_outgoing = input->outgoing;
	}
	if (input->outgoing != smtp->client_outgoing)
		return feed_server(smtp, input);
	feed_client(smtp, input);
	return FP_APP_MINE;
}
