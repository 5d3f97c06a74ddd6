/* cell_wire.h: a cell's result as bytes, from the worker that judged it to the parent that stores it. Both are the same
 * program: the bytes hold its structs, and are good for nothing else.
 */
#ifndef HARNESS_CELL_WIRE_H
#define HARNESS_CELL_WIRE_H

#include "harness/bytes.h"
#include "harness/cell.h"
#include "harness/workers.h"
#include "reports/store.h"

void cell_wire_put(struct bytes *out, const struct store_cell *cell);

/* In a worker: judges the cell, beating meanwhile. The answer is 0 and the cell, or what was wrong (an errno) and one
 * sentence. options: stop and beat are set here. */
void cell_wire_judge(const struct scenario *s, const struct qed_design *design, const struct sim_disk_model *disk,
                     const struct cell_options *options, struct workers_self *self, struct bytes *answer);

struct cell_wire {
    struct store_cell cell; /* its texts lie in the bytes it was taken from */
    struct store_schedules schedules;
    struct store_finding *findings;
    struct timeline *timelines;
    struct store_epoch *epochs;
};

/* False if the bytes are no cell; there is nothing to free then. */
bool cell_wire_take(struct bytes_reader *in, struct cell_wire *out);
void cell_wire_free(struct cell_wire *w);

#endif
