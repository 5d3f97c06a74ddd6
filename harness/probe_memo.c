/* probe_memo.c: see probe_memo.h. */
#include "harness/probe_memo.h"

#include "simdisk/xalloc.h"

struct known_space {
    struct digest digest;
    struct box_tree *tree;
};

struct probe_memo {
    struct known_space *spaces; /* open addressing; no tree: free */
    size_t count, cap;
    struct probe_leaf *leaves;
    size_t leaf_count, leaf_cap;
};

struct probe_memo *probe_memo_create(void)
{
    return xcalloc(1, sizeof(struct probe_memo));
}

void probe_memo_destroy(struct probe_memo *m)
{
    if (!m)
        return;
    for (size_t i = 0; i < m->cap; i++)
        box_tree_destroy(m->spaces[i].tree);
    free(m->spaces);
    free(m->leaves);
    free(m);
}

static struct known_space *slot(const struct probe_memo *m, struct digest d)
{
    size_t at = (size_t)d.lane[0] & (m->cap - 1);
    while (m->spaces[at].tree && !digest_equal(m->spaces[at].digest, d))
        at = (at + 1) & (m->cap - 1);
    return &m->spaces[at];
}

bool probe_memo_find(const struct probe_memo *m, struct digest space, const struct qed_design *d,
                     struct qed_design_asked *asked, struct probe_leaf *leaf)
{
    const struct known_space *s = m->cap ? slot(m, space) : NULL;
    uint32_t index;
    if (!s || !s->tree || !box_tree_find(s->tree, d, &index))
        return false;
    if (asked)
        box_tree_note(s->tree, d, asked);
    *leaf = m->leaves[index];
    return true;
}

static void grow(struct probe_memo *m)
{
    struct probe_memo old = *m;
    m->cap = old.cap ? old.cap * 2 : 64;
    m->spaces = xcalloc(m->cap, sizeof(*m->spaces));
    for (size_t i = 0; i < old.cap; i++)
        if (old.spaces[i].tree)
            *slot(m, old.spaces[i].digest) = old.spaces[i];
    free(old.spaces);
}

static struct box_tree *tree_of(struct probe_memo *m, struct digest space)
{
    if ((m->count + 1) * 2 > m->cap)
        grow(m);
    struct known_space *s = slot(m, space);
    if (!s->tree) {
        *s = (struct known_space){.digest = space, .tree = box_tree_create()};
        m->count++;
    }
    return s->tree;
}

const struct box_tree *probe_memo_tree(struct probe_memo *m, struct digest space)
{
    return tree_of(m, space);
}

const struct probe_leaf *probe_memo_leaf(const struct probe_memo *m, uint32_t leaf)
{
    return &m->leaves[leaf];
}

void probe_memo_add(struct probe_memo *m, struct digest space, const struct qed_design *d,
                    struct qed_design_asked *asked, struct probe_leaf leaf)
{
    box_tree_add(tree_of(m, space), d, asked, (uint32_t)m->leaf_count);
    m->leaves = xgrow(m->leaves, m->leaf_count, &m->leaf_cap, sizeof(*m->leaves));
    m->leaves[m->leaf_count++] = leaf;
}
