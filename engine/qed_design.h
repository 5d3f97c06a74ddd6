/* qed_design.h: the ordering policy as data.
 *
 * Every question of the QED design debate (which flush, which mark, in which order) is one field here. The engine reads
 * a field only at the ordering point named with it; nothing else in the engine asks which design it runs. A known bug is
 * one field away from its fix. The first enumerator of each field is the weakest or the historical value.
 */
#ifndef ENGINE_QED_DESIGN_H
#define ENGINE_QED_DESIGN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Ordering point "data-flush": between the last data write of a chunk and its L2 entry. */
enum qed_data_flush {
    QED_DATA_FLUSH_NEVER,
    QED_DATA_FLUSH_COW,     /* only if bytes were copied from a backing file into this chunk */
    QED_DATA_FLUSH_PARTIAL, /* if the chunk had a prefill or postfill, whatever it held */
    QED_DATA_FLUSH_REUSE,   /* only if the cluster was used before (freed, or part of a partial tail) */
    QED_DATA_FLUSH_BACKING, /* whenever the image has a backing file */
    QED_DATA_FLUSH_ALWAYS,
};

/* Ordering point "need-check-set": before the first allocation on an unmarked image. */
enum qed_need_check {
    QED_NEED_CHECK_OFF,
    QED_NEED_CHECK_WRITTEN, /* header written, no flush */
    QED_NEED_CHECK_FLUSHED, /* header written and flushed before anything else */
};

/* Ordering point "need-check-clear": when the mark may go (a set). Never: 0. */
enum qed_clear_on {
    QED_CLEAR_ON_CLOSE = 1,
    QED_CLEAR_ON_GUEST_FLUSH = 2,
    QED_CLEAR_ON_L1_UPDATE = 4,
    QED_CLEAR_ON_TIMER = 8,
};

/* ... and in which order against the flush of the metadata it vouches for. */
enum qed_clear_order {
    QED_CLEAR_WITHOUT_FLUSH,
    QED_CLEAR_BEFORE_FLUSH, /* header write, then flush (A22) */
    QED_CLEAR_AFTER_FLUSH,  /* flush, then header write (A23) */
};

/* Ordering point "publish": when a changed table entry becomes visible to other requests. */
enum qed_publish {
    QED_PUBLISH_BEFORE_WRITE,
    QED_PUBLISH_AFTER_WRITE,
};

/* Ordering point "failed-table-write": what memory holds after an L2 or L1 sector write failed. */
enum qed_failed_table {
    QED_FAILED_TABLE_KEEP,
    QED_FAILED_TABLE_ROLL_BACK,
};

/* Ordering point "tail": a file length that is no multiple of the cluster size, at a read-write open. */
enum qed_tail {
    QED_TAIL_ROUND_DOWN,
    QED_TAIL_TRUNCATE, /* cut the file to the rounded-down length */
    QED_TAIL_ROUND_UP, /* leave the partial cluster alone for ever */
};

/* Ordering point "fill": prefill and postfill whose bytes are all zero. */
enum qed_zero_fill {
    QED_ZERO_FILL_WRITTEN,
    QED_ZERO_FILL_SKIP_ALL_ZERO,  /* content inspected; neither written nor flushed */
    QED_ZERO_FILL_SKIP_NEW_SPACE, /* skipped only where the cluster lies beyond the file's end at open */
};

/* Ordering point "zero-cluster-fill": what surrounds a partial write into a cluster whose entry says zero. */
enum qed_zero_cluster_fill {
    QED_ZERO_CLUSTER_FILL_BACKING, /* QEMU 7.2's quirk */
    QED_ZERO_CLUSTER_FILL_ZEROS,
};

/* Ordering point "lock": what an allocating request holds while it is under way. */
enum qed_lock {
    QED_LOCK_NONE,
    QED_LOCK_TABLE, /* the L2 table, or the L1 table when the L2 is to be created */
    QED_LOCK_GATE,  /* one allocating request at a time per image */
};

/* Ordering point "reuse": clusters freed by discard. */
enum qed_reuse {
    QED_REUSE_NEVER,       /* discard is ignored */
    QED_REUSE_AT_ONCE,     /* entry cleared, cluster handed to the next allocation */
    QED_REUSE_AFTER_FLUSH, /* only once a flush has covered the cleared entry */
};

struct qed_design {
    const char *name;
    const char *summary; /* one sentence */
    enum qed_data_flush data_flush;
    bool l1_flush; /* ordering point "l1-flush": between a new L2 table and the L1 entry that links it */
    enum qed_need_check need_check;
    bool need_check_with_backing; /* mark images that have a backing file too */
    unsigned clear_on;            /* enum qed_clear_on, or-ed */
    enum qed_clear_order clear_order;
    bool clear_corrupt;      /* ... and even where the repair at open left corruptions that it could not mend */
    uint32_t clear_timer_ms; /* quiet time before a timer clears the mark */
    enum qed_publish publish;
    enum qed_failed_table failed_table;
    enum qed_tail tail;
    enum qed_zero_fill zero_fill;
    enum qed_zero_cluster_fill zero_cluster_fill;
    enum qed_lock lock;
    enum qed_reuse reuse;
    bool evict_referenced;   /* ordering point "evict": the L2 cache may drop tables that requests still use */
    bool backing_name_flush; /* ordering point "backing-name-flush": flush before the backing name changes */
    bool repair_flush;       /* ordering point "repair-flush": a real flush before repair clears the mark */
    bool backing_clip;       /* reads beyond the backing file's end are zeros; off: -EIO as in the 2010 patch */
    bool native_zero;        /* write-zeroes uses zero entries; off: real zeros are written */
    bool check_on_reopen;    /* a read-only to read-write reopen of a marked image checks it */
};

/* The named designs, in a fixed order. */
extern const struct qed_design qed_designs[];
extern const size_t qed_design_count;

/* NULL when there is no such design. */
const struct qed_design *qed_design_find(const char *name);

#endif
