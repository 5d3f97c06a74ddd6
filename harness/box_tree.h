/* box_tree.h: what a test asks of a design, as a decision tree, and lists of boxes of designs to run through it. */
#ifndef HARNESS_BOX_TREE_H
#define HARNESS_BOX_TREE_H

#include "engine/design_box.h"

struct box_list {
    struct qed_design_box *items;
    size_t count, cap;
};
void box_list_add(struct box_list *l, const struct qed_design_box *b);
/* Boxes that differ in one field only become one. The set stays what it was. */
void box_list_merge(struct box_list *l);
double box_list_count(const struct box_list *l);
bool box_list_has(const struct box_list *l, const struct qed_design *d);
void box_list_free(struct box_list *l);

/* Leaves are numbers given by whoever grows the tree. */
struct box_tree;
struct box_tree *box_tree_create(void);
void box_tree_destroy(struct box_tree *t);
/* A part of b about which the tree knows nothing yet; false if there is none. */
bool box_tree_unknown(const struct box_tree *t, const struct qed_design_box *b, struct qed_design_box *part);
/* What a run of d asked, and its leaf. Equal runs may ask in another order: the tree keeps its own, and asked is narrowed to
 * the part of its box that this leaf stands for. */
void box_tree_add(struct box_tree *t, const struct qed_design *d, struct qed_design_asked *asked, uint32_t leaf);
/* False if the tree does not know. */
bool box_tree_find(const struct box_tree *t, const struct qed_design *d, uint32_t *leaf);
/* Notes what a run of this design, which is known, asked. */
void box_tree_note(const struct box_tree *t, const struct qed_design *d, struct qed_design_asked *asked);
/* The parts of b whose leaves `keep` likes, in as few boxes as the tree allows. b must be known all over. */
void box_tree_filter(const struct box_tree *t, const struct qed_design_box *b,
                     bool (*keep)(void *opaque, uint32_t leaf), void *opaque, struct box_list *out);
/* b, part by part, each with its leaf. */
void box_tree_split(const struct box_tree *t, const struct qed_design_box *b,
                    void (*part)(void *opaque, const struct qed_design_box *part, uint32_t leaf), void *opaque);

#endif
