/*
 * What calls for a look: deeds of a function against the watchdog that says what
 * belongs to which request, words of it that were not believed, and what only
 * somebody does who wants out of the container or above his rights.  Each is a
 * node of its own for a kind, a container and a unit, with an edge from every
 * process that did it; the edge leads to the event.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "stitcher/build.h"

/* A container's first process, by its number in there; a watchdog that was there before the recording is taken for it. */
#define FIRST_PID 1

/* What is guarded: a TCP or UDP port of the container, a process by its number in the container. */
enum guarded { GUARDED_PORT, GUARDED_PID };

static int guard(struct fp_build *build, uint32_t container, enum guarded what, uint32_t number)
{
	uint32_t key[3] = {container, what, number}, place;
	int r = fp_intern_add(&build->guarded, key, sizeof(key), &place);

	return r < 0 ? r : 0;
}

static bool is_guarded(const struct fp_build *build, uint32_t container, enum guarded what, uint32_t number)
{
	uint32_t key[3] = {container, what, number};

	return fp_intern_find(&build->guarded, key, sizeof(key)) != FP_NONE;
}

/* How the item's process became what it is; NULL: not seen. */
static const struct fp_exec *exec_of(const struct fp_build *build, const struct fp_item *item)
{
	uint32_t key[2] = {item->process, item->exec_id}, image = fp_intern_find(&build->images_by, key, sizeof(key));

	return image == FP_NONE ? NULL :
				  &build->evidence->execs[build->evidence->items[build->images[image].exec].detail];
}

static uint32_t pid_of(const struct fp_build *build, const struct fp_item *item)
{
	const struct fp_exec *exec = exec_of(build, item);

	return exec && exec->pid ? exec->pid : FIRST_PID;
}

int fp_build_watchdogs(struct fp_build *build)
{
	const struct fp_evidence *evidence = build->evidence;
	int r = 0;

	for (size_t i = 0; r >= 0 && i < evidence->n_items; i++) {
		const struct fp_item *item = &evidence->items[i];

		if (!build->processes[item->process].is_watchdog)
			continue;
		if (item->type == FP_EVENT_TYPE_LISTEN)
			r = guard(build, item->container, GUARDED_PORT, item->value);
		else if (item->type == FP_EVENT_TYPE_BEGIN)
			r = guard(build, item->container, GUARDED_PID, pid_of(build, item));
	}
	return r;
}

static bool is_watchdog(const struct fp_build *build, uint32_t process)
{
	return build->processes[process].is_watchdog;
}

/* Takes "/<number>" off the end of the first `len` characters. */
static bool take_number(const char *path, size_t *len, uint32_t *ret_number)
{
	size_t at = *len;

	while (at > 0 && path[at - 1] >= '0' && path[at - 1] <= '9')
		at--;
	if (at == *len || *len - at > 9 || at == 0 || path[at - 1] != '/')
		return false;
	*ret_number = (uint32_t)strtoul(path + at, NULL, 10);
	*len = at - 1;
	return true;
}

/* The process whose memory it is: .../<pid>/mem or .../<pid>/task/<tid>/mem.  0: no such path. */
static uint32_t pid_of_path(const char *path)
{
	static const char mem[] = "/mem", task[] = "/task";
	size_t len = strlen(path);
	uint32_t pid;

	if (len < sizeof(mem) - 1 || strcmp(path + len - (sizeof(mem) - 1), mem) != 0)
		return 0;
	len -= sizeof(mem) - 1;
	if (!take_number(path, &len, &pid))
		return 0;
	if (len < sizeof(task) - 1 || memcmp(path + len - (sizeof(task) - 1), task, sizeof(task) - 1) != 0)
		return pid;
	len -= sizeof(task) - 1;
	return take_number(path, &len, &pid) ? pid : 0;
}

static enum fp_finding of_memory(const struct fp_build *build, const struct fp_item *item, json_t *why)
{
	const char *path = fp_text(build->evidence, item->path);
	uint32_t pid = item->kind == FP_ITEM_PLAIN ? pid_of_path(path) : 0;

	if (!pid || !is_guarded(build, item->container, GUARDED_PID, pid))
		return 0;
	json_object_set_new(why, "path", json_string(path));
	return (item->flags & O_ACCMODE) == O_RDONLY ? FP_FINDING_WATCHDOG_READ : FP_FINDING_WATCHDOG_MEMORY;
}

static enum fp_finding of_act(const struct fp_build *build, const struct fp_item *item, json_t *why)
{
	if (!is_watchdog(build, item->detail))
		return 0;
	if (item->type == FP_EVENT_TYPE_SIGNAL) {
		const char *name = sigabbrev_np((int)item->value);

		json_object_set_new(why, "signal", name ? json_sprintf("SIG%s", name) : json_integer(item->value));
		return FP_FINDING_WATCHDOG_SIGNALLED;
	}
	json_object_set_new(why, "operation", json_string(fp_operation_name(item->value) ?: "unknown"));
	return item->value == FP_OPERATION_VM_READ ? FP_FINDING_WATCHDOG_READ : FP_FINDING_WATCHDOG_CONTROLLED;
}

static enum fp_finding of_port(const struct fp_build *build, const struct fp_item *item, json_t *why)
{
	const struct fp_evidence *evidence = build->evidence;
	uint32_t port = item->value;

	if (item->type == FP_EVENT_TYPE_ACCEPT) {
		if (item->kind != FP_ITEM_STREAM || item->result < 0)
			return 0;
		port = evidence->endpoints[evidence->paths[evidence->streams[item->object].path].from].port;
	}
	if (!is_guarded(build, item->container, GUARDED_PORT, port))
		return 0;
	json_object_set_new(why, "port", json_integer(port));
	json_object_set_new(why, "operation", json_string(fp_event_info(item->type)->name));
	return FP_FINDING_WATCHDOG_PORT;
}

static enum fp_finding of_refusal(const struct fp_build *build, const struct fp_item *item, json_t *why)
{
	static const char *const marks[] = {
#define FP_MARK(number, NAME, doc) [number] = #NAME,
#include "schema/mark.def"
	};

	json_object_set_new(why, "reason", json_string(fp_text(build->evidence, item->detail)));
	if (item->value < sizeof(marks) / sizeof(marks[0]) && marks[item->value])
		json_object_set_new(why, "mark", json_string(marks[item->value]));
	return item->value == FP_MARK_ENTER ? FP_FINDING_FALSE_ASSIST : FP_FINDING_REFUSED_MARK;
}

/* Only another thread, or another process that shares the memory, can change a name under a call that uses it. */
static enum fp_finding of_naming(const struct fp_build *build, const struct fp_item *item, json_t *why)
{
	json_object_set_new(why, "operation", json_string(fp_event_info(item->type)->name));
	json_object_set_new(why, "path", json_string(fp_text(build->evidence, item->path)));
	return FP_FINDING_CHANGED_NAME;
}

static enum fp_finding kind_of_control(enum fp_operation operation)
{
	switch (operation) {
	case FP_OPERATION_CREDENTIALS:
	case FP_OPERATION_CAPSET:
		return FP_FINDING_IDENTITY;
	case FP_OPERATION_UNSHARE:
	case FP_OPERATION_SETNS:
	case FP_OPERATION_PIVOT_ROOT:
	case FP_OPERATION_CHROOT:
		return FP_FINDING_NAME_SPACES;
	case FP_OPERATION_MOUNT:
	case FP_OPERATION_UMOUNT:
	case FP_OPERATION_MOVE_MOUNT:
	case FP_OPERATION_OPEN_TREE:
	case FP_OPERATION_NEW_MOUNT:
	case FP_OPERATION_MOUNT_OPTION:
	case FP_OPERATION_MAKE_MOUNT:
	case FP_OPERATION_PICK_MOUNT:
	case FP_OPERATION_SET_MOUNT:
		return FP_FINDING_MOUNTS;
	case FP_OPERATION_BPF:
	case FP_OPERATION_PERF:
	case FP_OPERATION_USERFAULT:
	case FP_OPERATION_KEYS:
	case FP_OPERATION_MODULE:
	case FP_OPERATION_KEXEC:
	case FP_OPERATION_SYSTEM:
	case FP_OPERATION_CLOCK:
	case FP_OPERATION_FANOTIFY:
	case FP_OPERATION_PERSONALITY:
	case FP_OPERATION_DEVICE:
		return FP_FINDING_KERNEL;
	default: /* by these a process gives rights up: seccomp, landlock, prctl */
		return 0;
	}
}

/* Without rights at its start, and with some now. */
static bool is_gain(const struct fp_build *build, const struct fp_item *item, const struct fp_control *control)
{
	const struct fp_exec *exec = exec_of(build, item);

	return exec && exec->uid && item->result >= 0 && (control->euid == 0 || control->capabilities);
}

static void add_name(json_t *why, const char *key, const char *name)
{
	if (*name)
		json_object_set_new(why, key, json_string(name));
}

/* As `file` nodes are told apart: a name can have become another thing's. */
static void add_object(json_t *why, const char *key, uint64_t dev, uint64_t ino)
{
	if (ino)
		json_object_set_new(why, key, json_pack("{s:I, s:I}", "dev", (json_int_t)dev, "ino", (json_int_t)ino));
}

static void describe_control(const struct fp_build *build, const struct fp_item *item, const struct fp_control *control,
			     json_t *why)
{
	const struct fp_evidence *evidence = build->evidence;
	const char *error = item->result < 0 ? strerrorname_np(-item->result) : NULL;

	json_object_set_new(why, "operation", json_string(fp_operation_name(item->value)));
	add_name(why, "path", fp_text(evidence, item->path));
	add_name(why, "new_path", fp_text(evidence, item->new_path));
	add_name(why, "attribute", fp_text(evidence, control->attribute));
	if (item->flags)
		json_object_set_new(why, "flags", json_sprintf("0x%" PRIx32, item->flags));
	if (item->result < 0)
		json_object_set_new(why, "error", error ? json_string(error) : json_integer(-item->result));
	add_object(why, "object", control->dev, control->ino);
	add_object(why, "place", control->place_dev, control->place_ino);
	if (item->value != FP_OPERATION_CREDENTIALS && item->value != FP_OPERATION_CAPSET)
		return;
	json_object_set_new(why, "uid", json_integer(control->uid));
	json_object_set_new(why, "euid", json_integer(control->euid));
	json_object_set_new(why, "capabilities", json_sprintf("0x%" PRIx64, control->capabilities));
}

static enum fp_finding of_control(const struct fp_build *build, const struct fp_item *item, json_t *why)
{
	const struct fp_control *control = &build->evidence->controls[item->detail];
	enum fp_finding finding = kind_of_control(item->value);

	if (!finding || (finding == FP_FINDING_IDENTITY && !is_gain(build, item, control)))
		return 0;
	describe_control(build, item, control, why);
	return finding;
}

/* A child that was made with name spaces of its own. */
#define OWN_NAME_SPACES \
	(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWTIME)

static enum fp_finding of_fork(const struct fp_item *item, json_t *why)
{
	json_object_set_new(why, "operation", json_string("clone"));
	json_object_set_new(why, "flags", json_sprintf("0x%" PRIx32, item->flags & OWN_NAME_SPACES));
	return FP_FINDING_NAME_SPACES;
}

/* 0: nothing; what can be said of it goes into `why`. */
static enum fp_finding find(const struct fp_build *build, const struct fp_item *item, json_t *why)
{
	if (item->naming == FP_NAMING_CHANGED)
		return of_naming(build, item, why);
	switch (item->type) {
	case FP_EVENT_TYPE_REFUSED:
		return of_refusal(build, item, why);
	case FP_EVENT_TYPE_SIGNAL:
	case FP_EVENT_TYPE_TRACE:
		return of_act(build, item, why);
	case FP_EVENT_TYPE_OPEN:
		return of_memory(build, item, why);
	case FP_EVENT_TYPE_CONTROL:
	case FP_EVENT_TYPE_MOUNT:
		return of_control(build, item, why);
	case FP_EVENT_TYPE_FORK:
		return of_fork(item, why);
	default:
		return of_port(build, item, why);
	}
}

/* Can the item's type show anything?  Most cannot, and are asked at no cost. */
static bool may_show(const struct fp_item *item)
{
	if (item->naming == FP_NAMING_CHANGED)
		return true;
	switch (item->type) {
	case FP_EVENT_TYPE_REFUSED:
	case FP_EVENT_TYPE_SIGNAL:
	case FP_EVENT_TYPE_TRACE:
	case FP_EVENT_TYPE_BIND:
	case FP_EVENT_TYPE_LISTEN:
	case FP_EVENT_TYPE_ACCEPT:
		return true;
	case FP_EVENT_TYPE_OPEN:
		return item->kind == FP_ITEM_PLAIN;
	/* before the first request whoever makes the container does all this */
	case FP_EVENT_TYPE_CONTROL:
	case FP_EVENT_TYPE_MOUNT:
		return item->unit != FP_UNIT_IS_STARTUP;
	case FP_EVENT_TYPE_FORK:
		return item->flags & OWN_NAME_SPACES && item->unit != FP_UNIT_IS_STARTUP;
	default:
		return false;
	}
}

static int add_finding(struct fp_build *build, const struct fp_item *item, enum fp_finding finding, uint32_t attributes)
{
	struct fp_op op = fp_build_op(build, item, FP_EDGE_SHOWS);
	uint32_t process, node;
	int r = fp_build_enter(build, item, &process);

	if (r >= 0)
		r = fp_graph_node(&build->graph, FP_NODE_FINDING, finding, item->container, item->unit, &node);
	if (r < 0)
		return r;
	fp_graph_touch(&build->graph, node, fp_item_container(build, item));
	op.bytes = 0;
	op.attributes = attributes;
	return fp_build_add(build, op, process, node);
}

int fp_build_finding(struct fp_build *build, const struct fp_item *item)
{
	enum fp_finding finding;
	uint32_t attributes;
	json_t *why;
	int r;

	/* what the watchdog itself does or says is wrong at most because a record of it was lost */
	if (!may_show(item) || is_watchdog(build, item->process))
		return 0;
	why = json_object();
	if (!why)
		return -ENOMEM;
	finding = find(build, item, why);
	if (!finding) {
		json_decref(why);
		return 0;
	}
	r = fp_build_attributes(build, why, &attributes);
	return r < 0 ? r : add_finding(build, item, finding, attributes);
}
