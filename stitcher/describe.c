#include "stitcher/describe.h"

#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <string.h>

#include "base/text.h"
#include "stitcher/join.h"

/* Programs inherited over so many forks without an exec are nobody's honest work. */
#define ANCESTORS_MAX 64
/* TASK_COMM_LEN without its NUL */
#define COMM_LEN 15

static void add_hex(struct fp_buffer *out, const void *data, size_t len)
{
	char *room = fp_buffer_reserve(out, 2 * len);

	if (!room)
		return;
	fp_hex(data, len, room);
	out->len += 2 * len;
}

static void add_boot(const struct fp_build *build, uint32_t boot, struct fp_buffer *out)
{
	size_t len;
	const char *id = fp_intern_key(&build->evidence->boots_by, boot, &len);

	add_hex(out, id, len);
}

static void add_request(const struct fp_build *build, uint32_t request, struct fp_buffer *out)
{
	add_hex(out, fp_intern_key(&build->evidence->requests, request, NULL), FP_REQUEST_ID_SIZE);
}

void fp_describe_unit(const struct fp_build *build, uint32_t unit, struct fp_buffer *out)
{
	if (unit == FP_UNIT_IS_AMBIGUOUS)
		fp_buffer_add_text(out, "ambiguous");
	else if (unit < FP_UNIT_FIRST_REQUEST)
		fp_buffer_add_text(out, fp_unit_name(unit == FP_UNIT_IS_STARTUP ? FP_UNIT_STARTUP : FP_UNIT_BACKGROUND));
	else
		add_request(build, fp_unit_request(unit), out);
}

void fp_describe_candidates(const struct fp_build *build, uint32_t candidates, struct fp_buffer *out)
{
	size_t len;
	const char *ids = fp_intern_key(&build->evidence->texts, candidates, &len);

	for (size_t at = 0; at + FP_REQUEST_ID_SIZE <= len; at += FP_REQUEST_ID_SIZE) {
		if (at)
			fp_buffer_add_text(out, ",");
		add_hex(out, ids + at, FP_REQUEST_ID_SIZE);
	}
}

static const struct fp_item *exec_of(const struct fp_build *build, uint32_t process, uint32_t exec_id)
{
	uint32_t key[2] = {process, exec_id}, image = fp_intern_find(&build->images_by, key, sizeof(key));

	return image == FP_NONE ? NULL : &build->evidence->items[build->images[image].exec];
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash && slash[1] ? slash + 1 : path;
}

/* The exec that made the program which the process ran at that time, or NULL when it was not seen. */
static const struct fp_item *program_exec(const struct fp_build *build, uint32_t process, uint32_t exec_id)
{
	for (int i = 0; i < ANCESTORS_MAX; i++) {
		const struct fp_item *exec = exec_of(build, process, exec_id);
		const struct fp_process_state *state = &build->processes[process];

		/* a child runs its parent's program until it execs one of its own */
		if (exec || state->parent == FP_NONE)
			return exec;
		exec_id = state->parent_exec;
		process = state->parent;
	}
	return NULL;
}

/*
 * The name it was called by, and the file that really runs where that has another
 * name: "sh (dash)", "backup.sh (dash)".  The kernel cuts the first at COMM_LEN.
 */
static bool add_program(const struct fp_build *build, uint32_t process, uint32_t exec_id, struct fp_buffer *out)
{
	const struct fp_item *exec = program_exec(build, process, exec_id);
	const char *file = exec && exec->path ? base_name(fp_text(build->evidence, exec->path)) : NULL;
	uint32_t comm = exec ? build->evidence->execs[exec->detail].comm : 0;
	const char *name = comm ? fp_text(build->evidence, comm) : NULL;

	if (!file && !name)
		return false;
	if (!file || (name && strncmp(name, file, COMM_LEN) != 0))
		fp_buffer_add_format(out, file ? "%s (%s)" : "%s", name, file);
	else
		fp_buffer_add_text(out, file);
	return true;
}

static void add_file_key(const struct fp_build *build, const struct fp_gnode *node, struct fp_buffer *out)
{
	const struct fp_file *file = &build->evidence->files[node->a];

	fp_buffer_add_text(out, file->is_pipe ? "pipe:" : "file:");
	add_boot(build, file->boot, out);
	if (file->by_path)
		fp_buffer_add_format(out, ":path:%" PRIu32, node->a);
	else
		fp_buffer_add_format(out, ":%" PRIu64 ":%" PRIu64 ":%" PRIu64, file->dev, file->ino, file->gen);
	if (node->b)
		fp_buffer_add_format(out, ":%" PRIu32, node->b);
}

static void add_endpoint(const struct fp_build *build, uint32_t number, struct fp_buffer *out)
{
	const struct fp_endpoint *endpoint = &build->evidence->endpoints[number];
	char text[FP_ADDRESS_TEXT_SIZE];

	fp_endpoint_text(endpoint->hi, endpoint->lo, endpoint->port, text);
	fp_buffer_add_text(out, text);
}

static void add_names(const struct fp_build *build, uint32_t number, struct fp_buffer *out)
{
	const struct fp_endpoint *endpoint = &build->evidence->endpoints[number];
	const char *names = fp_evidence_names(build->evidence, endpoint->hi, endpoint->lo);

	if (names)
		fp_buffer_add_format(out, " (%s)", names);
}

/* Loopback addresses mean something within one network namespace only. */
static void add_place(const struct fp_build *build, uint32_t endpoint, struct fp_buffer *out)
{
	const struct fp_endpoint *e = &build->evidence->endpoints[endpoint];

	if (!e->boot)
		return;
	fp_buffer_add_text(out, ":");
	add_boot(build, e->boot - 1, out);
	fp_buffer_add_format(out, ":%" PRIu64, e->netns);
}

static void add_socket_key(const struct fp_build *build, const struct fp_gnode *node, struct fp_buffer *out)
{
	const struct fp_stream *stream = &build->evidence->streams[node->a];
	const struct fp_path *path = &build->evidence->paths[stream->path];

	if (path->protocol == IPPROTO_TCP || path->protocol == IPPROTO_UDP)
		fp_buffer_add_text(out, path->protocol == IPPROTO_TCP ? "socket:tcp:" : "socket:udp:");
	else
		fp_buffer_add_format(out, "socket:%" PRIu32 ":", path->protocol);
	add_endpoint(build, path->from, out);
	fp_buffer_add_text(out, "-");
	add_endpoint(build, path->to, out);
	fp_buffer_add_format(out, ":%" PRIu32 ":", stream->base);
	fp_describe_unit(build, node->b, out);
	if (node->c == FP_SIDE_RECEIVED)
		fp_buffer_add_text(out, ":received");
	add_place(build, path->from, out);
}

static void add_client_ip(const struct fp_build *build, uint32_t request, struct fp_buffer *out, const char *unknown)
{
	const struct fp_evidence *evidence = build->evidence;
	const struct fp_begin *begin = &evidence->begins[evidence->items[build->requests[request].begin].detail];
	char text[FP_ADDRESS_TEXT_SIZE];
	uint64_t hi, lo;

	if (fp_join_address(fp_text(evidence, begin->forwarded), &hi, &lo) < 0 &&
	    fp_join_address(fp_text(evidence, begin->peer), &hi, &lo) < 0) {
		fp_buffer_add_text(out, unknown);
		return;
	}
	fp_address_text(hi, lo, text);
	fp_buffer_add_text(out, text);
}

static void add_process_key(const struct fp_build *build, const struct fp_gnode *node, struct fp_buffer *out)
{
	const struct fp_process *process = &build->evidence->processes[node->a];

	fp_buffer_add_text(out, "process:");
	add_boot(build, process->boot, out);
	fp_buffer_add_format(out, ":%" PRIu64 ":%" PRIu64 ":%" PRIu32 ":", process->start, process->tgid, node->b);
	fp_describe_unit(build, node->c, out);
}

static void add_gap_key(const struct fp_build *build, const struct fp_gnode *node, struct fp_buffer *out)
{
	const struct fp_gap *gap = &build->gaps[node->a];
	uint64_t cgroup = gap->container == FP_NONE ? 0 : build->evidence->containers[gap->container].cgroup;

	fp_buffer_add_format(out, "gap:%s:", fp_text(build->evidence, gap->host));
	add_boot(build, gap->boot, out);
	fp_buffer_add_format(out, ":%" PRIu64 ":%s%s:%" PRIu64, cgroup, fp_loss_name(gap->cause),
			     gap->missing_batches ? "-batches" : "", gap->first);
	if (gap->request != FP_NONE) {
		fp_buffer_add_text(out, ":");
		add_request(build, gap->request, out);
	}
}

static void add_finding_key(const struct fp_build *build, const struct fp_gnode *node, struct fp_buffer *out)
{
	const struct fp_container *container = &build->evidence->containers[node->b];

	fp_buffer_add_text(out, "finding:");
	add_boot(build, container->boot, out);
	fp_buffer_add_format(out, ":%" PRIu64 ":", container->cgroup);
	fp_describe_unit(build, node->c, out);
	fp_buffer_add_format(out, ":%s", fp_finding_name(node->a));
}

static void add_pipe_key(const struct fp_build *build, const struct fp_gnode *node, struct fp_buffer *out)
{
	const struct fp_unix_end *end = &build->evidence->unix_ends[node->a];

	fp_buffer_add_text(out, "pipe:");
	add_boot(build, end->boot, out);
	fp_buffer_add_format(out, ":unix:%" PRIu64 "%s", end->ino, node->b == FP_SIDE_RECEIVED ? ":received" : "");
}

/* What stands before an object's name. */
static const char *object_space(uint32_t app)
{
	switch (app) {
	case FP_APP_SQL:
		return "sql";
	case FP_APP_REDIS:
		return "redis";
	case FP_APP_DNS:
		return "dns";
	case FP_APP_MAIL:
		return "mail";
	case FP_APP_OPAQUE:
		return "tls";
	case FP_APP_HTTP2:
		return "http2";
	default:
		return "http";
	}
}

void fp_describe_key(const struct fp_build *build, const struct fp_gnode *node, struct fp_buffer *out)
{
	switch (node->kind) {
	case FP_NODE_CLIENT:
		fp_buffer_add_text(out, "client:");
		add_client_ip(build, node->a, out, "unknown");
		fp_buffer_add_text(out, ":");
		add_request(build, node->a, out);
		break;
	case FP_NODE_REQUEST:
		fp_buffer_add_text(out, "request:");
		add_request(build, node->a, out);
		break;
	case FP_NODE_PROCESS:
		add_process_key(build, node, out);
		break;
	case FP_NODE_SOCKET:
		add_socket_key(build, node, out);
		break;
	case FP_NODE_OBJECT:
		fp_buffer_add_format(out, "object:%s:%s", object_space(node->b), fp_text(build->evidence, node->a));
		if (node->c)
			fp_buffer_add_format(out, ":%" PRIu32, node->c);
		break;
	case FP_NODE_HOST:
		fp_buffer_add_text(out, "host:");
		add_endpoint(build, node->a, out);
		add_place(build, node->a, out);
		break;
	case FP_NODE_GAP:
		add_gap_key(build, node, out);
		break;
	case FP_NODE_FINDING:
		add_finding_key(build, node, out);
		break;
	default:
		if (node->kind == FP_NODE_PIPE && node->b)
			add_pipe_key(build, node, out);
		else
			add_file_key(build, node, out);
	}
}

static void add_request_label(const struct fp_build *build, uint32_t request, struct fp_buffer *out)
{
	const struct fp_evidence *evidence = build->evidence;
	const struct fp_request_state *state = &build->requests[request];
	const struct fp_begin *begin =
		state->begin == FP_NONE ? NULL : &evidence->begins[evidence->items[state->begin].detail];

	fp_buffer_add_text(out, state->container != FP_NONE && evidence->containers[state->container].function ?
					fp_text(evidence, evidence->containers[state->container].function) :
					"request");
	if (!begin) {
		fp_buffer_add_text(out, " (begin not seen)");
		return;
	}
	if (begin->method)
		fp_buffer_add_format(out, " %s", fp_text(evidence, begin->method));
	if (begin->url)
		fp_buffer_add_format(out, " %s", fp_text(evidence, begin->url));
}

static void add_file_label(const struct fp_build *build, const struct fp_gnode *node, struct fp_buffer *out)
{
	const struct fp_file *file = &build->evidence->files[node->a];

	if (node->extra != FP_NONE)
		fp_buffer_add_text(out, fp_text(build->evidence, build->path_list[node->extra].path));
	else if (node->kind == FP_NODE_PIPE)
		fp_buffer_add_text(out, "pipe");
	else
		fp_buffer_add_format(out, "inode %" PRIu64 " of device %" PRIu64, file->ino, file->dev);
}

static void add_gap_label(const struct fp_build *build, const struct fp_gap *gap, struct fp_buffer *out)
{
	const char *what = gap->missing_batches ? "batch" : "record";
	const char *plural = gap->lost == 1 ? "" : gap->missing_batches ? "es" : "s";

	if (fp_loss_is_hook(gap->cause)) {
		fp_buffer_add_format(out, "not seen: %s", fp_loss_name(gap->cause));
		return;
	}
	fp_buffer_add_format(out, "%" PRIu64 " %s%s missing: %s", gap->lost, what, plural, fp_loss_name(gap->cause));
}

void fp_describe_label(const struct fp_build *build, const struct fp_gnode *node, struct fp_buffer *out)
{
	const struct fp_evidence *evidence = build->evidence;

	switch (node->kind) {
	case FP_NODE_CLIENT:
		fp_buffer_add_text(out, "client ");
		add_client_ip(build, node->a, out, "of unknown address");
		break;
	case FP_NODE_REQUEST:
		add_request_label(build, node->a, out);
		break;
	case FP_NODE_PROCESS:
		if (!add_program(build, node->a, node->b, out))
			fp_buffer_add_format(out, "process %" PRIu64, evidence->processes[node->a].tgid);
		break;
	case FP_NODE_SOCKET:
		add_endpoint(build, evidence->paths[evidence->streams[node->a].path].from, out);
		fp_buffer_add_text(out, " → ");
		add_endpoint(build, evidence->paths[evidence->streams[node->a].path].to, out);
		break;
	case FP_NODE_OBJECT:
		if (node->b != FP_APP_HTTP_REQUEST) /* a URL has its own */
			fp_buffer_add_format(out, "%s:", object_space(node->b));
		fp_buffer_add_text(out, fp_text(evidence, node->a));
		break;
	case FP_NODE_HOST:
		add_endpoint(build, node->a, out);
		add_names(build, node->a, out);
		break;
	case FP_NODE_GAP:
		add_gap_label(build, &build->gaps[node->a], out);
		break;
	case FP_NODE_FINDING:
		fp_buffer_add_text(out, fp_finding_name(node->a));
		break;
	default:
		if (node->kind == FP_NODE_PIPE && node->b)
			fp_buffer_add_text(out, "unix socket");
		else
			add_file_label(build, node, out);
	}
}
