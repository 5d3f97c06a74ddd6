/* design.c: the named designs.
 *
 * Every field is named in every design, so that two designs can be compared line by line; cow-flush is v2 with exactly
 * one line changed.
 */
#include "engine/qed_design.h"

#include <string.h>

const struct qed_design qed_designs[] = {
    {
        .name = "v2",
        .summary =
            "The 2010 patch series up to patch 6: table locks, no mark, no flush but the one before an L1 update.",
        .data_flush = QED_DATA_FLUSH_NEVER,
        .l1_flush = true,
        .need_check = QED_NEED_CHECK_OFF,
        .need_check_with_backing = false,
        .clear_on = 0,
        .clear_order = QED_CLEAR_AFTER_FLUSH,
        .clear_corrupt = true,
        .clear_timer_ms = 0,
        .publish = QED_PUBLISH_BEFORE_WRITE,
        .failed_table = QED_FAILED_TABLE_KEEP,
        .tail = QED_TAIL_ROUND_DOWN,
        .zero_fill = QED_ZERO_FILL_WRITTEN,
        .zero_cluster_fill = QED_ZERO_CLUSTER_FILL_BACKING,
        .lock = QED_LOCK_TABLE,
        .reuse = QED_REUSE_NEVER,
        .evict_referenced = false,
        .backing_name_flush = false,
        .repair_flush = true,
        .backing_clip = false,
        .native_zero = false,
        .check_on_reopen = false,
    },
    {
        .name = "cow-flush",
        .summary = "v2 with one flush more: copied backing data is durable before the table entry that replaces it.",
        .data_flush = QED_DATA_FLUSH_COW,
        .l1_flush = true,
        .need_check = QED_NEED_CHECK_OFF,
        .need_check_with_backing = false,
        .clear_on = 0,
        .clear_order = QED_CLEAR_AFTER_FLUSH,
        .clear_corrupt = true,
        .clear_timer_ms = 0,
        .publish = QED_PUBLISH_BEFORE_WRITE,
        .failed_table = QED_FAILED_TABLE_KEEP,
        .tail = QED_TAIL_ROUND_DOWN,
        .zero_fill = QED_ZERO_FILL_WRITTEN,
        .zero_cluster_fill = QED_ZERO_CLUSTER_FILL_BACKING,
        .lock = QED_LOCK_TABLE,
        .reuse = QED_REUSE_NEVER,
        .evict_referenced = false,
        .backing_name_flush = false,
        .repair_flush = true,
        .backing_clip = false,
        .native_zero = false,
        .check_on_reopen = false,
    },
    {
        .name = "upstream",
        .summary = "What QEMU 7.2 ships: a need-check mark without a backing file, a data flush with one.",
        .data_flush = QED_DATA_FLUSH_BACKING,
        .l1_flush = true,
        .need_check = QED_NEED_CHECK_WRITTEN,
        .need_check_with_backing = false,
        .clear_on = QED_CLEAR_ON_CLOSE | QED_CLEAR_ON_TIMER,
        .clear_order = QED_CLEAR_AFTER_FLUSH,
        .clear_corrupt = true,
        .clear_timer_ms = 5000,
        .publish = QED_PUBLISH_BEFORE_WRITE,
        .failed_table = QED_FAILED_TABLE_KEEP,
        .tail = QED_TAIL_ROUND_DOWN,
        .zero_fill = QED_ZERO_FILL_WRITTEN,
        .zero_cluster_fill = QED_ZERO_CLUSTER_FILL_BACKING,
        .lock = QED_LOCK_GATE,
        .reuse = QED_REUSE_NEVER,
        .evict_referenced = false,
        .backing_name_flush = false,
        .repair_flush = false,
        .backing_clip = true,
        .native_zero = true,
        .check_on_reopen = false,
    },
    {
        .name = "careful",
        .summary =
            "Every ordering enforced: flush before every link, a durable mark, nothing visible before it is written.",
        .data_flush = QED_DATA_FLUSH_ALWAYS,
        .l1_flush = true,
        .need_check = QED_NEED_CHECK_FLUSHED,
        .need_check_with_backing = true,
        .clear_on = QED_CLEAR_ON_CLOSE,
        .clear_order = QED_CLEAR_AFTER_FLUSH,
        .clear_corrupt = false,
        .clear_timer_ms = 0,
        .publish = QED_PUBLISH_AFTER_WRITE,
        .failed_table = QED_FAILED_TABLE_ROLL_BACK,
        .tail = QED_TAIL_TRUNCATE,
        .zero_fill = QED_ZERO_FILL_WRITTEN,
        .zero_cluster_fill = QED_ZERO_CLUSTER_FILL_ZEROS,
        .lock = QED_LOCK_GATE,
        .reuse = QED_REUSE_NEVER,
        .evict_referenced = false,
        .backing_name_flush = true,
        .repair_flush = true,
        .backing_clip = true,
        .native_zero = true,
        .check_on_reopen = true,
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
