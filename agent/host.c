#include "agent/host.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"

static int64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (int64_t)now.tv_sec * (int64_t)FP_NS_PER_SEC + now.tv_nsec;
}

int fp_host_init(struct fp_host *host, const char *name)
{
	fp_cleanup(fp_fclosep) FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");
	char boot[40] = "";

	memset(host, 0, sizeof(*host));
	if (name)
		snprintf(host->name, sizeof(host->name), "%s", name);
	else if (gethostname(host->name, sizeof(host->name) - 1) < 0)
		return -errno;
	if (!file || !fgets(boot, sizeof(boot), file))
		return -EIO;
	boot[strcspn(boot, "\n")] = '\0';
	if (fp_unhex(boot, host->boot, sizeof(host->boot)) < 0)
		return -EIO;
	host->clock_offset = clock_ns(CLOCK_REALTIME) - clock_ns(CLOCK_BOOTTIME);
	return 0;
}

uint64_t fp_host_boottime(void)
{
	return (uint64_t)clock_ns(CLOCK_BOOTTIME);
}
