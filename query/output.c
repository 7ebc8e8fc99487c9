#include "query/output.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int fp_output_open(struct fp_output *output, const char *path)
{
	mode_t mask;
	int fd;

	*output = (struct fp_output)FP_OUTPUT_INIT;
	if (!path || strcmp(path, "-") == 0) {
		output->file = stdout;
		return 0;
	}
	output->path = strdup(path);
	if (!output->path || asprintf(&output->temporary, "%s.XXXXXX", path) < 0) {
		output->temporary = NULL;
		fp_output_done(output);
		return -ENOMEM;
	}
	fd = mkstemp(output->temporary);
	if (fd < 0) {
		int error = errno;

		free(output->temporary);
		output->temporary = NULL;
		fp_output_done(output);
		return -error;
	}
	/* As any program would have made the file; mkstemp makes it private. */
	mask = umask(0);
	umask(mask);
	fchmod(fd, 0666 & ~mask);
	output->file = fdopen(fd, "w");
	if (!output->file) {
		close(fd);
		fp_output_done(output);
		return -ENOMEM;
	}
	return 0;
}

int fp_output_commit(struct fp_output *output)
{
	errno = 0;
	if (fflush(output->file) != 0 || ferror(output->file))
		return errno ? -errno : -EIO;
	if (!output->path)
		return 0;
	if (fsync(fileno(output->file)) != 0 && errno != EINVAL)
		return -errno;
	if (rename(output->temporary, output->path) != 0)
		return -errno;
	free(output->temporary);
	output->temporary = NULL;
	return 0;
}

void fp_output_done(struct fp_output *output)
{
	if (output->file && output->file != stdout)
		fclose(output->file);
	if (output->temporary)
		unlink(output->temporary);
	free(output->temporary);
	free(output->path);
	*output = (struct fp_output)FP_OUTPUT_INIT;
}

enum fp_exit fp_output_write(const struct fp_question *question, int (*write)(void *arg, FILE *out), void *arg)
{
	const char *name = question->output ? question->output : "standard output";
	struct fp_output output;
	int r = fp_output_open(&output, question->output);

	if (r < 0)
		return fp_fail(FP_EXIT_SYSTEM, "cannot write %s: %s", name, strerror(-r));
	r = write(arg, output.file);
	if (r >= 0)
		r = fp_output_commit(&output);
	fp_output_done(&output);
	if (r < 0)
		return fp_fail(FP_EXIT_SYSTEM, "cannot write %s as %s: %s", name, fp_format_name(question->format),
			       strerror(-r));
	return FP_EXIT_DONE;
}
