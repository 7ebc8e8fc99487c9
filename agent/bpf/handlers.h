/*
 * The handlers of system calls, by the family in whose program they are
 * (agent/bpf/faasprov.bpf.c); which call has which is in agent/calls.def.
 */
#ifndef FP_AGENT_BPF_HANDLERS_H
#define FP_AGENT_BPF_HANDLERS_H

/* bytes are moved */
#define FP_HANDLERS_MOVE(H) \
	H(on_read) H(on_readv) H(on_recvfrom) H(on_recvmsg) H(on_recvmmsg) H(on_write) H(on_writev) H(on_sendto) \
	H(on_sendmsg) H(on_sendmmsg) H(on_sendfile) H(on_splice) H(on_copy_range) H(on_tee) H(on_vmsplice) H(on_close) H(on_replace) H(on_close_range) \
	H(on_io_submit) H(on_mq_send) H(on_mq_receive) H(on_msgsnd) H(on_msgrcv)
/* what a descriptor stands for begins, or is changed by it */
#define FP_HANDLERS_FILE(H) \
	H(on_pipe) H(on_open) H(on_openat) H(on_openat2) H(on_creat) H(on_memfd) H(on_mmap) H(on_mprotect) H(on_fchmod) \
	H(on_fchown) H(on_ftruncate) H(on_fallocate) H(on_fsetxattr) H(on_fremovexattr) \
	H(on_fgetxattr) H(on_open_by_handle) H(on_mq_open) H(on_shmat)
/* done by name */
#define FP_HANDLERS_NAME(H) \
	H(on_rename) H(on_renameat) H(on_renameat2) H(on_unlink) H(on_unlinkat) H(on_rmdir) H(on_link) H(on_linkat) H(on_symlink) \
	H(on_symlinkat) H(on_mkdir) H(on_mkdirat) H(on_mknod) H(on_mknodat) H(on_chmod) H(on_fchmodat) H(on_fchmodat2) H(on_chown) \
	H(on_fchownat) H(on_truncate) H(on_setxattr) H(on_setxattrat) H(on_removexattrat) H(on_getxattr) H(on_getxattrat) \
	H(on_utimensat) H(on_utimes) H(on_file_flags) H(on_removexattr)
#define FP_HANDLERS_SOCKET(H) \
	H(on_socket) H(on_socketpair) H(on_bind) H(on_listen) H(on_connect) H(on_accept) H(on_shutdown) H(on_getsockopt)
#define FP_HANDLERS_PROCESS(H) \
	H(on_ptrace) H(on_vm_read) H(on_vm_write) H(on_get_fd) H(on_credentials) H(on_capset) H(on_unshare) H(on_setns) \
	H(on_seccomp) H(on_execute) H(on_execute_at) H(on_kill) H(on_pidfd_kill) H(on_access) H(on_accessat) \
	H(on_limit) H(on_priority) H(on_io_priority) H(on_schedule) \
	H(on_mount) H(on_umount) H(on_move_mount) H(on_pivot_root) H(on_chroot) \
	H(on_open_tree) H(on_fsopen) H(on_fsconfig) H(on_fsmount) H(on_fspick) H(on_mount_setattr) H(on_landlock) \
	H(on_bpf) H(on_perf) H(on_userfaultfd) H(on_keyctl) H(on_add_key) H(on_request_key) H(on_module) H(on_kexec) \
	H(on_system) H(on_clock) H(on_fanotify) H(on_personality) H(on_ioctl) H(on_fcntl)
#define FP_HANDLERS_THREAD(H) \
	H(on_epoll) H(on_epoll2) H(on_poll) H(on_ppoll) H(on_select) H(on_pselect) H(on_futex) H(on_sleep) H(on_prctl)

#define FP_FAMILIES(F) \
	F(of_moves, FP_HANDLERS_MOVE) F(of_files, FP_HANDLERS_FILE) F(of_names, FP_HANDLERS_NAME) \
	F(of_sockets, FP_HANDLERS_SOCKET) F(of_processes, FP_HANDLERS_PROCESS) F(of_threads, FP_HANDLERS_THREAD)

enum fp_handler {
	FP_HANDLER_NONE,
#define FP_HANDLER_NUMBER(name) FP_HANDLER_##name,
#define FP_HANDLER_NUMBERS(family, HANDLERS) HANDLERS(FP_HANDLER_NUMBER) FP_HANDLER_AFTER_##family,
	FP_FAMILIES(FP_HANDLER_NUMBERS)
	FP_HANDLER_FIRST_MESSAGE = FP_HANDLER_on_read,
	FP_HANDLER_LAST_MESSAGE = FP_HANDLER_on_splice,
	FP_HANDLER_FIRST_NAME = FP_HANDLER_on_rename,
	FP_HANDLER_LAST_NAME = FP_HANDLER_on_removexattr,
	FP_HANDLER_FIRST_MOUNT = FP_HANDLER_on_mount,
	FP_HANDLER_LAST_MOUNT = FP_HANDLER_on_mount_setattr,
	FP_HANDLER_FIRST_WAIT = FP_HANDLER_on_epoll,
	FP_HANDLER_LAST_WAIT = FP_HANDLER_on_sleep,
};

#endif
