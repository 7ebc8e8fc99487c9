/*
 * Keys, labels and attributes of nodes: docs/graph.md, "Nodes and their keys".
 * Texts are built in buffers of the caller; attributes are JSON.
 */
#ifndef FP_STITCHER_DESCRIBE_H
#define FP_STITCHER_DESCRIBE_H

#include "base/buffer.h"
#include "stitcher/build.h"

void fp_describe_key(const struct fp_build *build, const struct fp_gnode *node, struct fp_buffer *out);
void fp_describe_label(const struct fp_build *build, const struct fp_gnode *node, struct fp_buffer *out);
/* An allocated JSON object, or NULL when nothing more is known; -ENOMEM. */
int fp_describe_attributes(const struct fp_build *build, const struct fp_gnode *node, char **ret_json);
/* Invocation ids in hex, separated by commas. */
void fp_describe_candidates(const struct fp_build *build, uint32_t candidates, struct fp_buffer *out);
/* `request-id` in hex, "start-up", "background" or "ambiguous". */
void fp_describe_unit(const struct fp_build *build, uint32_t unit, struct fp_buffer *out);

#endif
