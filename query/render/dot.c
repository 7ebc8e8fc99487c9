#include "query/render/dot.h"

#include <errno.h>
#include <string.h>

#include <graphviz/cgraph.h>
#include <graphviz/gvc.h>

#include "query/render/ids.h"
#include "query/render/labels.h"

/* DejaVu is what Debian has; Verdana has the same widths where a browser lacks it. */
#define FONT "DejaVu Sans,Verdana,sans-serif"

/* Light enough to write on; an instance has the same one in all its requests. */
static const char *const instance_colors[] = {"#e8f0fe", "#fef7e0", "#e6f4ea", "#f3e8fd",
					      "#e4f7fb", "#fce8e6", "#f1f3f4", "#fff0e0"};
#define N_COLORS (sizeof(instance_colors) / sizeof(*instance_colors))

struct drawing {
	const struct fp_view *view;
	Agraph_t *graph;
	Agnode_t **nodes; /* by node of the view */
	size_t *color_of, *frames_of_root; /* by cluster */
	size_t *shown; /* one cluster of each container */
	size_t n_shown;
	bool failed;
};

static void set(struct drawing *drawing, void *object, const char *name, const char *value)
{
	if (agsafeset(object, (char *)name, (char *)value, "") < 0)
		drawing->failed = true;
}

static void set_html(struct drawing *drawing, void *object, const char *name, struct fp_buffer *html)
{
	char *text = fp_buffer_error(html) < 0 ? NULL : agstrdup_html(drawing->graph, html->data ? html->data : " ");

	if (!text) {
		drawing->failed = true;
		return;
	}
	set(drawing, object, name, text);
	agstrfree(drawing->graph, text);
	fp_buffer_clear(html);
}

/* --- frames --------------------------------------------------------------- */

static bool same(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

/* Containers get colours in the order in which they come up. */
static void choose_colors(struct drawing *drawing)
{
	const struct fp_view *view = drawing->view;
	size_t n = 0;

	for (size_t i = 0; i < view->n_clusters; i++) {
		const struct fp_store_node *a = view->clusters[i].sample, *b;
		size_t j;

		if (view->clusters[i].n_nodes == 0)
			continue;
		for (j = 0; j < drawing->n_shown; j++) {
			b = view->clusters[drawing->shown[j]].sample;
			if (same(a->host, b->host) && same(a->instance, b->instance))
				break;
		}
		drawing->color_of[i] = j < drawing->n_shown ? drawing->color_of[drawing->shown[j]] : n++ % N_COLORS;
		if (j == drawing->n_shown)
			drawing->shown[drawing->n_shown++] = i;
	}
}

/* Frames that each call from outside has. */
static void count_frames(struct drawing *drawing)
{
	const struct fp_view *view = drawing->view;

	for (size_t i = 0; i < view->n_clusters; i++)
		drawing->frames_of_root[view->clusters[i].root] += view->clusters[i].n_nodes > 0;
}

/* The frame around all requests of one call from outside, when they are several. */
static Agraph_t *root_frame(struct drawing *drawing, size_t cluster)
{
	const struct fp_view *view = drawing->view;
	size_t root = view->clusters[cluster].root;
	fp_cleanup(fp_buffer_done) struct fp_buffer label = FP_BUFFER_INIT;
	Agraph_t *frame;
	char name[40];

	if (view->clusters[cluster].request < 0 || drawing->frames_of_root[root] < 2)
		return drawing->graph;
	snprintf(name, sizeof(name), "cluster_root_%zu", root);
	frame = agsubg(drawing->graph, name, 0);
	if (frame)
		return frame;
	frame = agsubg(drawing->graph, name, 1);
	if (!frame) {
		drawing->failed = true;
		return drawing->graph;
	}
	fp_label_root(&label, view, &view->clusters[root]);
	set_html(drawing, frame, "label", &label);
	set(drawing, frame, "style", "rounded,dashed");
	set(drawing, frame, "color", "#80868b");
	set(drawing, frame, "fontcolor", "#5f6368");
	set(drawing, frame, "margin", "14");
	return frame;
}

static Agraph_t *frame_of(struct drawing *drawing, size_t cluster)
{
	const struct fp_view *view = drawing->view;
	fp_cleanup(fp_buffer_done) struct fp_buffer label = FP_BUFFER_INIT;
	Agraph_t *outer, *frame;
	char name[40];

	if (cluster == FP_NO_CLUSTER)
		return drawing->graph;
	snprintf(name, sizeof(name), "cluster_%zu", cluster);
	outer = root_frame(drawing, cluster);
	frame = agsubg(outer, name, 0);
	if (frame)
		return frame;
	frame = agsubg(outer, name, 1);
	if (!frame) {
		drawing->failed = true;
		return drawing->graph;
	}
	fp_label_cluster(&label, view, &view->clusters[cluster]);
	set_html(drawing, frame, "label", &label);
	set(drawing, frame, "style", "rounded,filled");
	set(drawing, frame, "fillcolor", instance_colors[drawing->color_of[cluster]]);
	set(drawing, frame, "labelloc", "b");
	set(drawing, frame, "color", view->clusters[cluster].asked ? "#1a56db" : "#9aa0a6");
	set(drawing, frame, "penwidth", view->clusters[cluster].asked ? "3" : "1");
	return frame;
}

/* --- nodes ---------------------------------------------------------------- */

struct look {
	const char *shape, *style, *fill, *color, *width;
};

static struct look look_of(const struct fp_view_node *node, bool possible)
{
	struct look look = {"box", "rounded,filled", "#ffffff", "#3c4043", "1"};

	switch (node->kind) {
	case FP_NODE_FILE:
		look = (struct look){"note", "filled", "#ffffff", "#3c4043", "1"};
		break;
	case FP_NODE_OBJECT:
		look = (struct look){"cylinder", "filled", "#ffffff", "#3c4043", "1"};
		break;
	case FP_NODE_CLIENT:
		look = (struct look){"ellipse", "filled,bold", "#fff8c5", "#3c4043", "1.5"};
		break;
	case FP_NODE_HOST:
		look = (struct look){"ellipse", "filled", "#f1f3f4", "#3c4043", "1"};
		break;
	case FP_NODE_PIPE:
	case FP_NODE_SOCKET:
		look = (struct look){"cds", "filled", "#ffffff", "#3c4043", "1"};
		break;
	case FP_NODE_GAP:
		look = (struct look){"octagon", "filled,dashed", "#fce8e6", "#b00020", "2"};
		break;
	case FP_NODE_FINDING:
		look = (struct look){"octagon", "filled,bold", "#b00020", "#b00020", "2"};
		break;
	default:
		break;
	}
	if (possible)
		look.style = "filled,dashed";
	if (node->folded)
		look.style = node->kind == FP_NODE_PROCESS ? "rounded,filled,dashed" : "filled,dashed";
	if (node->link) {
		look.fill = "#ffd54f";
		look.color = "#b00020";
		look.width = "3";
	} else if (node->start && node->request) {
		look.color = "#1a56db";
		look.width = "2";
	}
	return look;
}

static void draw_node(struct drawing *drawing, size_t i)
{
	const struct fp_view *view = drawing->view;
	const struct fp_view_node *node = &view->nodes[i];
	fp_cleanup(fp_buffer_done) struct fp_buffer text = FP_BUFFER_INIT;
	struct look look = look_of(node, fp_graph_possible(fp_graph_node(view->answer->graph, node->members[0])->row.id));
	char name[24];

	snprintf(name, sizeof(name), "v%zu", i);
	drawing->nodes[i] = agnode(frame_of(drawing, node->cluster), name, 1);
	if (!drawing->nodes[i]) {
		drawing->failed = true;
		return;
	}
	fp_label_node(&text, view, node);
	set_html(drawing, drawing->nodes[i], "label", &text);
	fp_tooltip_node(&text, view, node);
	set(drawing, drawing->nodes[i], "tooltip", text.data ? text.data : "");
	set(drawing, drawing->nodes[i], "shape", look.shape);
	set(drawing, drawing->nodes[i], "style", look.style);
	set(drawing, drawing->nodes[i], "fillcolor", look.fill);
	set(drawing, drawing->nodes[i], "color", look.color);
	set(drawing, drawing->nodes[i], "penwidth", look.width);
	if (node->kind == FP_NODE_FINDING)
		set(drawing, drawing->nodes[i], "fontcolor", "#ffffff");
}

/* --- edges ---------------------------------------------------------------- */

static const char *color_of_edge(const struct fp_view_edge *edge)
{
	if (edge->possible)
		return "#9aa0a6";
	if (edge->kinds & 1u << FP_EDGE_MISSING)
		return "#b00020";
	switch (edge->attribution) {
	case FP_ATTRIBUTION_AMBIGUOUS:
		return "#b00020";
	case FP_ATTRIBUTION_DERIVED:
		return "#3949ab";
	case FP_ATTRIBUTION_NONE:
		return "#80868b";
	default:
		return "#202124";
	}
}

static const char *style_of_edge(const struct fp_view_edge *edge)
{
	if (edge->possible || edge->attribution == FP_ATTRIBUTION_AMBIGUOUS)
		return "dotted";
	return edge->attribution == FP_ATTRIBUTION_DERIVED ? "dashed" : "solid";
}

static bool touches_link(const struct fp_view *view, const struct fp_view_edge *edge)
{
	return view->nodes[edge->from].link || view->nodes[edge->to].link;
}

/* What returns to a caller, or goes up again, must not turn the picture upside down. */
static bool goes_back(const struct fp_view_edge *edge)
{
	return edge->kinds == 1u << FP_EDGE_RETURNS;
}

static void draw_edge(struct drawing *drawing, const struct fp_view_edge *edge, const struct fp_view_edge *back)
{
	const struct fp_view *view = drawing->view;
	fp_cleanup(fp_buffer_done) struct fp_buffer text = FP_BUFFER_INIT;
	const struct fp_view_edge *worse = back && back->attribution > edge->attribution ? back : edge;
	Agedge_t *drawn =
		agedge(drawing->graph, drawing->nodes[edge->from], drawing->nodes[edge->to], NULL, 1);

	if (!drawn) {
		drawing->failed = true;
		return;
	}
	fp_label_edge(&text, view, edge, back);
	set_html(drawing, drawn, "label", &text);
	fp_tooltip_edge(&text, view, edge);
	set(drawing, drawn, "tooltip", text.data ? text.data : "");
	set(drawing, drawn, "labeltooltip", text.data ? text.data : "");
	set(drawing, drawn, "color", touches_link(view, edge) ? "#b00020" : color_of_edge(worse));
	set(drawing, drawn, "style", style_of_edge(worse));
	set(drawing, drawn, "penwidth", touches_link(view, edge) ? "2.5" : "1.2");
	set(drawing, drawn, "dir", back ? "both" : "forward");
	/* A caller stands above what it calls. */
	set(drawing, drawn, "weight", edge->kinds & 1u << FP_EDGE_CALLS ? "6" : "1");
	set(drawing, drawn, "constraint", !back && goes_back(edge) ? "false" : "true");
}

static int compare_pairs(const void *a, const void *b, void *arg)
{
	const struct fp_view *view = arg;
	const struct fp_view_edge *x = &view->edges[*(const uint32_t *)a], *y = &view->edges[*(const uint32_t *)b];
	uint32_t x_low = x->from < x->to ? x->from : x->to, x_high = x->from < x->to ? x->to : x->from;
	uint32_t y_low = y->from < y->to ? y->from : y->to, y_high = y->from < y->to ? y->to : y->from;

	if (x_low != y_low)
		return x_low < y_low ? -1 : 1;
	if (x_high != y_high)
		return x_high < y_high ? -1 : 1;
	if (x->possible != y->possible)
		return x->possible ? 1 : -1;
	return *(const uint32_t *)a < *(const uint32_t *)b ? -1 : 1;
}

/* Two edges between the same two nodes in opposite directions are one line with two heads. */
static void draw_edges(struct drawing *drawing)
{
	const struct fp_view *view = drawing->view;
	uint32_t *order = malloc((view->n_edges + 1) * sizeof(*order));

	if (!order) {
		drawing->failed = true;
		return;
	}
	for (uint32_t i = 0; i < view->n_edges; i++)
		order[i] = i;
	qsort_r(order, view->n_edges, sizeof(*order), compare_pairs, (void *)view);
	for (size_t i = 0; i < view->n_edges; i++) {
		const struct fp_view_edge *edge = &view->edges[order[i]];
		const struct fp_view_edge *next = i + 1 < view->n_edges ? &view->edges[order[i + 1]] : NULL;
		bool pair = next && next->from == edge->to && next->to == edge->from && next->possible == edge->possible;

		/* Edges are in order of time, so the earlier one gives the direction. */
		draw_edge(drawing, edge, pair ? next : NULL);
		i += pair;
	}
	free(order);
}

/* Callers from outside stand in one row, earliest first: from left to right time goes on from call to call. */
static void order_clients(struct drawing *drawing)
{
	const struct fp_view *view = drawing->view;
	Agraph_t *row = NULL;
	Agnode_t *before = NULL;

	for (size_t i = 0; i < view->n_nodes && !drawing->failed; i++) {
		Agedge_t *order;

		if (view->nodes[i].kind != FP_NODE_CLIENT || view->nodes[i].cluster != FP_NO_CLUSTER)
			continue;
		if (!row)
			row = agsubg(drawing->graph, "clients", 1);
		if (!row || !agsubnode(row, drawing->nodes[i], 1)) {
			drawing->failed = true;
			return;
		}
		order = before ? agedge(row, before, drawing->nodes[i], NULL, 1) : NULL;
		if (order)
			set(drawing, order, "style", "invis");
		before = drawing->nodes[i];
	}
	if (row)
		set(drawing, row, "rank", "same");
}

/* --- graph ---------------------------------------------------------------- */

static void set_defaults(struct drawing *drawing, enum fp_layout layout)
{
	static const char *const attributes[][3] = {
		/* kind 0: graph, 1: node, 2: edge */
		{"0", "fontname", FONT},	{"0", "fontsize", "11"},    {"0", "labelloc", "t"},
		{"0", "labeljust", "l"},	{"0", "rankdir", "TB"},	    {"0", "bgcolor", "white"},
		{"0", "nodesep", "0.35"},	{"0", "ranksep", "0.55"},   {"0", "pad", "0.3"},
		{"0", "compound", "true"},	{"0", "charset", "UTF-8"},  {"1", "fontname", FONT},
		{"1", "fontsize", "11"},	{"1", "margin", "0.14,0.07"}, {"2", "fontname", FONT},
		{"2", "fontsize", "9"},		{"2", "arrowsize", "0.8"},  {"2", "fontcolor", "#202124"},
	};
	static const int kinds[] = {AGRAPH, AGNODE, AGEDGE};

	for (size_t i = 0; i < sizeof(attributes) / sizeof(*attributes); i++)
		if (!agattr(drawing->graph, kinds[attributes[i][0][0] - '0'], (char *)attributes[i][1],
			    (char *)attributes[i][2]))
			drawing->failed = true;
	if (layout == FP_LAYOUT_FULL)
		return;
	agattr(drawing->graph, AGRAPH, "splines", "line");
	agattr(drawing->graph, AGRAPH, "nslimit", "1");
	agattr(drawing->graph, AGRAPH, "nslimit1", "1");
	agattr(drawing->graph, AGRAPH, "mclimit", "0.1");
}

/* Programs that read the file learn the same as people who look at it. */
static void set_completeness(struct drawing *drawing)
{
	const struct fp_answer *answer = drawing->view->answer;
	char lost[24];

	snprintf(lost, sizeof(lost), "%llu", (unsigned long long)answer->lost);
	set(drawing, drawing->graph, "complete", fp_answer_complete(answer) ? "true" : "false");
	set(drawing, drawing->graph, "lost", lost);
}

static int build(struct drawing *drawing, const struct fp_view *view, enum fp_layout layout)
{
	fp_cleanup(fp_buffer_done) struct fp_buffer title = FP_BUFFER_INIT;

	*drawing = (struct drawing){
		.view = view,
		.graph = agopen("faasprov", Agdirected, fp_ids_discipline()),
		.nodes = calloc(view->n_nodes + 1, sizeof(*drawing->nodes)),
		.color_of = calloc(view->n_clusters + 1, sizeof(*drawing->color_of)),
		.frames_of_root = calloc(view->n_clusters + 1, sizeof(*drawing->frames_of_root)),
		.shown = calloc(view->n_clusters + 1, sizeof(*drawing->shown)),
	};
	if (!drawing->graph || !drawing->nodes || !drawing->color_of || !drawing->frames_of_root || !drawing->shown)
		return -ENOMEM;
	set_defaults(drawing, layout);
	fp_label_title(&title, view);
	set_html(drawing, drawing->graph, "label", &title);
	set_completeness(drawing);
	choose_colors(drawing);
	count_frames(drawing);
	for (size_t i = 0; i < view->n_nodes && !drawing->failed; i++)
		draw_node(drawing, i);
	if (!drawing->failed)
		draw_edges(drawing);
	if (!drawing->failed)
		order_clients(drawing);
	return drawing->failed ? -ENOMEM : 0;
}

static void drawing_done(struct drawing *drawing)
{
	if (drawing->graph)
		agclose(drawing->graph);
	free(drawing->nodes);
	free(drawing->color_of);
	free(drawing->frames_of_root);
	free(drawing->shown);
}

int fp_dot_write(const struct fp_view *view, FILE *out)
{
	struct drawing drawing;
	int r = build(&drawing, view, FP_LAYOUT_FULL);

	if (r == 0 && agwrite(drawing.graph, out) != 0)
		r = -EIO;
	drawing_done(&drawing);
	return r;
}

int fp_dot_draw(const struct fp_view *view, enum fp_layout layout, const char *format, FILE *out)
{
	struct drawing drawing;
	int r = build(&drawing, view, layout);
	GVC_t *context = r == 0 ? gvContext() : NULL;

	if (r == 0 && !context)
		r = -ENOMEM;
	if (r == 0 && gvLayout(context, drawing.graph, layout == FP_LAYOUT_PACKED ? "osage" : "dot") != 0)
		r = -EIO;
	if (r == 0 && gvRender(context, drawing.graph, format, out) != 0)
		r = -EIO;
	if (r == 0)
		gvFreeLayout(context, drawing.graph);
	drawing_done(&drawing);
	if (context)
		gvFreeContext(context);
	return r;
}
