#include "query/question.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <string.h>

#include "base/text.h"
#include "query/verbs.h"

int fp_fail(enum fp_exit code, const char *format, ...)
{
	char text[900];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	fp_die_line(FP_PROGRAM, "%s", text);
	return code;
}

enum fp_exit fp_exit_of(int error)
{
	switch (-error) {
	case ENOENT:
	case EBADMSG:
	case EPROTO:
	case E2BIG:
		return FP_EXIT_INPUT;
	default:
		return FP_EXIT_SYSTEM;
	}
}

static int usage(const struct fp_verb *verb, const char *format, ...)
{
	char text[600];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return fp_fail(FP_EXIT_USAGE, "%s; see '" FP_PROGRAM "%s%s --help'", text, verb ? " " : "",
		       verb ? verb->name : "");
}

static int read_number(const struct fp_question *question, enum fp_option option, const char *text, uint64_t least,
		       uint64_t most, uint64_t *ret_number)
{
	char *end;
	unsigned long long number;

	errno = 0;
	number = strtoull(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || errno || number < least || number > most)
		return usage(question->verb, "--%s takes a number from %llu to %llu, not \"%s\"", fp_options[option].name,
			     (unsigned long long)least, (unsigned long long)most, text);
	*ret_number = number;
	return 0;
}

static int read_format(struct fp_question *question, const char *text)
{
	char known[128] = "";

	for (unsigned i = 0; i < FP_FORMATS; i++) {
		if (!(question->verb->formats & 1u << i))
			continue;
		if (strcmp(fp_format_name(i), text) == 0) {
			question->format = i;
			return 0;
		}
		snprintf(known + strlen(known), sizeof(known) - strlen(known), "%s%s", *known ? ", " : "",
			 fp_format_name(i));
	}
	return usage(question->verb, "%s has no format \"%s\", only %s", question->verb->name, text, known);
}

static int read_time(const struct fp_question *question, enum fp_option option, const char *text, uint64_t *ret_time)
{
	if (fp_time_parse(text, ret_time) < 0 || *ret_time == 0)
		return usage(question->verb, "--%s takes a time like 2026-11-21T01:02:03.5Z, not \"%s\"",
			     fp_options[option].name, text);
	return 0;
}

static int read_number_option(struct fp_question *question, enum fp_option option, const char *text)
{
	uint64_t number = 0;
	int r = read_number(question, option, text, option == FP_OPTION_MAX_NODES ? 0 : 1, 1000000, &number);

	if (r != 0)
		return r;
	if (option == FP_OPTION_DEPTH)
		question->depth = (unsigned)number;
	else if (option == FP_OPTION_MAX_NODES)
		question->max_nodes = number;
	else
		question->limit = number;
	return 0;
}

static int read_option(struct fp_question *question, enum fp_option option, const char *text)
{
	switch (option) {
	case FP_OPTION_STORE:
		question->store = text;
		return 0;
	case FP_OPTION_OUTPUT:
		question->output = text;
		return 0;
	case FP_OPTION_FUNCTION:
		question->function = text;
		return 0;
	case FP_OPTION_INSTANCE:
		question->instance = text;
		return 0;
	case FP_OPTION_REQUEST:
		question->request = text;
		return 0;
	case FP_OPTION_NO_STITCH:
		question->no_stitch = true;
		return 0;
	case FP_OPTION_CONSERVATIVE:
		question->conservative = true;
		return 0;
	case FP_OPTION_ALL:
		question->all = true;
		return 0;
	case FP_OPTION_OUTSIDE:
		question->outside = true;
		return 0;
	case FP_OPTION_BACKWARD:
		question->directions |= FP_SLICE_BACKWARD;
		return 0;
	case FP_OPTION_FORWARD:
		question->directions |= FP_SLICE_FORWARD;
		return 0;
	case FP_OPTION_BOTH:
		question->directions |= FP_SLICE_BACKWARD | FP_SLICE_FORWARD;
		return 0;
	case FP_OPTION_FORMAT:
		return read_format(question, text);
	case FP_OPTION_SINCE:
		return read_time(question, option, text, &question->since);
	case FP_OPTION_UNTIL:
		return read_time(question, option, text, &question->until);
	default:
		return read_number_option(question, option, text);
	}
}

/* Options may stand before the verb, so they are noted first and understood when the verb is known. */
struct given {
	enum fp_option option;
	const char *text;
};

enum { OPTION_BASE = 256, GIVEN_MAX = 64 };

static int scan(int argc, char **argv, struct given *given, size_t *ret_given)
{
	struct option table[FP_OPTIONS + 1] = {{0}};
	char letters[2 * FP_OPTIONS + 2] = ":";
	int c;

	for (int i = 0; i < FP_OPTIONS; i++) {
		table[i] = (struct option){fp_options[i].name, fp_options[i].argument ? required_argument : no_argument, NULL,
					   OPTION_BASE + i};
		if (fp_options[i].letter)
			snprintf(letters + strlen(letters), 3, "%c%s", fp_options[i].letter,
				 fp_options[i].argument ? ":" : "");
	}
	optind = 0;
	while ((c = getopt_long(argc, argv, letters, table, NULL)) != -1) {
		for (int i = 0; i < FP_OPTIONS && c < OPTION_BASE; i++)
			if (c == fp_options[i].letter)
				c = OPTION_BASE + i;
		if (c == ':')
			return usage(NULL, "%s needs an argument", argv[optind - 1]);
		if (c < OPTION_BASE)
			return usage(NULL, "unknown option %s", argv[optind - 1]);
		if (*ret_given == GIVEN_MAX)
			return usage(NULL, "more than %d options", GIVEN_MAX);
		given[(*ret_given)++] = (struct given){(enum fp_option)(c - OPTION_BASE), optarg};
	}
	return 0;
}

static int check(const struct fp_question *question)
{
	const struct fp_verb *verb = question->verb;

	if (question->n_arguments < verb->arguments_min)
		return usage(verb, "%s needs %s", verb->name, verb->arguments);
	if (question->n_arguments > verb->arguments_max)
		return usage(verb, "%s does not take \"%s\"", verb->name, question->arguments[verb->arguments_max]);
	if (question->since && question->until && question->since > question->until)
		return usage(verb, "--since is after --until");
	if (verb->options & 1u << FP_OPTION_STORE && (!question->store || !*question->store))
		return usage(verb, "no store: give --store or set FAASPROV_STORE");
	return 0;
}

static int understand(struct fp_question *question, const struct given *given, size_t n_given)
{
	const struct fp_verb *verb = question->verb;

	question->format = verb->formats & 1u << FP_FORMAT_TEXT ? FP_FORMAT_TEXT : FP_FORMAT_JSON;
	for (size_t i = 0; i < n_given; i++) {
		int r;

		if (!(verb->options & 1u << given[i].option))
			return usage(verb, "%s has no option --%s", verb->name, fp_options[given[i].option].name);
		r = read_option(question, given[i].option, given[i].text);
		if (r != 0)
			return r;
	}
	if (question->directions == 0)
		question->directions = FP_SLICE_BACKWARD | FP_SLICE_FORWARD;
	return check(question);
}

enum fp_exit fp_question_read(int argc, char **argv, struct fp_question *ret_question, bool *ret_end)
{
	struct fp_question question = {.store = getenv("FAASPROV_STORE"), .max_nodes = FP_VIEW_NODES};
	struct given given[GIVEN_MAX];
	size_t n_given = 0;
	int r = scan(argc, argv, given, &n_given);

	*ret_end = true;
	if (r != 0)
		return r;
	if (optind < argc)
		question.verb = fp_verb_find(argv[optind]);
	for (size_t i = 0; i < n_given; i++) {
		if (given[i].option == FP_OPTION_HELP)
			return fp_help(question.verb, stdout), FP_EXIT_DONE;
		if (given[i].option == FP_OPTION_VERSION)
			return puts(FP_PROGRAM " " FP_VERSION), FP_EXIT_DONE;
	}
	if (optind >= argc)
		return usage(NULL, "no verb given");
	if (!question.verb)
		return usage(NULL, "no verb \"%s\"", argv[optind]);
	question.arguments = argv + optind + 1;
	question.n_arguments = argc - optind - 1;
	r = understand(&question, given, n_given);
	if (r != 0)
		return r;
	*ret_end = false;
	*ret_question = question;
	return FP_EXIT_DONE;
}

bool fp_question_is_of(const struct fp_question *question, const char *function, const char *instance)
{
	if (question->function && (!function || strcmp(function, question->function) != 0))
		return false;
	return !question->instance || (instance && strncmp(instance, question->instance, strlen(question->instance)) == 0);
}
