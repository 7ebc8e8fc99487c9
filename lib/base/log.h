/*
 * What the programs say to people: one line per matter on standard error, and
 * their exit codes.  Only programs call this; libraries return errors.
 *   level=warning msg="aggregator is away" host=198.18.0.4:7000
 */
#ifndef FP_BASE_LOG_H
#define FP_BASE_LOG_H

enum fp_exit { FP_EXIT_DONE = 0, FP_EXIT_NOTHING = 1, FP_EXIT_USAGE = 2, FP_EXIT_INPUT = 3, FP_EXIT_SYSTEM = 4 };

enum fp_log_level { FP_LOG_ERROR, FP_LOG_WARNING, FP_LOG_INFO, FP_LOG_DEBUG };

/* What is more detailed than the level is not written.  Default: FP_LOG_INFO. */
void fp_log_set_level(enum fp_log_level level);
/* `msg` is fixed text; the format adds key=value pairs (may be ""). */
void fp_log(enum fp_log_level level, const char *msg, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* One plain line "<program>: <text>" on standard error, for errors that end the program. */
void fp_die_line(const char *program, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
