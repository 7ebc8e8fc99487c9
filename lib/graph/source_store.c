#include "graph/source.h"

static int store_node(void *arg, uint64_t id, fp_store_node_fn fn, void *fn_arg)
{
	return fp_store_node(arg, id, fn, fn_arg);
}

static int store_edges_into(void *arg, uint64_t node, fp_store_edge_fn fn, void *fn_arg)
{
	return fp_store_edges_into(arg, node, fn, fn_arg);
}

static int store_edges_out_of(void *arg, uint64_t node, fp_store_edge_fn fn, void *fn_arg)
{
	return fp_store_edges_out_of(arg, node, fn, fn_arg);
}

static int store_nodes_by_key(void *arg, const char *prefix, fp_store_node_fn fn, void *fn_arg)
{
	return fp_store_nodes_by_key(arg, prefix, fn, fn_arg);
}

struct fp_source fp_source_of_store(struct fp_store *store)
{
	return (struct fp_source){
		.node = store_node,
		.edges_into = store_edges_into,
		.edges_out_of = store_edges_out_of,
		.nodes_by_key = store_nodes_by_key,
		.arg = store,
	};
}
