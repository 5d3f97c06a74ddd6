/* design.c: the named designs.
 *
 * Four of them name every field, so that they can be compared line by line. The others are one of these with a few
 * fields changed: what stands below the base is all that is different.
 */
#include "engine/qed_design.h"

#include <string.h>

/* clang-format off */

/* The 2010 patch series up to patch 6. */
#define V2                                                              \
    .data_flush = QED_DATA_FLUSH_NEVER,                                 \
    .l1_flush = true,                                                   \
    .need_check = QED_NEED_CHECK_OFF,                                   \
    .need_check_with_backing = false,                                   \
    .clear_on = 0,                                                      \
    .clear_order = QED_CLEAR_AFTER_FLUSH,                               \
    .clear_timer_ms = 5000,                                             \
    .clear_corrupt = true,                                              \
    .publish = QED_PUBLISH_BEFORE_WRITE,                                \
    .failed_table = QED_FAILED_TABLE_KEEP,                              \
    .tail = QED_TAIL_ROUND_DOWN,                                        \
    .zero_fill = QED_ZERO_FILL_WRITTEN,                                 \
    .zero_cluster_fill = QED_ZERO_CLUSTER_FILL_BACKING,                 \
    .lock = QED_LOCK_TABLE,                                             \
    .reuse = QED_REUSE_NEVER,                                           \
    .evict_referenced = false,                                          \
    .backing_name_flush = false,                                        \
    .repair_flush = true,                                               \
    .backing_clip = false,                                              \
    .native_zero = false,                                               \
    .check_on_reopen = false,                                           \
    .phys_size = QED_PHYS_SIZE_NONE,                                    \
    .size_check = QED_SIZE_CHECK_NEVER,                                 \
    .close_flush = QED_CLOSE_FLUSH_IF_WRITTEN,                          \
    .failed_flush = QED_FAILED_FLUSH_GO_ON

/* What QEMU 7.2 ships. */
#define UPSTREAM                                                        \
    .data_flush = QED_DATA_FLUSH_BACKING,                               \
    .l1_flush = true,                                                   \
    .need_check = QED_NEED_CHECK_WRITTEN,                               \
    .need_check_with_backing = false,                                   \
    .clear_on = QED_CLEAR_ON_CLOSE | QED_CLEAR_ON_TIMER,                \
    .clear_order = QED_CLEAR_AFTER_FLUSH,                               \
    .clear_timer_ms = 5000,                                             \
    .clear_corrupt = true,                                              \
    .publish = QED_PUBLISH_BEFORE_WRITE,                                \
    .failed_table = QED_FAILED_TABLE_KEEP,                              \
    .tail = QED_TAIL_ROUND_DOWN,                                        \
    .zero_fill = QED_ZERO_FILL_WRITTEN,                                 \
    .zero_cluster_fill = QED_ZERO_CLUSTER_FILL_BACKING,                 \
    .lock = QED_LOCK_GATE,                                              \
    .reuse = QED_REUSE_NEVER,                                           \
    .evict_referenced = false,                                          \
    .backing_name_flush = false,                                        \
    .repair_flush = false,                                              \
    .backing_clip = true,                                               \
    .native_zero = true,                                                \
    .check_on_reopen = false,                                           \
    .phys_size = QED_PHYS_SIZE_NONE,                                    \
    .size_check = QED_SIZE_CHECK_NEVER,                                 \
    .close_flush = QED_CLOSE_FLUSH_IF_WRITTEN,                          \
    .failed_flush = QED_FAILED_FLUSH_GO_ON

/* Every field at its safest value. phys_size stays none: E spares scans of fixed devices and makes nothing safer by itself;
 * in the header it is wrong once a program that does not know it has written, and under an autoclear bit every image that
 * another program made or touched is scanned. */
#define CAREFUL                                                         \
    .data_flush = QED_DATA_FLUSH_ALWAYS,                                \
    .l1_flush = true,                                                   \
    .need_check = QED_NEED_CHECK_FLUSHED,                               \
    .need_check_with_backing = true,                                    \
    .clear_on = QED_CLEAR_ON_CLOSE,                                     \
    .clear_order = QED_CLEAR_AFTER_FLUSH,                               \
    .clear_timer_ms = 5000,                                             \
    .clear_corrupt = false,                                             \
    .publish = QED_PUBLISH_AFTER_WRITE,                                 \
    .failed_table = QED_FAILED_TABLE_ROLL_BACK,                         \
    .tail = QED_TAIL_TRUNCATE,                                          \
    .zero_fill = QED_ZERO_FILL_WRITTEN,                                 \
    .zero_cluster_fill = QED_ZERO_CLUSTER_FILL_ZEROS,                   \
    .lock = QED_LOCK_GATE,                                              \
    .reuse = QED_REUSE_NEVER,                                           \
    .evict_referenced = false,                                          \
    .backing_name_flush = true,                                         \
    .repair_flush = true,                                               \
    .backing_clip = true,                                               \
    .native_zero = true,                                                \
    .check_on_reopen = true,                                            \
    .phys_size = QED_PHYS_SIZE_NONE,                                    \
    .size_check = QED_SIZE_CHECK_NEVER,                                 \
    .close_flush = QED_CLOSE_FLUSH_ALWAYS,                              \
    .failed_flush = QED_FAILED_FLUSH_FAIL_STOP

/* clang-format on */

/* The mark of QEMU 7.2, but durable before the tables change, and cleared at close: what the schedules start from. */
#define MARKED UPSTREAM, .need_check = QED_NEED_CHECK_FLUSHED, .clear_on = QED_CLEAR_ON_CLOSE

/* A base's fields are meant to be overridden. */
#pragma GCC diagnostic ignored "-Woverride-init"

const struct qed_design qed_designs[] = {
    {
        .name = "v2",
        .summary =
            "The 2010 patch series up to patch 6: table locks, no mark, no flush but the one before an L1 update.",
        V2,
    },
    {
        .name = "cow-flush",
        .summary = "v2 with one flush more: copied backing data is durable before the table entry that replaces it.",
        V2,
        .data_flush = QED_DATA_FLUSH_COW,
    },
    {
        .name = "upstream",
        .summary = "What QEMU 7.2 ships: a need-check mark without a backing file, a data flush with one.",
        UPSTREAM,
    },
    {
        .name = "careful",
        .summary =
            "Every ordering enforced: flush before every link, a durable mark, nothing visible before it is written.",
        CAREFUL,
    },
    {
        .name = "flush-always",
        .summary = "v2 with a flush between the data of every new cluster and the entry that names it (A1, A13).",
        V2,
        .data_flush = QED_DATA_FLUSH_ALWAYS,
    },
    {
        .name = "zero-detect",
        .summary = "cow-flush, but fills that are all zeros are neither written nor flushed (A12).",
        V2,
        .data_flush = QED_DATA_FLUSH_COW,
        .zero_fill = QED_ZERO_FILL_SKIP_ALL_ZERO,
    },
    {
        .name = "skip-no-backing",
        .summary =
            "v2 with the data flush where there is a backing file, and no mark to make up for it elsewhere (A14, A15).",
        V2,
        .data_flush = QED_DATA_FLUSH_BACKING,
    },
    {
        .name = "trim",
        .summary = "v2 with clusters that a discard frees handed out again at once (A3b).",
        V2,
        .reuse = QED_REUSE_AT_ONCE,
    },
    {
        .name = "trim-flush",
        .summary = "v2 with freed clusters handed out again once a flush has covered their release (A1, A3b).",
        V2,
        .reuse = QED_REUSE_AFTER_FLUSH,
    },
    {
        .name = "reuse-flush",
        .summary = "trim with the data flush where, and only where, a cluster is used again (A1, A2).",
        V2,
        .data_flush = QED_DATA_FLUSH_REUSE,
        .reuse = QED_REUSE_AT_ONCE,
    },
    {
        .name = "mark-written",
        .summary =
            "upstream with the mark cleared at close only; it is written and not flushed before tables change (A9).",
        UPSTREAM,
        .clear_on = QED_CLEAR_ON_CLOSE,
    },
    {
        .name = "mark-flushed",
        .summary = "upstream with the mark cleared at close only, and durable before tables change (A9).",
        MARKED,
    },
    {
        .name = "mark-on-flush",
        .summary = "mark-flushed, with the mark cleared after guest flushes and L1 updates as well (A20, A23).",
        MARKED,
        .clear_on = QED_CLEAR_ON_CLOSE | QED_CLEAR_ON_GUEST_FLUSH | QED_CLEAR_ON_L1_UPDATE,
    },
    {
        .name = "timer",
        .summary = "mark-flushed, with the mark cleared by the timer alone, after a flush of its own (A21).",
        MARKED,
        .clear_on = QED_CLEAR_ON_TIMER,
    },
    {
        .name = "naive",
        .summary = "mark-flushed, with the mark cleared between an L1 update and the flush behind it (A22).",
        MARKED,
        .clear_on = QED_CLEAR_ON_CLOSE | QED_CLEAR_ON_L1_UPDATE,
        .clear_order = QED_CLEAR_BEFORE_FLUSH,
    },
    {
        .name = "eight-step",
        .summary =
            "mark-flushed, with the mark cleared some time after any flush, if nothing was allocated since (A24).",
        MARKED,
        .clear_on = QED_CLEAR_ON_CLOSE | QED_CLEAR_ON_QUIET,
    },
    {
        .name = "seven-step",
        .summary =
            "mark-flushed, with the mark cleared after every guest flush, and after one that a timer makes (A25).",
        MARKED,
        .clear_on = QED_CLEAR_ON_CLOSE | QED_CLEAR_ON_GUEST_FLUSH | QED_CLEAR_ON_TIMER,
    },
    {
        .name = "phys-size",
        .summary = "careful, with the end of the last allocation in a header field, written along with the mark (A16).",
        CAREFUL,
        .phys_size = QED_PHYS_SIZE_HEADER_FIELD,
    },
    {
        .name = "size-check",
        .summary = "phys-size, but a marked image whose length is what the field says is not scanned (A18).",
        CAREFUL,
        .phys_size = QED_PHYS_SIZE_HEADER_FIELD,
        .size_check = QED_SIZE_CHECK_MARKED,
    },
    {
        .name = "autoclear",
        .summary =
            "careful, with an autoclear bit that vouches for that end and for the tables, in place of the mark (A17).",
        CAREFUL,
        .phys_size = QED_PHYS_SIZE_AUTOCLEAR_BIT,
    },
};

const size_t qed_design_count = sizeof(qed_designs) / sizeof(qed_designs[0]);

const struct qed_design *qed_design_find(const char *name)
{
    for (size_t i = 0; i < qed_design_count; i++) {
        if (!strcmp(qed_designs[i].name, name))
            return &qed_designs[i];
    }
    return NULL;
}
