/* What fp-floor's two sides share. */
#ifndef FP_BENCHMARKS_FLOOR_H
#define FP_BENCHMARKS_FLOOR_H

#define FLOOR_CALLS 512
#define FLOOR_RING (16u << 20)

/* 160 bytes: what the agent records of a read has 136, of what is sent 224, of an open 352. */
struct floor_record {
	unsigned long long time, task, number;
	long long result;
	char rest[128];
};

#endif
