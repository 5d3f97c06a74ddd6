/* The history and its names; the disk models. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "simdisk/disk_model.h"
#include "simdisk/history.h"

static uint32_t submit(struct history *h, enum hist_kind kind, enum blk_event label)
{
    struct hist_op op = {.kind = kind, .label = label, .done = 5, .ret = 5, .ordinal = 5, .length_bytes = 512};

    op.data = kind == HIST_WRITE ? calloc(1, 512) : NULL;
    return history_submit(h, &op);
}

static void test_names(void **state)
{
    static const struct {
        enum hist_kind kind;
        enum blk_event label;
        const char *name;
    } ops[] = {
        {HIST_WRITE, BLK_EVENT_HEADER_UPDATE, "hdr"},
        {HIST_WRITE, BLK_EVENT_L1_UPDATE, "L1"},
        {HIST_WRITE, BLK_EVENT_L2_UPDATE, "L2"},
        {HIST_WRITE, BLK_EVENT_L2_ALLOC_WRITE, "NEWL2"},
        {HIST_WRITE, BLK_EVENT_COW_WRITE, "C"},
        {HIST_WRITE, BLK_EVENT_WRITE_AIO, "D"},
        {HIST_FLUSH, BLK_EVENT_FLUSH_TO_DISK, "F"},
        {HIST_FLUSH, BLK_EVENT_NONE, "F#2"}, /* the name counts, not the label */
        {HIST_WRITE, BLK_EVENT_NONE, "W"},
        {HIST_WRITE, BLK_EVENT_READ_AIO, "W#2"},
        {HIST_RESIZE, BLK_EVENT_TRUNCATE, "R"},
        {HIST_RESIZE, BLK_EVENT_NONE, "R#2"},
        {HIST_WRITE, BLK_EVENT_COW_WRITE, "C#2"},
        {HIST_WRITE, BLK_EVENT_COW_WRITE, "C#3"},
        {HIST_WRITE, BLK_EVENT_L2_UPDATE, "L2#2"},
    };
    static const char *const strangers[] = {"", "C#1", "C#4", "C#", "C#02", "c", "L", "L2#", "NEWL2#2", "F#2 "};
    struct history *h = history_create(sim_pages_create(), 0, false);
    char buf[24];

    (void)state;
    for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++)
        assert_int_equal(submit(h, ops[i].kind, ops[i].label), i);
    for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
        history_op_name(h, (uint32_t)i, buf, sizeof(buf));
        assert_string_equal(buf, ops[i].name);
        assert_int_equal(history_op_find(h, ops[i].name, strlen(ops[i].name)), i);
    }
    assert_int_equal(history_op_find(h, "C#2+L2", 3), 12); /* only so many characters */
    for (size_t i = 0; i < sizeof(strangers) / sizeof(strangers[0]); i++)
        assert_int_equal(history_op_find(h, strangers[i], strlen(strangers[i])), HIST_NEVER);
    history_destroy(h);
}

static void test_events(void **state)
{
    struct history *h = history_create(sim_pages_create(), 4096, true);
    char longer[200];
    uint32_t a, f;

    (void)state;
    assert_int_equal(history_now(h), 0);
    a = submit(h, HIST_WRITE, BLK_EVENT_WRITE_AIO);
    assert_int_equal(h->ops[a].done, HIST_NEVER);
    assert_int_equal(h->ops[a].ret, 0);
    f = submit(h, HIST_FLUSH, BLK_EVENT_NONE);
    history_done(h, a, -5);
    memset(longer, 'x', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = 0;
    assert_int_equal(history_mark(h, true, "flush %d", 7), 3);
    assert_int_equal(history_mark(h, false, "%s", longer), 4);
    assert_int_equal(history_now(h), 5);
    assert_int_equal(h->ops[a].submitted, 0);
    assert_int_equal(h->ops[a].done, 2);
    assert_int_equal(h->ops[a].ret, -5);
    assert_int_equal(h->ops[f].done, HIST_NEVER);
    assert_int_equal(h->events[0].kind, HIST_SUBMIT);
    assert_int_equal(h->events[2].kind, HIST_DONE);
    assert_int_equal(h->events[2].op, a);
    assert_int_equal(h->events[3].kind, HIST_MARK);
    assert_int_equal(h->events[4].op, 1);
    assert_true(h->marks[0].boundary);
    assert_string_equal(h->marks[0].text, "flush 7");
    assert_int_equal(strlen(h->marks[1].text), sizeof(h->marks[1].text) - 1);
    assert_true(h->fixed_size);
    assert_int_equal(h->base_length_bytes, 4096);
    history_destroy(h);
    history_destroy(NULL);
}

static void test_grows(void **state)
{
    struct history *h = history_create(sim_pages_create(), 0, false);
    char buf[24];

    (void)state;
    for (int i = 0; i < 1000; i++) {
        submit(h, HIST_WRITE, BLK_EVENT_WRITE_AIO);
        history_mark(h, false, "%d", i);
    }
    history_op_name(h, 999, buf, sizeof(buf));
    assert_string_equal(buf, "D#1000");
    assert_string_equal(h->marks[999].text, "999");
    assert_int_equal(h->event_count, 2000);
    history_destroy(h);
}

static void test_models(void **state)
{
    static const char *const names[] = {"ssd",        "ordered", "writethrough", "atomic-writes", "atom-4k",
                                        "own-length", "hostdev", "fsync-drop",   "liar"};
    const struct sim_disk_model *m;

    (void)state;
    assert_int_equal(sim_disk_model_count, sizeof(names) / sizeof(names[0]));
    for (size_t i = 0; i < sim_disk_model_count; i++) {
        m = sim_disk_model_find(names[i]);
        assert_ptr_equal(m, &sim_disk_models[i]);
        assert_true(strlen(m->summary) > 20);
        assert_int_equal(m->keeps_its_word, strcmp(names[i], "liar") != 0);
        assert_int_equal(m->size == SIM_SIZE_FIXED, strcmp(names[i], "hostdev") == 0);
        assert_int_equal(m->fresh == SIM_FRESH_STALE, strcmp(names[i], "hostdev") == 0);
    }
    assert_null(sim_disk_model_find("SSD"));
    assert_null(sim_disk_model_find(""));
    assert_int_equal(sim_disk_model_find("ordered")->cache, SIM_CACHE_ORDERED);
    assert_int_equal(sim_disk_model_find("writethrough")->cache, SIM_CACHE_WRITE_THROUGH);
    assert_int_equal(sim_disk_model_find("liar")->cache, SIM_CACHE_LYING);
    assert_int_equal(sim_disk_model_find("atomic-writes")->atom, SIM_ATOM_WRITE);
    assert_int_equal(sim_disk_model_find("atom-4k")->atom, SIM_ATOM_4096);
    assert_int_equal(sim_disk_model_find("own-length")->length, SIM_LENGTH_OWN);
    assert_int_equal(sim_disk_model_find("fsync-drop")->failed_flush, SIM_FAILED_FLUSH_DROPS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_events),
        cmocka_unit_test(test_grows),
        cmocka_unit_test(test_models),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
