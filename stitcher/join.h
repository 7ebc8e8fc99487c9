/*
 * Which message of which caller made which request (docs/graph.md, "Join of
 * callee to caller").  The callee's watchdog reports the ip:port that called the
 * gateway, or is connected to it; a caller that is recorded sent an HTTP request
 * from that address.  Here are the parts that look at texts; the pass itself is
 * fp_build_join.
 */
#ifndef FP_STITCHER_JOIN_H
#define FP_STITCHER_JOIN_H

#include "stitcher/evidence.h"

/* By how much the clocks of two machines may differ, as far as joins go. */
#define FP_JOIN_SKEW_MAX 1000000000ull

/*
 * The endpoint in an X-Forwarded-For or peer text.  Of a list the last counts:
 * the one nearest to us added it, those before are the client's word.  0, or
 * -EINVAL when it has no port.
 */
int fp_join_endpoint(const char *text, struct fp_endpoint *ret_endpoint);
/* Its address alone, also without a port.  0 or -EINVAL. */
int fp_join_address(const char *text, uint64_t *ret_hi, uint64_t *ret_lo);
/* Does the path of a call through the gateway name the function? /function/<name>, /async-function/<name>[.namespace] */
bool fp_join_names_function(const char *url, const char *function);
/* Is it the path of a call that is made later? */
bool fp_join_is_later(const char *url);
/* Are two request paths the same but for the query? */
bool fp_join_same_path(const char *a, const char *b);

#endif
