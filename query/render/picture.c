#include "query/render/picture.h"

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>


/* A picture of a view is some hundred kB; more is a layout gone wrong. */
#define PICTURE_MAX (256u << 20)

/* Ends with 0 or a positive errno; the alarm ends it when it takes too long. */
static _Noreturn void child(const struct fp_view *view, enum fp_layout layout, const char *format, unsigned seconds,
			    FILE *out)
{
	const struct rlimit size = {PICTURE_MAX, PICTURE_MAX};
	int r;

	signal(SIGALRM, SIG_DFL);
	alarm(seconds);
	setrlimit(RLIMIT_FSIZE, &size);
	r = fp_dot_draw(view, layout, format, out);
	if (r == 0 && fflush(out) != 0)
		r = -EIO;
	_exit(r < 0 ? (-r < 126 ? -r : EIO) : 0);
}

static int draw_in_child(const struct fp_view *view, enum fp_layout layout, const char *format, unsigned seconds,
			 FILE *out)
{
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0)
		child(view, layout, format, seconds, out);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	if (WIFSIGNALED(status))
		return WTERMSIG(status) == SIGALRM ? -ETIMEDOUT : -EIO;
	return -WEXITSTATUS(status);
}

static int copy(FILE *from, FILE *to)
{
	char data[65536];
	size_t n;

	rewind(from);
	while ((n = fread(data, 1, sizeof(data), from)) > 0)
		if (fwrite(data, 1, n, to) != n)
			return -EIO;
	return ferror(from) ? -EIO : 0;
}

int fp_picture_write(const struct fp_view *view, const char *format, unsigned seconds, FILE *out,
		     enum fp_layout *ret_layout)
{
	int r = -EIO;

	for (enum fp_layout layout = FP_LAYOUT_FULL; layout < FP_LAYOUTS; layout++, seconds = seconds / 2 + 1) {
		fp_cleanup(fp_fclosep) FILE *drawn = tmpfile();

		if (!drawn)
			return -errno;
		r = draw_in_child(view, layout, format, seconds, drawn);
		if (r < 0)
			continue;
		*ret_layout = layout;
		return copy(drawn, out);
	}
	return r;
}
