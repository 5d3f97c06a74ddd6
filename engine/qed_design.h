/* qed_design.h: the ordering policy as data.
 *
 * Every question of the QED design debate (which flush, which mark, in which order) is one field here. The engine asks
 * about a field only at the ordering point named with it, with qed_design_in(); nothing else in the engine asks which
 * design it runs. A known bug is one field away from its fix. The first enumerator of each field is the weakest or the
 * historical value.
 *
 *   design_text.h      designs as words: "upstream,data_flush=never", and design files
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
    QED_CLEAR_ON_QUIET =
        16, /* some time after a flush that nothing was allocated since: with no flush of its own (A24) */
};

/* ... and in which order against the flush of the metadata it vouches for. */
enum qed_clear_order {
    QED_CLEAR_WITHOUT_FLUSH,
    QED_CLEAR_BEFORE_FLUSH,           /* header write, then flush (A22) */
    QED_CLEAR_AFTER_FLUSH_IF_WRITTEN, /* as the next, but no flush if this session wrote nothing since the last one */
    QED_CLEAR_AFTER_FLUSH,            /* flush, then header write (A23) */
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
    QED_LOCK_ENTRY, /* the entries it changes: clusters side by side under one table; a new table, its L1 entry */
    QED_LOCK_TABLE, /* the L2 table, or the L1 table when the L2 is to be created */
    QED_LOCK_GATE,  /* one allocating request at a time per image */
};

/* Ordering point "reuse": clusters freed by discard. */
enum qed_reuse {
    QED_REUSE_NEVER,       /* discard is ignored */
    QED_REUSE_AT_ONCE,     /* entry cleared, cluster handed to the next allocation */
    QED_REUSE_AFTER_FLUSH, /* only once a flush has covered the cleared entry */
};

/* Ordering point "phys-size": where it is noted how far allocation came (E), and so what stands for the mark. */
enum qed_phys_size {
    QED_PHYS_SIZE_NONE,
    QED_PHYS_SIZE_HEADER_FIELD,  /* written along with the mark, and valid where the mark is clear (A16) */
    QED_PHYS_SIZE_AUTOCLEAR_BIT, /* the bit that vouches for E stands for the absence of a mark (A17) */
};

/* Ordering point "size-check": what the file's length says at a read-write open, held against E. */
enum qed_size_check {
    QED_SIZE_CHECK_NEVER,
    QED_SIZE_CHECK_MARKED, /* they are equal: a marked image needs no scan (A18) */
    QED_SIZE_CHECK_ALWAYS, /* they differ: an image is scanned even if it is not marked */
};

/* Ordering point "close-flush": the flush of a close, and a guest's flush of a read-only image, where this session wrote
 * nothing. What is pending then is an earlier process's (a crash of that process leaves the disk's cache alone). */
enum qed_close_flush {
    QED_CLOSE_FLUSH_IF_WRITTEN,
    QED_CLOSE_FLUSH_ALWAYS,
};

/* Ordering point "failed-flush": after a flush of the image file has failed, nobody knows what became of all that was
 * pending; the next one may succeed because it was forgotten. */
enum qed_failed_flush {
    QED_FAILED_FLUSH_GO_ON,
    QED_FAILED_FLUSH_FAIL_STOP, /* until the image is closed every flush and every write fails; reads go on */
};

/* The fields, in the order of text and reports: name, number of values. A value is an index into the field's words. */
#define QED_DESIGN_FIELDS(X)                                                                                           \
    X(data_flush, 6)                                                                                                   \
    X(l1_flush, 2) /* ordering point "l1-flush": between a new L2 table and the L1 entry that links it */              \
    X(need_check, 3)                                                                                                   \
    X(need_check_with_backing, 2) /* mark images that have a backing file too */                                       \
    X(clear_on, 32)               /* enum qed_clear_on, or-ed */                                                       \
    X(clear_order, 4)                                                                                                  \
    X(clear_corrupt, 2) /* ... and even where the repair at open left corruptions that it could not mend */            \
    X(publish, 2)                                                                                                      \
    X(failed_table, 2)                                                                                                 \
    X(tail, 3)                                                                                                         \
    X(zero_fill, 3)                                                                                                    \
    X(zero_cluster_fill, 2)                                                                                            \
    X(lock, 4)                                                                                                         \
    X(reuse, 3)                                                                                                        \
    X(evict_referenced, 2)   /* ordering point "evict": the L2 cache may drop tables that requests still use */        \
    X(backing_name_flush, 2) /* ordering point "backing-name-flush": flush before the backing name changes */          \
    X(repair_flush, 2)       /* ordering point "repair-flush": a real flush before repair clears the mark */           \
    X(backing_clip, 2)       /* beyond the backing file's end are zeros; off: -EIO as in the 2010 patch */             \
    X(native_zero, 2)        /* write-zeroes uses zero entries; off: real zeros are written */                         \
    X(check_on_reopen, 2)    /* a read-only to read-write reopen of a marked image checks it */                        \
    X(phys_size, 3)                                                                                                    \
    X(size_check, 3)                                                                                                   \
    X(close_flush, 2)                                                                                                  \
    X(failed_flush, 2)

enum qed_design_field {
#define X(field, values) QED_FIELD_##field,
    QED_DESIGN_FIELDS(X)
#undef X
        QED_FIELD_COUNT
};

/* A set of designs: for each field a set of values, bit v for value v. */
struct qed_design_box {
    uint64_t allowed[QED_FIELD_COUNT];
};

/* What the engine wanted to know of a design, in order: every question whose answer did not follow from those before. The
 * box is what the answers leave: what the engine did up to now, each design of the box would have made it do. */
#define QED_ASKED_MAX 128 /* more than all fields have values: each step takes one away at least */

struct qed_design_asked {
    struct qed_design_box box;
    unsigned count;
    struct qed_design_step {
        uint8_t field;
        bool in; /* the answer */
        uint64_t set;
    } steps[QED_ASKED_MAX];
};

struct qed_design {
    const char *name;
    const char *summary; /* one sentence */
    union {
        struct {
#define X(field, values) uint8_t field;
            QED_DESIGN_FIELDS(X)
#undef X
        };
        uint8_t value[QED_FIELD_COUNT];
    };
    uint32_t clear_timer_ms;        /* quiet time before a timer clears the mark */
    struct qed_design_asked *asked; /* NULL, or where to note what was asked */
};

#define QED_VALUE(v) (UINT64_C(1) << (v))

/* For qed_design_in(). */
void qed_design_note(struct qed_design_asked *a, enum qed_design_field field, uint64_t set, bool in);

/* Is the design's value of this field one of `set`? The only way in which the engine reads a design. */
static inline bool qed_design_in(const struct qed_design *d, enum qed_design_field field, uint64_t set)
{
    bool in = set >> d->value[field] & 1;
    if (d->asked)
        qed_design_note(d->asked, field, set, in);
    return in;
}

static inline bool qed_design_is(const struct qed_design *d, enum qed_design_field field, unsigned value)
{
    return qed_design_in(d, field, QED_VALUE(value));
}

/* The named designs, in a fixed order. */
extern const struct qed_design qed_designs[];
extern const size_t qed_design_count;

/* NULL when there is no such design. */
const struct qed_design *qed_design_find(const char *name);

#endif
