#include "stitcher/evidence.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/text.h"
#include "base/array.h"
#include "stitcher/clean.h"

/* Identities are small fixed keys; 8 GiB of them is beyond any number of events allowed. */
#define KEY_BYTES_MAX (8ull << 30)

#define ALL_TABLES(X)                                                                                            \
	X(agents) X(boots_by) X(sources_by) X(processes_by) X(containers_by) X(files_by) X(unix_by)              \
	X(endpoints_by) X(paths_by) X(streams_by) X(requests) X(lookups_by)
#define ALL_ARRAYS(X)                                                                                            \
	X(items) X(boots) X(sources) X(batches) X(processes) X(containers) X(files) X(unix_ends) X(endpoints) X(lookups) X(paths) \
	X(streams) X(execs) X(messages) X(begins) X(controls)

void fp_evidence_init(struct fp_evidence *evidence, const struct fp_stitch_limits *limits)
{
	*evidence = (struct fp_evidence){.limits = *limits};
	fp_intern_init(&evidence->texts, limits->text_bytes);
#define INIT(table) fp_intern_init(&evidence->table, KEY_BYTES_MAX);
	ALL_TABLES(INIT)
#undef INIT
}

void fp_evidence_done(struct fp_evidence *evidence)
{
	fp_intern_done(&evidence->texts);
#define DONE(table) fp_intern_done(&evidence->table);
	ALL_TABLES(DONE)
#undef DONE
#define FREE(array) free(evidence->array);
	ALL_ARRAYS(FREE)
#undef FREE
	free(evidence->sockets);
	free(evidence->skews);
	*evidence = (struct fp_evidence){0};
}

uint64_t fp_evidence_wall(const struct fp_evidence *evidence, uint32_t boot, uint64_t time)
{
	const struct fp_boot *b = &evidence->boots[boot];
	int64_t wall;

	if (time > INT64_MAX || __builtin_add_overflow((int64_t)time, b->offset, &wall) ||
	    __builtin_add_overflow(wall, b->correction, &wall))
		return INT64_MAX;
	return wall < 0 ? 0 : (uint64_t)wall;
}

int fp_evidence_text(struct fp_evidence *evidence, struct fp_str text, uint32_t *ret_text)
{
	struct fp_buffer clean = FP_BUFFER_INIT;
	int r;

	if (evidence->texts.n_keys == 0) {
		uint32_t empty;

		r = fp_intern_add(&evidence->texts, "", 0, &empty);
		if (r < 0)
			return r;
	}
	*ret_text = 0;
	if (text.len == 0)
		return 0;
	if (fp_clean_is(text.data, text.len)) {
		r = fp_intern_add(&evidence->texts, text.data, text.len, ret_text);
	} else {
		fp_clean_add(&clean, text.data, text.len);
		r = fp_buffer_error(&clean);
		if (r == 0)
			r = fp_intern_add(&evidence->texts, clean.data, clean.len, ret_text);
		fp_buffer_done(&clean);
	}
	return r < 0 ? r : 0;
}

/* Arguments: each is made clean, the NULs between them stay. */
static int add_argv(struct fp_evidence *evidence, struct fp_str argv, uint32_t *ret_text)
{
	struct fp_buffer clean = FP_BUFFER_INIT;
	int r;

	for (size_t at = 0; at < argv.len;) {
		size_t len = strnlen(argv.data + at, argv.len - at);

		fp_clean_add(&clean, argv.data + at, len);
		at += len + 1;
		if (at < argv.len)
			fp_buffer_add(&clean, "", 1);
	}
	r = fp_buffer_error(&clean);
	if (r == 0)
		r = fp_intern_add(&evidence->texts, clean.data ? clean.data : "", clean.len, ret_text);
	fp_buffer_done(&clean);
	return r < 0 ? r : 0;
}

static int add_boot(struct fp_evidence *evidence, const struct fp_batch_header *header, uint32_t *ret_boot)
{
	int r = fp_intern_add(&evidence->boots_by, header->boot, sizeof(header->boot), ret_boot);

	if (r <= 0)
		return r;
	if (!FP_ARRAY_ROOM(evidence->boots, *ret_boot, evidence->boots_room))
		return -ENOMEM;
	evidence->boots[*ret_boot] = (struct fp_boot){.offset = header->clock_offset};
	return 0;
}

int fp_evidence_batch(struct fp_evidence *evidence, uint64_t batch_id, const struct fp_batch_header *header)
{
	struct fp_source source = {0};
	uint32_t number;
	int r;

	r = fp_evidence_text(evidence, (struct fp_str){header->host, strnlen(header->host, FP_BATCH_HOST_MAX)}, &source.host);
	if (r >= 0)
		r = fp_intern_add(&evidence->agents, header->agent, sizeof(header->agent), &source.agent);
	if (r >= 0)
		r = add_boot(evidence, header, &source.boot);
	if (r >= 0)
		r = fp_intern_add(&evidence->sources_by, &source, sizeof(source), &number);
	if (r < 0)
		return r;
	if (r == 1) {
		if (!FP_ARRAY_ROOM(evidence->sources, number, evidence->sources_room))
			return -ENOMEM;
		evidence->sources[number] = source;
	}
	if (!FP_ARRAY_ROOM(evidence->batches, evidence->n_batches, evidence->batches_room))
		return -ENOMEM;
	evidence->batches[evidence->n_batches++] = (struct fp_batch_ref){
		batch_id, header->number, header->first_time, header->last_time, number, 0};
	return 0;
}

int fp_evidence_damaged_batch(struct fp_evidence *evidence, uint64_t batch_id, const struct fp_batch_header *header)
{
	int r = fp_evidence_batch(evidence, batch_id, header);

	if (r == 0)
		evidence->batches[evidence->n_batches - 1].unread = header->n_events ? header->n_events : 1;
	return r;
}

static uint32_t narrow(uint64_t value)
{
	return value > UINT32_MAX ? UINT32_MAX : (uint32_t)value;
}

static int add_exec(struct fp_evidence *evidence, const struct fp_event *event, struct fp_item *item)
{
	const struct fp_source *source = &evidence->sources[evidence->batches[item->batch].source];
	struct fp_exec exec = {.uid = (uint32_t)event->uid, .gid = (uint32_t)event->gid, .pid = (uint32_t)event->ns_tgid,
			       .parent = FP_NONE};
	int r = add_argv(evidence, event->argv, &exec.argv);

	if (r == 0)
		r = fp_evidence_text(evidence, event->comm, &exec.comm);
	if (r == 0 && event->parent_tgid)
		r = fp_evidence_process(evidence, source->boot, source->host, event->parent_start, event->parent_tgid, &exec.parent);
	if (r == 0)
		r = fp_evidence_file(evidence, event, FP_OBJECT_FILE, item);
	if (r < 0)
		return r;
	if (!FP_ARRAY_ROOM(evidence->execs, evidence->n_execs, evidence->execs_room))
		return -ENOMEM;
	item->detail = (uint32_t)evidence->n_execs;
	evidence->execs[evidence->n_execs++] = exec;
	return 1;
}

static int add_control(struct fp_evidence *evidence, const struct fp_event *event, struct fp_item *item)
{
	struct fp_control control = {.uid = narrow(event->uid), .gid = narrow(event->gid), .euid = narrow(event->euid),
				     .egid = narrow(event->egid), .capabilities = event->capabilities,
				     .dev = event->dev, .ino = event->ino, .place_dev = event->place_dev,
				     .place_ino = event->place_ino};
	int r = fp_evidence_text(evidence, event->attribute, &control.attribute);

	if (r < 0)
		return r;
	if (!FP_ARRAY_ROOM(evidence->controls, evidence->n_controls, evidence->controls_room))
		return -ENOMEM;
	item->value = narrow(event->operation);
	item->detail = (uint32_t)evidence->n_controls;
	evidence->controls[evidence->n_controls++] = control;
	return 1;
}

static int add_message(struct fp_evidence *evidence, const struct fp_event *event, struct fp_item *item)
{
	struct fp_message message = {.app = (uint8_t)event->app, .direction = event->direction != 0,
				     .status = (uint32_t)event->status};
	const struct {
		struct fp_str text;
		uint32_t *number;
	} texts[] = {{event->name, &message.name}, {event->method, &message.method}, {event->url, &message.url},
		     {event->host_name, &message.host_name}, {event->call_id, &message.call_id}, {event->rows, &message.rows}};

	/* protocols that we do not know would stand under the name of one that we do */
	if (event->app == FP_APP_UNKNOWN || !fp_app_name(narrow(event->app)) || (event->app == FP_APP_HTTP_RESPONSE && !event->call_id.len))
		return 0;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		int r = fp_evidence_text(evidence, texts[i].text, texts[i].number);

		if (r < 0)
			return r;
	}
	if (!message.name && message.app == FP_APP_HTTP_REQUEST) {
		int r = fp_evidence_url(evidence, event, &message.name);

		if (r < 0)
			return r;
	}
	if (!message.name && (message.app == FP_APP_OPAQUE || message.app == FP_APP_HTTP2)) {
		int r = fp_evidence_server(evidence, event, item, &message.name);

		if (r < 0)
			return r;
	}
	if (message.app == FP_APP_REDIS && message.name) {
		int r = fp_evidence_key(evidence, event, item, &message.name);

		if (r < 0)
			return r;
	}
	if (!FP_ARRAY_ROOM(evidence->messages, evidence->n_messages, evidence->messages_room))
		return -ENOMEM;
	item->detail = (uint32_t)evidence->n_messages;
	evidence->messages[evidence->n_messages++] = message;
	return 1;
}

static int add_begin(struct fp_evidence *evidence, const struct fp_event *event, struct fp_item *item)
{
	struct fp_begin begin;
	const struct {
		struct fp_str text;
		uint32_t *number;
	} texts[] = {{event->call_id, &begin.call_id}, {event->traceparent, &begin.traceparent},
		     {event->method, &begin.method}, {event->url, &begin.url}, {event->forwarded, &begin.forwarded},
		     {event->peer, &begin.peer}};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		int r = fp_evidence_text(evidence, texts[i].text, texts[i].number);

		if (r < 0)
			return r;
	}
	if (!FP_ARRAY_ROOM(evidence->begins, evidence->n_begins, evidence->begins_room))
		return -ENOMEM;
	item->detail = (uint32_t)evidence->n_begins;
	evidence->begins[evidence->n_begins++] = begin;
	return 1;
}

static int add_fork(struct fp_evidence *evidence, const struct fp_event *event, struct fp_item *item)
{
	const struct fp_source *source = &evidence->sources[evidence->batches[item->batch].source];
	int r;

	if (event->child_tgid == event->tgid || event->child_tgid == 0)
		return 0;
	r = fp_evidence_process(evidence, source->boot, source->host, event->child_start, event->child_tgid, &item->detail);
	return r < 0 ? r : 1;
}

/* Who is acted upon; a process that nobody could name makes no edge. */
static int add_target(struct fp_evidence *evidence, const struct fp_event *event, struct fp_item *item)
{
	const struct fp_source *source = &evidence->sources[evidence->batches[item->batch].source];
	int r;

	if (!event->target_tgid || event->result < 0)
		return 0;
	item->value = (uint32_t)(event->type == FP_EVENT_TYPE_SIGNAL ? event->signal : event->operation);
	r = fp_evidence_process(evidence, source->boot, source->host, event->target_start, event->target_tgid, &item->detail);
	return r < 0 ? r : item->detail != item->process;
}

/* A mark that was not believed: why, and which. */
static int add_refused(struct fp_evidence *evidence, const struct fp_event *event, struct fp_item *item)
{
	int r = fp_evidence_text(evidence, event->refused, &item->detail);

	evidence->processes[item->process].refused++;
	evidence->processes[item->process].refusal = item->detail;
	item->value = narrow(event->mark);
	return r < 0 ? r : 1;
}

/* What was tried goes into `path`: a name, an address, a process. */
static int add_failed(struct fp_evidence *evidence, const struct fp_event *event, struct fp_item *item)
{
	char text[FP_ADDRESS_TEXT_SIZE] = "";
	int r;

	if (event->result >= 0 || event->usual)
		return 0;
	item->value = narrow(event->operation);
	if (event->path.len)
		return 1;
	if (event->remote_port || event->remote_hi || event->remote_lo)
		fp_endpoint_text(event->remote_hi, event->remote_lo, (uint16_t)event->remote_port, text);
	else if (event->target_tgid)
		snprintf(text, sizeof(text), "process %" PRIu32, narrow(event->target_tgid));
	r = fp_evidence_text(evidence, (struct fp_str){text, strlen(text)}, &item->path);
	return r < 0 ? r : 1;
}

/* Of files of the kernel's views, a process's memory is one. */
static bool is_memory(const struct fp_event *event)
{
	static const char end[] = "/mem";
	size_t len = sizeof(end) - 1;

	return event->type == FP_EVENT_TYPE_OPEN && event->object == FP_OBJECT_PROC && event->result >= 0 &&
	       event->path.len > len && memcmp(event->path.data + event->path.len - len, end, len) == 0;
}

static int fill_in(struct fp_evidence *evidence, struct fp_str text, uint32_t *text_number)
{
	return *text_number ? 0 : fp_evidence_text(evidence, text, text_number);
}

/* What the agent says of a container; a second word about it fills in what the first left open, and overrules nothing. */
static int describe_container(struct fp_evidence *evidence, const struct fp_event *event, uint32_t host, uint32_t number)
{
	struct fp_container *container = &evidence->containers[number];
	int r;

	if (!container->known)
		container->host = host;
	container->known = true;
	r = fill_in(evidence, event->container, &container->id);
	if (r == 0)
		r = fill_in(evidence, event->function, &container->function);
	if (r == 0)
		r = fill_in(evidence, event->image, &container->image);
	if (r == 0)
		r = fill_in(evidence, event->cgroup_path, &container->path);
	return r;
}

/* Who came from another cgroup, and who moved him. */
static int add_moved(struct fp_evidence *evidence, const struct fp_event *event, struct fp_item *item)
{
	int r = add_exec(evidence, event, item);

	item->value = narrow(event->mover_tgid);
	return r < 0 ? r : fp_evidence_text(evidence, event->mover, &item->new_path) < 0 ? -ENOMEM : r;
}

/* Who went to another cgroup, which one, and who moved him. */
static int add_left(struct fp_evidence *evidence, const struct fp_event *event, struct fp_item *item)
{
	int r = fp_evidence_text(evidence, event->cgroup_path, &item->path);

	item->value = narrow(event->mover_tgid);
	if (r >= 0)
		r = fp_evidence_text(evidence, event->mover, &item->new_path);
	return r < 0 ? -ENOMEM : 1;
}

/* What is special to the type.  1 keep the item, 0 leave it, or an error. */
static int add_own_fields(struct fp_evidence *evidence, const struct fp_event *event, struct fp_item *item)
{
	uint64_t object = event->object;
	int r;

	switch (event->type) {
	case FP_EVENT_TYPE_FORK:
		return add_fork(evidence, event, item);
	case FP_EVENT_TYPE_SIGNAL:
	case FP_EVENT_TYPE_TRACE:
		return add_target(evidence, event, item);
	case FP_EVENT_TYPE_EXEC:
	case FP_EVENT_TYPE_PRESENT:
		return add_exec(evidence, event, item);
	case FP_EVENT_TYPE_MOVED:
		return add_moved(evidence, event, item);
	case FP_EVENT_TYPE_LEFT:
		return add_left(evidence, event, item);
	case FP_EVENT_TYPE_MAPPED:
		r = fp_evidence_file(evidence, event, object, item);
		item->value = (uint32_t)event->protection | (event->flags & 1 ? FP_ITEM_SHARED : 0); /* MAP_SHARED */
		item->bytes = 0;
		return r < 0 ? r : item->kind == FP_ITEM_FILE;
	case FP_EVENT_TYPE_EXIT:
		return event->flags & 1 ? 1 : 0;
	case FP_EVENT_TYPE_RENAME:
	case FP_EVENT_TYPE_UNLINK:
	case FP_EVENT_TYPE_CHMOD:
	case FP_EVENT_TYPE_LINK:
	case FP_EVENT_TYPE_MAKE:
	case FP_EVENT_TYPE_CHOWN:
	case FP_EVENT_TYPE_XATTR:
	case FP_EVENT_TYPE_TRUNCATE:
		item->value = (uint32_t)event->mode;
		item->bytes = 0; /* a length is not a flow */
		item->naming = (uint8_t)event->naming;
		/* these calls give names; whose inode nobody knows is a file all the same */
		if (event->object == FP_OBJECT_OTHER && !event->ino)
			object = FP_OBJECT_FILE;
		/* fall through */
	case FP_EVENT_TYPE_OPEN:
	case FP_EVENT_TYPE_READ:
	case FP_EVENT_TYPE_WRITE:
	case FP_EVENT_TYPE_LOAD:
	case FP_EVENT_TYPE_MAP:
		if (event->type == FP_EVENT_TYPE_MAP) {
			item->value = (uint32_t)event->protection;
			item->bytes = 0;
		}
		r = event->result < 0 ? 0 : fp_evidence_file(evidence, event, object, item);
		return r < 0 ? r : item->kind != FP_ITEM_PLAIN || fp_rule_is_own(item->rule) || is_memory(event);
	case FP_EVENT_TYPE_HELD:
		r = fp_evidence_file(evidence, event, object, item);
		return r < 0 ? r : item->kind == FP_ITEM_FILE;
	case FP_EVENT_TYPE_CONNECTED:
		if (event->family != AF_UNIX && !event->remote_port) /* it listens, or waits for anybody */
			return 0;
		r = fp_evidence_socket(evidence, event, item);
		return r < 0 ? r : item->kind != FP_ITEM_PLAIN;
	case FP_EVENT_TYPE_BIND:
	case FP_EVENT_TYPE_LISTEN:
		item->value = narrow(event->local_port);
		return event->result >= 0 && event->local_port ? 1 : 0;
	case FP_EVENT_TYPE_CONNECT:
	case FP_EVENT_TYPE_ACCEPT:
	case FP_EVENT_TYPE_SEND:
	case FP_EVENT_TYPE_RECEIVE:
		r = fp_evidence_socket(evidence, event, item);
		return r < 0 ? r : item->kind != FP_ITEM_PLAIN;
	case FP_EVENT_TYPE_LOOKUP:
		return fp_evidence_lookup(evidence, event);
	case FP_EVENT_TYPE_MESSAGE:
		r = fp_evidence_socket(evidence, event, item);
		return r < 0 ? r : add_message(evidence, event, item);
	case FP_EVENT_TYPE_BEGIN:
		return item->unit < FP_UNIT_FIRST_REQUEST ? -EINVAL : add_begin(evidence, event, item);
	case FP_EVENT_TYPE_END:
		item->value = event->status > 999 ? 0 : (uint32_t)event->status;
		return item->unit < FP_UNIT_FIRST_REQUEST ? -EINVAL : 1;
	case FP_EVENT_TYPE_LOST:
		item->value = fp_loss_name(narrow(event->cause)) ? (uint32_t)event->cause : FP_LOSS_INVALID;
		item->bytes = event->lost;
		return event->lost ? 1 : 0;
	case FP_EVENT_TYPE_REFUSED:
		return add_refused(evidence, event, item);
	case FP_EVENT_TYPE_CONTROL:
	case FP_EVENT_TYPE_MOUNT:
		return add_control(evidence, event, item);
	case FP_EVENT_TYPE_FAILED:
		return add_failed(evidence, event, item);
	default:
		return 0;
	}
}

static void note_first(struct fp_process *process, const struct fp_event *event, const struct fp_item *item)
{
	if (process->seen &&
	    (process->first_time < item->time || (process->first_time == item->time && process->first_seq <= item->seq)))
		return;
	process->seen = true;
	process->first_time = item->time;
	process->first_seq = item->seq;
	process->first_unit = item->unit;
	process->first_exec = item->exec_id;
	process->first_candidates = item->candidates;
	process->first_type = (uint8_t)event->type;
}

static int32_t narrow_result(int64_t value)
{
	return value < -INT32_MAX ? -INT32_MAX : value > INT32_MAX ? INT32_MAX : (int32_t)value;
}

static int fill_common(struct fp_evidence *evidence, const struct fp_event *event, uint32_t index, struct fp_item *item)
{
	const struct fp_source *source;
	int r;

	*item = (struct fp_item){
		.time = event->time, .start = event->start, .last = event->last, .seq = event->seq, .bytes = event->bytes,
		.batch = (uint32_t)evidence->n_batches - 1, .index = index, .exec_id = narrow(event->exec_id),
		.count = event->count ? narrow(event->count) : 1, 
		.flags = ((uint32_t)event->flags & ~FP_ITEM_CREATED) | (event->flags & FP_OPEN_CREATED ? FP_ITEM_CREATED : 0),
		.result = narrow_result(event->result), .cpu = event->cpu > UINT16_MAX ? UINT16_MAX : (uint16_t)event->cpu,
		.type = (uint8_t)event->type,
		.attribution = fp_attribution_name(narrow(event->attribution)) ? (uint8_t)event->attribution : 0,
		.rule = fp_rule_name(narrow(event->rule)) ? (uint8_t)event->rule : 0};
	if (item->last < item->time)
		item->last = item->time;
	/* nothing takes effect before its process exists, nor after it was seen to end */
	if (!item->start || item->start > item->time)
		item->start = item->time;
	if (item->start < event->process_start && event->process_start <= item->time)
		item->start = event->process_start;
	source = &evidence->sources[evidence->batches[item->batch].source];
	r = fp_evidence_process(evidence, source->boot, source->host, event->process_start, event->tgid, &item->process);
	if (r == 0)
		r = fp_evidence_container(evidence, source->boot, event->cgroup, &item->container);
	if (r == 0)
		r = fp_evidence_unit(evidence, event, &item->unit);
	if (r == 0 && item->unit == FP_UNIT_IS_AMBIGUOUS) {
		item->attribution = FP_ATTRIBUTION_AMBIGUOUS;
		r = fp_intern_add(&evidence->texts, event->candidates.len ? event->candidates.data : "",
				  event->candidates.len / FP_REQUEST_ID_SIZE * FP_REQUEST_ID_SIZE, &item->candidates);
	}
	if (r >= 0)
		r = fp_evidence_text(evidence, event->path, &item->path);
	if (r >= 0)
		r = fp_evidence_text(evidence, event->new_path, &item->new_path);
	return r < 0 ? r : 0;
}

int fp_evidence_add(struct fp_evidence *evidence, const struct fp_event *event, uint32_t index)
{
	struct fp_item item;
	int r;

	if (!fp_event_info(event->type)) {
		evidence->n_events++;
		evidence->n_invalid++;
		return 0;
	}
	if (evidence->n_items >= evidence->limits.items)
		return -EFBIG;
	r = fill_common(evidence, event, index, &item);
	if (r < 0)
		return r;
	evidence->n_events++;
	if (event->type == FP_EVENT_TYPE_CONTAINER)
		return describe_container(evidence, event, fp_item_source(evidence, &item)->host, item.container);
	if (event->type == FP_EVENT_TYPE_REPLICA)
		return evidence->containers[item.container].replica ?
			       0 : fp_evidence_text(evidence, event->replica, &evidence->containers[item.container].replica);
	if (event->type != FP_EVENT_TYPE_LOST && event->type != FP_EVENT_TYPE_MOVED &&
	    event->type != FP_EVENT_TYPE_LEFT && !fp_event_is_state(event->type) &&
	    !event->usual)
		note_first(&evidence->processes[item.process], event, &item);
	r = add_own_fields(evidence, event, &item);
	if (r == -EINVAL) {
		evidence->n_invalid++;
		return 0;
	}
	if (r <= 0)
		return r;
	if (!FP_ARRAY_ROOM(evidence->items, evidence->n_items, evidence->items_room))
		return -ENOMEM;
	evidence->items[evidence->n_items++] = item;
	return 1;
}
