/*
 * The kernel as we see it: exactly the types and fields that our programs read,
 * relocated at load time (CO-RE).  This file documents our kernel surface;
 * differences between kernels are named helpers in common.h.
 */
#ifndef FP_AGENT_BPF_KERNEL_H
#define FP_AGENT_BPF_KERNEL_H

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct list_head {
	struct list_head *next;
};

struct hlist_node {
	struct hlist_node *next;
};

struct hlist_head {
	struct hlist_node *first;
};

struct qstr {
	unsigned int len;
	unsigned long long hash_len;
	const unsigned char *name;
};

struct mount;
struct dentry;

struct file_system_type {
	const char *name;
};

struct super_block {
	unsigned int s_dev;
	struct file_system_type *s_type;
	unsigned long s_flags;
	unsigned long s_magic;
	struct dentry *s_root;
	struct mount *s_mounts; /* since 6.18 */
};

struct inode {
	void *i_private;
	unsigned short i_mode;
	unsigned int i_rdev;
	unsigned long i_ino;
	unsigned int i_generation;
	long long i_size;
	struct super_block *i_sb;
	struct hlist_head i_dentry;
};

struct hlist_bl_node {
	struct hlist_bl_node **pprev;
};

struct dentry {
	struct hlist_bl_node d_hash;
	struct dentry *d_parent;
	struct qstr d_name;
	struct inode *d_inode;
	union {
		struct hlist_node d_alias;
	} d_u;
};

struct mnt_idmap;

struct vfsmount {
	struct dentry *mnt_root;
	struct super_block *mnt_sb;
	int mnt_flags;
	struct mnt_idmap *mnt_idmap; /* since 6.2 */
};

struct callback_head {
	struct callback_head *next;
	void (*func)(struct callback_head *work);
};

struct mnt_namespace;

struct rb_node {
	unsigned long __rb_parent_color;
};

struct mount {
	struct mount *mnt_parent;
	struct dentry *mnt_mountpoint;
	struct vfsmount mnt;
	union {
		struct rb_node mnt_node; /* since 6.8 */
		struct callback_head mnt_rcu;
	};
	struct list_head mnt_mounts, mnt_child;
	struct mount *mnt_next_for_sb; /* since 6.18 */
	const char *mnt_devname;
	struct mount *mnt_master;
	struct mnt_namespace *mnt_ns;
	int mnt_t_flags; /* since 6.17; before, they are among mnt_flags */
	unsigned long long mnt_id_unique; /* since 6.8 */
	int mnt_group_id;
};

struct mnt_namespace {
	struct mount *root;
	struct rb_node *mnt_last_node; /* its newest mount, since 6.13 */
};

struct fs_context {
	struct file_system_type *fs_type;
	struct dentry *root;
};

struct ipc_namespace;
struct uts_namespace;
struct pid_namespace;
struct time_namespace;
struct cgroup_namespace;
struct user_namespace;
struct net;

struct nsproxy {
	struct uts_namespace *uts_ns;
	struct ipc_namespace *ipc_ns;
	struct mnt_namespace *mnt_ns;
	struct pid_namespace *pid_ns_for_children;
	struct net *net_ns;
	struct time_namespace *time_ns_for_children;
	struct cgroup_namespace *cgroup_ns;
};

struct path {
	struct vfsmount *mnt;
	struct dentry *dentry;
};

struct file {
	union {
		struct callback_head f_task_work;
	};
	struct inode *f_inode;
	struct path f_path;
	unsigned int f_mode;
	unsigned int f_flags;
	void *private_data;
};

struct fdtable {
	unsigned int max_fds;
	struct file **fd;
	unsigned long *close_on_exec;
};

typedef struct {
	int counter;
} atomic_t;

struct files_struct {
	atomic_t count;
	struct fdtable *fdt;
};

struct tty_struct {
	struct tty_struct *link; /* of a terminal of two ends, the other one */
	void *driver_data; /* of the end that programs run at, its name */
};

struct tty_file_private {
	struct tty_struct *tty;
};

struct fs_struct {
	struct path root, pwd;
};

struct proc_ns_operations {
	const char *name;
	int type; /* CLONE_NEW* */
};

struct ns_common {
	unsigned int ns_type; /* the same, since 6.18 */
	const struct proc_ns_operations *ops;
	unsigned int inum;
};

struct net {
	struct ns_common ns;
};

struct ipc_namespace {
	struct ns_common ns;
};

struct in6_addr {
	union {
		unsigned int u6_addr32[4];
	} in6_u;
};

typedef struct {
	struct net *net;
} possible_net_t;

struct sock_common {
	unsigned int skc_daddr;
	unsigned int skc_rcv_saddr;
	unsigned short skc_dport;
	unsigned short skc_num;
	unsigned short skc_family;
	possible_net_t skc_net;
	struct in6_addr skc_v6_daddr;
	struct in6_addr skc_v6_rcv_saddr;
};

struct socket;
struct cgroup;

struct sk_buff {
	struct sock *sk;
	unsigned short protocol;
	unsigned short transport_header, network_header; /* from `head` on */
	unsigned char *head;
};

struct sk_buff_head {
	struct sk_buff *next; /* the first; of an empty one itself */
};

struct sock_cgroup_data {
	struct cgroup *cgroup;
};

struct sock {
	struct sock_common __sk_common;
	unsigned short sk_type;
	unsigned short sk_protocol;
	struct socket *sk_socket;
	unsigned char sk_shutdown;
	int sk_peek_off; /* where MSG_PEEK looks; negative: at the beginning */
	struct sk_buff_head sk_receive_queue;
	struct sock_cgroup_data sk_cgrp_data;
};

struct udp_sock {
	struct sk_buff_head reader_queue; /* taken from before the socket's own, which is moved there as a whole */
};

struct socket {
	struct file *file;
	struct sock *sk;
};

struct tcp_sock {
	unsigned int snd_una;
	unsigned int rcv_nxt;
	unsigned int write_seq;
	unsigned int copied_seq;
	unsigned int urg_seq; /* where the last urgent byte is */
	unsigned long long bytes_acked;
	unsigned long long bytes_received;
};

struct sockaddr_un {
	unsigned short sun_family;
	char sun_path[108];
};

struct unix_address {
	int len;
	struct sockaddr_un name[];
};

struct unix_sock {
	struct unix_address *addr;
	struct sock *peer;
};

struct sockaddr_vm {
	unsigned int svm_port, svm_cid;
};

struct vsock_sock {
	struct sockaddr_vm local_addr, remote_addr;
};

struct netlink_sock {
	unsigned int portid, dst_portid;
};

struct signal_struct {
	atomic_t live;
	int group_exit_code;
	unsigned int flags;
};

typedef struct {
	unsigned int val;
} kuid_t;

typedef struct {
	unsigned int val;
} kgid_t;


typedef struct {
	unsigned long long val; /* since 6.3; before, two words of 32 bit */
} kernel_cap_t;

struct cred {
	kuid_t uid;
	kgid_t gid;
	kuid_t euid;
	kgid_t egid;
	kernel_cap_t cap_effective;
	struct user_namespace *user_ns;
};

struct upid {
	int nr;
	void *ns; /* not read, but elements of pid::numbers are this large */
};

struct pid {
	unsigned int level;
	struct upid numbers[];
};

struct mm_struct {
	atomic_t mm_users;
	struct file *exe_file;
	unsigned long arg_start, arg_end;
};

struct vm_area_struct {
	unsigned long vm_start;
	unsigned long vm_flags;
	unsigned long vm_end;
	struct file *vm_file;
};

struct kernel_siginfo {
	int si_code;
};

struct thread_info {
	unsigned long flags;
	unsigned int status;
};

struct io_ring_ctx;

struct io_cqe {
	unsigned long long user_data;
};

struct io_kiocb {
	struct file *file;
	unsigned char opcode;
	unsigned long long flags;
	struct io_cqe cqe;
	struct io_ring_ctx *ctx;
	void *async_data;
};

struct msghdr {
	void *msg_name;
};

struct __kernel_sockaddr_storage {
	unsigned short ss_family;
};

struct io_async_msghdr { /* the kernel's copy, from the submission on */
	int namelen;
	unsigned long controllen;
	struct msghdr msg;
	struct __kernel_sockaddr_storage addr;
};

struct user_msghdr;

struct io_sr_msg {
	union {
		struct user_msghdr *umsg;
	};
	unsigned int msg_flags;
	unsigned short flags;
};

struct io_msg {
	unsigned int cmd;
};

struct io_pipe {
	int *fds;
	unsigned int file_slot;
};

struct io_rsrc_node {
	union {
		unsigned long file_ptr;
	};
};

struct io_rsrc_data { /* since 6.13 */
	unsigned int nr;
	struct io_rsrc_node **nodes;
};

struct io_file_table {
	struct io_rsrc_data data;
};

struct io_ring_ctx {
	struct io_file_table file_table;
};

struct open_how {
	unsigned long long flags;
};

struct filename {
	const char *name;
};

struct io_rename {
	int old_dfd, new_dfd;
	struct filename *oldpath, *newpath;
};

struct io_link { /* of a symbolic link, too */
	int old_dfd, new_dfd;
	struct filename *oldpath, *newpath;
	int flags;
};

struct io_unlink {
	int dfd, flags;
	struct filename *filename;
};

struct io_mkdir {
	int dfd;
	unsigned short mode;
	struct filename *filename;
};

struct io_open {
	int dfd;
	struct filename *filename;
	unsigned int file_slot; /* not 0: what comes has no descriptor, but a place in the ring's own table */
	struct open_how how;
};

struct xattr_name {
	char name[256];
};

struct kernel_xattr_ctx {
	struct xattr_name *kname;
};

struct io_xattr {
	struct kernel_xattr_ctx ctx;
	struct filename *filename;
};

struct io_accept {
	int iou_flags;
	unsigned int file_slot;
};

struct io_socket {
	unsigned int file_slot;
};

struct io_shutdown {
	int how;
};

struct io_ftrunc {
	long long len;
};

struct io_sync { /* of fallocate, too */
	long long len, off;
};

struct io_splice {
	int splice_fd_in;
	unsigned int flags;
};

struct io_uring_cqe {
	unsigned long long user_data;
	int res;
};

struct kernfs_node {
	const char *name;
	unsigned long long id;
};

struct cgroup_root {
	int hierarchy_id; /* 0: the second version's */
};

struct cgroup {
	int level;
	struct cgroup_root *root;
	struct kernfs_node *kn;
	struct cgroup *ancestors[0]; /* since 6.1 */
};

struct css_set {
	struct cgroup *dfl_cgrp;
};

struct task_struct {
	struct thread_info thread_info;
	unsigned int flags;
	int pid;
	int tgid;
	int exit_code;
	char comm[16];
	unsigned long long start_boottime;
	unsigned long long self_exec_id;
	unsigned long nvcsw; /* how often it has slept */
	struct task_struct *group_leader;
	struct task_struct *real_parent;
	struct files_struct *files;
	struct fs_struct *fs;
	struct callback_head *task_works;
	struct nsproxy *nsproxy;
	struct mm_struct *mm;
	struct signal_struct *signal;
	const struct cred *cred;
	struct pid *thread_pid;
	struct css_set *cgroups;
};

struct seq_file;

struct bpf_iter_meta {
	struct seq_file *seq;
};

struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
};

struct bpf_iter__task_file {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
	unsigned int fd;
	struct file *file;
};

struct bpf_iter__task_vma {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
	struct vm_area_struct *vma;
};

struct linux_binprm {
	struct file *file;
	const char *filename; /* as it was called */
	const char *interp; /* another string when a script was called */
};

#if defined(__TARGET_ARCH_x86)
struct pt_regs {
	unsigned long di, si, dx, cx, bx, bp, r10, r8, r9, ax;
	unsigned long orig_ax, sp;
};
#elif defined(__TARGET_ARCH_arm64)
struct user_pt_regs {
	unsigned long long regs[31];
};
struct pt_regs {
	unsigned long long regs[31], sp;
	unsigned long long orig_x0;
	int syscallno;
};
#endif

#pragma clang attribute pop

#endif
