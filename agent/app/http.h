/*
 * HTTP/1.x requests and responses on one connection, on top of http_parser.
 * Private to agent/app.
 *
 * http_parser sees a stream without holes; a capture has them.  A hole that
 * falls into a body is bridged by feeding the parser as many zero bytes as are
 * missing (it counts body bytes and does not look at them), so Content-Length
 * and chunk sizes stay exact.  A hole in a head ends the message there: what is
 * known of it is handed on as truncated, and the stream is picked up again at
 * the next turn that begins with a well-formed first line.
 */
#ifndef FP_AGENT_APP_HTTP_H
#define FP_AGENT_APP_HTTP_H

#include "agent/app/emit.h"

struct fp_http;

/* NULL: no memory. */
struct fp_http *fp_http_new(void);
struct fp_http *fp_http_free(struct fp_http *http);
/* Could this be the beginning of a request or response?  Says yes to any prefix of one. */
bool fp_http_begins(const struct fp_app_input *input);
/* The status of an answer sent that has come to its end since this was last asked, or 0. */
int fp_http_take_answered(struct fp_http *http);
enum fp_app_verdict fp_http_feed(struct fp_http *http, struct fp_app_input *input);

#endif
