/* box_tree.c: see box_tree.h. */
#include "harness/box_tree.h"

#include <assert.h>
#include <string.h>

#include "simdisk/xalloc.h"

#define NO_NODE UINT32_MAX

struct node {
    uint64_t set;
    uint32_t child[2]; /* [answer] */
    uint32_t leaf;
    uint8_t field; /* QED_FIELD_COUNT: a leaf */
};

struct box_tree {
    struct node *nodes; /* [0] is the root, if there is any */
    size_t count, cap;
};

/* --- lists --------------------------------------------------------------------------------------------------------- */

void box_list_add(struct box_list *l, const struct qed_design_box *b)
{
    l->items = xgrow(l->items, l->count, &l->cap, sizeof(*l->items));
    l->items[l->count++] = *b;
}

static int compare_but(const void *a, const void *b, void *opaque)
{
    const struct qed_design_box *x = a, *y = b;
    unsigned but = *(const unsigned *)opaque;
    for (unsigned f = 0; f < QED_FIELD_COUNT; f++)
        if (f != but && x->allowed[f] != y->allowed[f])
            return x->allowed[f] < y->allowed[f] ? -1 : 1;
    return (x->allowed[but] > y->allowed[but]) - (x->allowed[but] < y->allowed[but]);
}

static bool equal_but(const struct qed_design_box *a, const struct qed_design_box *b, unsigned but)
{
    for (unsigned f = 0; f < QED_FIELD_COUNT; f++)
        if (f != but && a->allowed[f] != b->allowed[f])
            return false;
    return true;
}

void box_list_merge(struct box_list *l)
{
    for (size_t before = SIZE_MAX; l->count < before;) {
        before = l->count;
        for (unsigned f = 0; f < QED_FIELD_COUNT && l->count; f++) {
            size_t kept = 0;
            qsort_r(l->items, l->count, sizeof(*l->items), compare_but, &f);
            for (size_t i = 1; i < l->count; i++)
                if (equal_but(&l->items[kept], &l->items[i], f))
                    l->items[kept].allowed[f] |= l->items[i].allowed[f];
                else
                    l->items[++kept] = l->items[i];
            l->count = kept + 1;
        }
    }
}

double box_list_count(const struct box_list *l)
{
    double count = 0;
    for (size_t i = 0; i < l->count; i++)
        count += qed_box_count(&l->items[i]);
    return count;
}

bool box_list_has(const struct box_list *l, const struct qed_design *d)
{
    for (size_t i = 0; i < l->count; i++)
        if (qed_box_has(&l->items[i], d))
            return true;
    return false;
}

void box_list_free(struct box_list *l)
{
    free(l->items);
    *l = (struct box_list){0};
}

/* --- the tree ------------------------------------------------------------------------------------------------------ */

struct box_tree *box_tree_create(void)
{
    return xcalloc(1, sizeof(struct box_tree));
}

void box_tree_destroy(struct box_tree *t)
{
    if (t)
        free(t->nodes);
    free(t);
}

static struct qed_design_box narrow(const struct qed_design_box *b, const struct node *n, bool in)
{
    struct qed_design_box part = *b;
    part.allowed[n->field] &= in ? n->set : ~n->set;
    return part;
}

static bool unknown(const struct box_tree *t, uint32_t at, const struct qed_design_box *b, struct qed_design_box *part)
{
    if (at == NO_NODE || !t->count) {
        *part = *b;
        return true;
    }
    const struct node *n = &t->nodes[at];
    if (n->field == QED_FIELD_COUNT)
        return false;
    for (int in = 0; in < 2; in++) {
        struct qed_design_box side = narrow(b, n, in);
        if (side.allowed[n->field] && unknown(t, n->child[in], &side, part))
            return true;
    }
    return false;
}

bool box_tree_unknown(const struct box_tree *t, const struct qed_design_box *b, struct qed_design_box *part)
{
    return unknown(t, 0, b, part);
}

static uint32_t new_node(struct box_tree *t)
{
    t->nodes = xgrow(t->nodes, t->count, &t->cap, sizeof(*t->nodes));
    t->nodes[t->count] = (struct node){.child = {NO_NODE, NO_NODE}, .field = QED_FIELD_COUNT};
    return (uint32_t)t->count++;
}

static uint32_t next_node(const struct node *n, const struct qed_design *d)
{
    return n->child[n->set >> d->value[n->field] & 1];
}

/* Hangs a new node for the step under `at`, or makes it the root. */
static uint32_t append(struct box_tree *t, uint32_t at, const struct qed_design_step *s)
{
    t->nodes[at].field = s->field;
    t->nodes[at].set = s->set;
    uint32_t next = new_node(t);
    t->nodes[at].child[s->in] = next;
    return next;
}

void box_tree_add(struct box_tree *t, const struct qed_design *d, struct qed_design_asked *asked, uint32_t leaf)
{
    struct qed_design_asked path;
    uint32_t at = 0, parent = NO_NODE;
    bool in = false;
    qed_asked_begin(&path);
    if (!t->count)
        new_node(t);
    else
        while (at != NO_NODE && t->nodes[at].field != QED_FIELD_COUNT) {
            in = t->nodes[at].set >> d->value[t->nodes[at].field] & 1;
            qed_design_note(&path, (enum qed_design_field)t->nodes[at].field, t->nodes[at].set, in);
            parent = at;
            at = t->nodes[at].child[in];
        }
    assert(at == NO_NODE || !at); /* a known design is not added again */
    if (at == NO_NODE) {
        at = new_node(t);
        t->nodes[parent].child[in] = at;
    }
    for (unsigned i = 0; i < asked->count; i++) {
        unsigned before = path.count;
        const struct qed_design_step *s = &asked->steps[i];
        qed_design_note(&path, (enum qed_design_field)s->field, s->set, s->in);
        if (path.count > before)
            at = append(t, at, s);
    }
    t->nodes[at].leaf = leaf;
    *asked = path;
}

bool box_tree_find(const struct box_tree *t, const struct qed_design *d, uint32_t *leaf)
{
    uint32_t at = t->count ? 0 : NO_NODE;
    while (at != NO_NODE && t->nodes[at].field != QED_FIELD_COUNT)
        at = next_node(&t->nodes[at], d);
    if (at != NO_NODE)
        *leaf = t->nodes[at].leaf;
    return at != NO_NODE;
}

void box_tree_note(const struct box_tree *t, const struct qed_design *d, struct qed_design_asked *asked)
{
    for (uint32_t at = 0; t->nodes[at].field != QED_FIELD_COUNT; at = next_node(&t->nodes[at], d)) {
        const struct node *n = &t->nodes[at];
        qed_design_note(asked, (enum qed_design_field)n->field, n->set, n->set >> d->value[n->field] & 1);
    }
}

struct filter {
    const struct box_tree *t;
    bool (*keep)(void *opaque, uint32_t leaf);
    void *opaque;
    struct box_list *out;
};

/* True if all of b is kept; then it is one box. */
static bool filter(const struct filter *x, uint32_t at, const struct qed_design_box *b)
{
    const struct node *n = &x->t->nodes[at];
    size_t mark = x->out->count;
    if (n->field == QED_FIELD_COUNT) {
        bool kept = x->keep(x->opaque, n->leaf);
        if (kept)
            box_list_add(x->out, b);
        return kept;
    }
    bool all = true;
    for (int in = 0; in < 2; in++) {
        struct qed_design_box side = narrow(b, n, in);
        if (side.allowed[n->field])
            all = filter(x, n->child[in], &side) && all;
    }
    if (all) {
        x->out->count = mark;
        box_list_add(x->out, b);
    }
    return all;
}

void box_tree_filter(const struct box_tree *t, const struct qed_design_box *b,
                     bool (*keep)(void *opaque, uint32_t leaf), void *opaque, struct box_list *out)
{
    filter(&(struct filter){.t = t, .keep = keep, .opaque = opaque, .out = out}, 0, b);
}

static void split(const struct box_tree *t, uint32_t at, const struct qed_design_box *b,
                  void (*part)(void *opaque, const struct qed_design_box *part, uint32_t leaf), void *opaque)
{
    const struct node *n = &t->nodes[at];
    if (n->field == QED_FIELD_COUNT) {
        part(opaque, b, n->leaf);
        return;
    }
    for (int in = 0; in < 2; in++) {
        struct qed_design_box side = narrow(b, n, in);
        if (side.allowed[n->field])
            split(t, n->child[in], &side, part, opaque);
    }
}

void box_tree_split(const struct box_tree *t, const struct qed_design_box *b,
                    void (*part)(void *opaque, const struct qed_design_box *part, uint32_t leaf), void *opaque)
{
    split(t, 0, b, part, opaque);
}
