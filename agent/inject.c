#include "agent/inject.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/bpf/inject.h"
#include "base/text.h"
#include "inject.skel.h"

struct fp_inject {
	struct inject_bpf *skeleton;
	struct bpf_link *link;
};

/* IPv4 as it stands mapped in an IPv6 address. */
#define MAPPED_IPV4 0xffffull

static int read_gateway(struct inject_bpf *skeleton, const char *text)
{
	uint64_t hi, lo;
	uint16_t port;

	if (fp_endpoint_parse(text, strlen(text), &hi, &lo, &port) < 0 || hi || lo >> 32 != MAPPED_IPV4 || !port)
		return -EINVAL;
	skeleton->rodata->gateway_address = htonl((uint32_t)lo);
	skeleton->rodata->gateway_port = port;
	return 0;
}

static int attach(struct fp_inject *inject, const char *cgroup)
{
	struct inject_bpf *skeleton = inject->skeleton;
	int fd = open(cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC), r;

	if (fd < 0)
		return -errno;
	r = bpf_prog_attach(bpf_program__fd(skeleton->progs.on_message), bpf_map__fd(skeleton->maps.connections),
			    BPF_SK_MSG_VERDICT, 0);
	r = r < 0 ? -errno : 0;
	if (r == 0) {
		inject->link = bpf_program__attach_cgroup(skeleton->progs.on_connected, fd);
		r = inject->link ? 0 : -errno;
	}
	close(fd);
	return r;
}

int fp_inject_start(const char *cgroup, const char *gateway, struct fp_inject **ret_inject, char ret_error[256])
{
	struct fp_inject *inject = calloc(1, sizeof(*inject));
	int r = -ENOMEM;

	if (inject)
		inject->skeleton = inject_bpf__open();
	if (inject && inject->skeleton)
		r = read_gateway(inject->skeleton, gateway);
	if (r == -EINVAL)
		snprintf(ret_error, 256, "'%.100s' is no IPv4 address and port", gateway);
	else if (r == 0)
		r = inject_bpf__load(inject->skeleton);
	if (r == 0)
		r = attach(inject, cgroup);
	if (r < 0 && r != -EINVAL)
		snprintf(ret_error, 256, "cannot add headers to calls: %s", strerror(-r));
	if (r < 0) {
		fp_inject_free(inject);
		return r;
	}
	*ret_inject = inject;
	return 0;
}

struct fp_inject *fp_inject_free(struct fp_inject *inject)
{
	if (!inject)
		return NULL;
	bpf_link__destroy(inject->link);
	inject_bpf__destroy(inject->skeleton);
	free(inject);
	return NULL;
}

uint64_t fp_inject_count(const struct fp_inject *inject)
{
	return __atomic_load_n(&inject->skeleton->bss->added, __ATOMIC_RELAXED);
}
