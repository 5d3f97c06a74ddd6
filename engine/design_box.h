/* design_box.h: sets of designs. A box is a set of values per field; it stands for every combination of them. */
#ifndef ENGINE_DESIGN_BOX_H
#define ENGINE_DESIGN_BOX_H

#include "engine/qed_design.h"

/* Every design there is. */
struct qed_design_box qed_box_all(void);
/* Nothing was asked yet. */
void qed_asked_begin(struct qed_design_asked *a);
/* One design. */
struct qed_design_box qed_box_of(const struct qed_design *d);
bool qed_box_empty(const struct qed_design_box *b);
bool qed_box_has(const struct qed_design_box *b, const struct qed_design *d);
bool qed_box_meets(const struct qed_design_box *a, const struct qed_design_box *b);
bool qed_box_within(const struct qed_design_box *inner, const struct qed_design_box *outer);
struct qed_design_box qed_box_and(const struct qed_design_box *a, const struct qed_design_box *b);
/* a without b, as disjoint boxes: at most QED_FIELD_COUNT. Returns how many. */
unsigned qed_box_minus(const struct qed_design_box *a, const struct qed_design_box *b,
                       struct qed_design_box out[QED_FIELD_COUNT]);
/* Designs in it: exact up to 2^53. */
double qed_box_count(const struct qed_design_box *b);
/* The box's weakest design: of each field the value with the least rank. Name, summary and timer stay as they are. */
void qed_box_weakest(const struct qed_design_box *b, struct qed_design *d);

/* How strong a value is among those of its field: a value is weaker than another if its rank is less. The safest has the
 * highest. For clear_on: the fewer occasions, the stronger. Fields that order nothing have one rank. */
int qed_design_rank(enum qed_design_field field, unsigned value);

/* Is `value` weaker than `than`? For clear_on: one occasion more. */
bool qed_design_weaker(enum qed_design_field field, unsigned value, unsigned than);

#endif
