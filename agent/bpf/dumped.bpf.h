/*
 * A process that dies can write all its memory to a file, as /proc/sys/kernel/core_pattern says; the kernel does it in
 * the thread that the signal came to, and there is no call of it.  But a file that is written has its times set, of
 * which the kernel tells (touched.bpf.h); so the last one that a thread that dumps has touched is where the memory went.
 * It is told, as opened and written, before the exit.  Of a pipe to a program no time is set: that its memory
 * went there only the exit's status tells (WCOREDUMP).
 */
#ifndef FP_AGENT_BPF_DUMPED_H
#define FP_AGENT_BPF_DUMPED_H

#include "agent/bpf/named.bpf.h"

__noinline int record_dump_opened(__u64 cgroup, __u64 of_inode, struct identity *who)
{
	struct inode *inode = (void *)of_inode;
	struct dentry *dentry;
	__u32 begin = PATH_ROOM;
	__u64 mnt;

	if (!who)
		return 0;
	BEGIN_RECORD(record, open, OPEN, cgroup, WALK_ROOM, 0, 0);
	record->r.fd = NO_DESCRIPTOR;
	PUT_OBJECT(record, *who);
	record->r.flags = 0102 | FP_OPEN_CREATED; /* O_RDWR | O_CREAT; never one that was there */
	record->r.mode = BPF_CORE_READ(inode, i_mode) & 07777;
	dentry = first_name(of_inode);
	mnt = dentry ? find_mount((__u64)dentry, (__u64)BPF_CORE_READ(inode, i_sb), 0) : 0;
	if (mnt)
		begin = walk_path((struct walk_room *)record->room_, PATH_ROOM, (__u64)dentry, mnt);
	if (begin > PATH_ROOM)
		begin = PATH_ROOM;
	record->r.path.offset = sizeof(record->r) + begin;
	record->r.path.len = PATH_ROOM - begin;
	emit(record);
	return 0;
}

/* At the exit of a thread that has dumped.  A file that is gone by then, and whose memory is another's, is not told. */
static __always_inline int record_dump(__u64 cgroup)
{
	__u32 tid = bpf_get_current_pid_tgid();
	struct dump *dump = bpf_map_lookup_elem(&dumps, &tid);
	struct identity who, now;
	struct inode *inode;

	if (!dump)
		return 0;
	inode = (void *)dump->inode;
	who = dump->who;
	bpf_map_delete_elem(&dumps, &tid);
	identify_inode((__u64)inode, &now);
	if (now.ino != who.ino || now.gen != who.gen || now.dev != who.dev)
		return 0;
	record_dump_opened(cgroup, (__u64)inode, &who);
	return record_transfer(cgroup, BPF_CORE_READ(inode, i_size), &who, NO_DESCRIPTOR, 1);
}

#endif
