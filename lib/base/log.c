#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>

static enum fp_log_level log_level = FP_LOG_INFO;

void fp_log_set_level(enum fp_log_level level)
{
	log_level = level;
}

void fp_log(enum fp_log_level level, const char *msg, const char *format, ...)
{
	static const char *const names[] = {"error", "warning", "info", "debug"};
	char pairs[512];
	va_list args;

	if (level > log_level)
		return;
	va_start(args, format);
	vsnprintf(pairs, sizeof(pairs), format, args);
	va_end(args);
	fprintf(stderr, "level=%s msg=\"%s\"%s%s\n", names[level], msg, pairs[0] ? " " : "", pairs);
}

void fp_die_line(const char *program, const char *format, ...)
{
	char text[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	fprintf(stderr, "%s: %s\n", program, text);
}
