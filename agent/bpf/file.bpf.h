/*
 * Files, pipes and devices: open, read, write, chmod by descriptor and
 * executable mappings.  Each runs at the exit of its system call, when the
 * descriptor it returned or was given names the object that was really used.
 */
#ifndef FP_AGENT_BPF_FILE_H
#define FP_AGENT_BPF_FILE_H

#include "agent/bpf/path.bpf.h"

#define AT_FDCWD (-100)
#define FMODE_CREATED 0x100000
#define PROT_EXEC 4
#define MAP_ANONYMOUS 0x20

struct opened {
	__u64 cgroup;
	__u64 file, fd, flags;
	struct identity who;
};

static __always_inline void fill_open(struct fp_record_open *r, struct opened *opened)
{
	struct file *file = (void *)opened->file;
	struct inode *inode = FIELD(struct file, file, f_inode);

	r->fd = opened->fd;
	r->object = opened->who.object;
	r->dev = opened->who.dev;
	r->ino = opened->who.ino;
	r->gen = opened->who.gen;
	r->flags = opened->flags;
	if (FIELD(struct file, file, f_mode) & FMODE_CREATED)
		r->flags |= FP_OPEN_CREATED;
	r->mode = FIELD(struct inode, inode, i_mode) & 07777;
}

/* The functions that make a record are of their own for the verifier, like walk_path_of. */

/* 0: its path is not short, and nothing was told. */
__noinline int record_short_open(struct opened *opened)
{
	struct {
		struct fp_record_open r;
		struct short_room room_;
	} *record;
	__u32 begin;
	int may;

	if (!opened)
		return 1;
	may = prepare_record(opened->cgroup, sizeof(*record), WITH_WORD);
	record = may & IS_ALLOWED ? bpf_ringbuf_reserve(&ring, sizeof(*record), 0) : 0;
	if (!record) {
		refuse(opened->cgroup, may & HAS_ROOM);
		return 1;
	}
	begin = walk_short_path(&record->room_, opened->file);
	if (!begin) {
		bpf_ringbuf_discard(record, BPF_RB_NO_WAKEUP);
		return 0;
	}
	start_record(&record->r.head, FP_RECORD_TYPE_OPEN, sizeof(*record), opened->cgroup, opened->fd);
	fill_open(&record->r, opened);
	record->r.path.offset = sizeof(record->r) + begin;
	record->r.path.len = SHORT_PATH - begin;
	emit(record);
	return 1;
}

__noinline int record_long_open(struct opened *opened)
{
	if (!opened)
		return 0;
	BEGIN_RECORD(record, open, OPEN, opened->cgroup, WALK_ROOM, 0, opened->fd);
	fill_open(&record->r, opened);
	PUT_PATH(record, (struct file *)opened->file);
	emit(record);
	return 0;
}

__noinline int record_open_file(__u64 cgroup, __u64 of_file, long fd, __u64 flags)
{
	struct opened opened = {.cgroup = cgroup, .file = of_file, .fd = fd, .flags = flags};

	if (!of_file)
		return 0;
	identify_file((struct file *)of_file, &opened.who);
	if (opened.who.object == FP_OBJECT_KIND_OTHER)
		return 0;
	return record_short_open(&opened) ? 0 : record_long_open(&opened);
}

static __always_inline int record_open(__u64 cgroup, long fd, __u64 flags)
{
	return record_open_file(cgroup, (__u64)file_of(fd), fd, flags);
}

#define MAJOR(device) ((device) >> 20)
#define MINOR(device) ((device) & 0xfffff)
#define MAJOR_MEMORY 1
#define MAJOR_TERMINAL 5
#define MINOR_MULTIPLEXER 2

/* What swallows all, or gives what nobody has put there: null, zero, full, random, urandom. */
static __always_inline int is_dull(__u32 device)
{
	return MAJOR(device) == MAJOR_MEMORY && (1u << (MINOR(device) & 31) & (1u << 3 | 1u << 5 | 1u << 7 | 1u << 8 | 1u << 9));
}

/* The end of a terminal that serves it has the same file for all: it is known by the other one, which has a name. */
static __always_inline struct inode *far_end(struct file *file)
{
	struct tty_file_private *kept = BPF_CORE_READ(file, private_data);
	struct dentry *name = BPF_CORE_READ(kept, tty, link, driver_data);

	return name ? BPF_CORE_READ(name, d_inode) : 0;
}

/* Who it is that bytes went to or came from; 0: nobody. */
static __always_inline int identify_moved(struct file *file, struct identity *who)
{
	struct inode *inode;
	__u32 device;

	identify_file(file, who);
	if (who->object != FP_OBJECT_KIND_DEVICE)
		return 1;
	inode = BPF_CORE_READ(file, f_inode);
	device = BPF_CORE_READ(inode, i_rdev);
	if (is_dull(device) && (BPF_CORE_READ(inode, i_mode) & S_IFMT) == 0020000)
		return 0;
	if (MAJOR(device) == MAJOR_TERMINAL && MINOR(device) == MINOR_MULTIPLEXER) {
		inode = far_end(file);
		if (inode)
			identify_inode((__u64)inode, who);
	}
	return 1;
}

/* Eventfds alone of what has no kind are written eight bytes to. */
static __always_inline int note_signal(long bytes)
{
	struct thread_state *state = bpf_task_storage_get(&threads, bpf_get_current_task_btf(), 0, 0);

	if (state && bytes == sizeof(__u64))
		state->signals = 1;
	return 0;
}

/* read and write on anything but sockets; `fd` with FP_FD_IN_DOUBT, if it is */
__noinline int record_transfer(__u64 cgroup, long bytes, struct identity *who, __u64 fd, __u64 writes)
{
	if (!who)
		return 0;
	if (who->object == FP_OBJECT_KIND_OTHER && writes)
		note_signal(bytes);
	/* what nobody needs to know of, unless it was something else */
	if (who->object == FP_OBJECT_KIND_OTHER && !(fd & FP_FD_IN_DOUBT))
		return 0;
	/* read and write have the same fields; only the type differs */
	BEGIN_RECORD(record, read, READ, cgroup, 0, IS_BULK, bytes);
	if (writes)
		record->r.head.type = FP_RECORD_TYPE_WRITE;
	record->r.fd = fd;
	PUT_OBJECT(record, *who);
	record->r.bytes = bytes;
	emit(record);
	return 0;
}

/*
 * A name as user space passed it, made absolute: directory (of a descriptor or
 * the working directory) and string stand next to each other in the room, the
 * directory written backwards, the string forwards from the same place.  Returns
 * the string's length.
 */
static __always_inline long write_any_name(char *room, __u32 base, struct fp_record_str *str, int dirfd,
					   const char *string, int in_kernel)
{
	struct task_struct *task = (void *)bpf_get_current_task_btf();
	char *name = room + PATH_ROOM;
	__u32 begin = PATH_ROOM;
	struct path path = {};
	struct file *dir;
	long len;

	if (in_kernel)
		len = bpf_probe_read_kernel_str(name, NAME_ROOM * 2, string);
	else
		len = bpf_probe_read_user_str(name, NAME_ROOM * 2, string);
	if (len <= 0 || len > NAME_ROOM * 2) {
		name[0] = 0;
		len = 1;
	}
	if (name[0] != '/') {
		if (dirfd == AT_FDCWD) {
			path.mnt = BPF_CORE_READ(task, fs, pwd.mnt);
			path.dentry = BPF_CORE_READ(task, fs, pwd.dentry);
		} else {
			dir = file_of(dirfd);
			path.mnt = BPF_CORE_READ(dir, f_path.mnt);
			path.dentry = BPF_CORE_READ(dir, f_path.dentry);
		}
		room[PATH_ROOM - 1] = '/';
		begin = write_path(room, PATH_ROOM - 1, &path);
	}
	str->offset = base + begin;
	str->len = PATH_ROOM - begin + len - 1;
	return len - 1;
}

static __always_inline long write_name(char *room, __u32 base, struct fp_record_str *str, int dirfd, const char *user)
{
	return write_any_name(room, base, str, dirfd, user, 0);
}
#define NAMED_ROOM (PATH_ROOM + 2 * NAME_ROOM)

/* A name as the process has it, which filled its room (as write_any_name() says its length). */
static __always_inline void count_cut_name(long len)
{
	if (len >= 2 * NAME_ROOM - 1)
		count_loss(container_cgroup(), FP_LOSS_CAUSE_TRUNCATED);
}

__noinline int record_load(__u64 cgroup, __u64 of_file)
{
	struct file *file = (void *)of_file;
	struct identity who;

	identify_file(file, &who);
	BEGIN_RECORD(record, load, LOAD, cgroup, WALK_ROOM, 0, 0);
	PUT_OBJECT(record, who);
	record->r.naming = FP_NAMING_KIND_RESOLVED;
	PUT_PATH(record, file);
	emit(record);
	return 0;
}

#endif
