/*
 * Nodes and edges as GraphML, for tools that draw or analyse graphs.  The only
 * place that uses libxml2.  Everything is written, nothing is folded.
 */
#ifndef FP_QUERY_RENDER_GRAPHML_H
#define FP_QUERY_RENDER_GRAPHML_H

#include "query/answer.h"

struct fp_graphml;

/* Begins a document in memory-bounded steps; `complete`, `lost` become data of the graph.  0 or -ENOMEM. */
int fp_graphml_new(FILE *out, bool complete, uint64_t lost, struct fp_graphml **ret_graphml);
/* 0 or -EIO. */
int fp_graphml_node(struct fp_graphml *graphml, const struct fp_store_node *row);
int fp_graphml_edge(struct fp_graphml *graphml, const struct fp_store_edge *row);
/* Ends the document.  0 or -EIO. */
int fp_graphml_finish(struct fp_graphml *graphml);
struct fp_graphml *fp_graphml_free(struct fp_graphml *graphml);
FP_DEFINE_CLEANUP(struct fp_graphml, fp_graphml_free)

/* A whole answer.  0 or negative errno. */
int fp_graphml_answer(const struct fp_answer *answer, FILE *out);

#endif
