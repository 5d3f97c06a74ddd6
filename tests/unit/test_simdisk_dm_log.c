/* The log that others replay: its bytes are the format's, its order that of completion, and it ends at the crash. Read back
 * it rebuilds the image; what is no log gets one sentence. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "simdisk/dm_log.h"

static uint32_t write_at(struct history *h, uint64_t sector, uint64_t sectors, uint8_t byte)
{
    uint8_t *data = malloc(sectors * 512);
    assert_non_null(data);
    memset(data, byte, sectors * 512);
    const struct hist_op op = {.kind = HIST_WRITE,
                               .label = BLK_EVENT_WRITE_AIO,
                               .reached_disk = true,
                               .offset_bytes = sector * 512,
                               .length_bytes = sectors * 512,
                               .data = data};
    return history_submit(h, &op);
}

static uint32_t flush(struct history *h)
{
    const struct hist_op op = {.kind = HIST_FLUSH, .label = BLK_EVENT_FLUSH_TO_DISK};
    return history_submit(h, &op);
}

/*   event    0   1   2   3   4    5    6    7   8    9
 *            W1  W2  ok2 ok1 F    okF  grow ok  W3   ok3(never before the crash at 9)  */
static struct history *example(void)
{
    struct history *h = history_create(sim_pages_create(), 0, false);
    const struct hist_op grow = {.kind = HIST_RESIZE, .label = BLK_EVENT_TRUNCATE, .length_bytes = 8192};
    uint32_t first = write_at(h, 8, 2, 0x11), second = write_at(h, 3, 1, 0x22);
    history_done(h, second, 0);
    history_done(h, first, 0);
    history_done(h, flush(h), 0);
    history_done(h, history_submit(h, &grow), 0);
    history_done(h, write_at(h, 5, 1, 0x33), 0);
    return h;
}

static uint64_t number(const uint8_t *at)
{
    uint64_t value = 0;
    for (int i = 7; i >= 0; i--)
        value = value << 8 | at[i];
    return value;
}

struct log {
    char *bytes;
    size_t size;
    uint64_t entries, in_flight;
};

static struct log log_of(const struct history *h, uint32_t crash_point)
{
    struct log l = {0};
    FILE *out = open_memstream(&l.bytes, &l.size);
    assert_non_null(out);
    l.entries = dm_log_write(out, h, crash_point, &l.in_flight);
    fclose(out);
    return l;
}

static const uint8_t *expect_entry(const uint8_t *at, uint64_t sector, uint64_t sectors, uint64_t flags, int byte)
{
    assert_int_equal(number(at), sector);
    assert_int_equal(number(at + 8), sectors);
    assert_int_equal(number(at + 16), flags);
    assert_int_equal(number(at + 24), sectors * 512);
    for (size_t i = 0; i < sectors * 512; i++)
        assert_int_equal(at[512 + i], byte);
    return at + 512 + sectors * 512;
}

static void bytes_are_the_format(void **state)
{
    struct history *h = example();
    struct log l = log_of(h, 9);
    const uint8_t *at = (const uint8_t *)l.bytes;
    (void)state;
    assert_memory_equal(at, "rhswfsj\0", 8); /* 0x6a736677736872 */
    assert_int_equal(number(at + 8), 1);
    assert_int_equal(number(at + 16), 4);
    assert_memory_equal(at + 24, "\0\2\0\0", 4);
    at = expect_entry(at + 512, 3, 1, 0, 0x22); /* completed first */
    at = expect_entry(at, 8, 2, 0, 0x11);
    at = expect_entry(at, 0, 0, 1, 0);
    at = expect_entry(at, 5, 1, 0, 0x33); /* in flight; the change of length left nothing */
    assert_ptr_equal(at, l.bytes + l.size);
    assert_int_equal(l.entries, 4);
    assert_int_equal(l.in_flight, 1);
    free(l.bytes);
    history_destroy(h);
}

static void the_log_ends_at_the_crash(void **state)
{
    static const struct {
        uint32_t point;
        uint64_t entries, in_flight;
    } want[] = {{0, 0, 0}, {1, 1, 1}, {2, 2, 2}, {3, 2, 1}, {4, 2, 0},
                {5, 2, 0}, {6, 3, 0}, {8, 3, 0}, {9, 4, 1}, {10, 4, 0}};
    struct history *h = example();
    (void)state;
    for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
        struct log l = log_of(h, want[i].point);
        assert_int_equal(l.entries, want[i].entries);
        assert_int_equal(l.in_flight, want[i].in_flight);
        assert_int_equal(number((const uint8_t *)l.bytes + 16), want[i].entries);
        free(l.bytes);
    }
    history_destroy(h);
}

/* ---- reading ---- */

struct seen {
    uint64_t count, stop_at, last_flags, last_offset, last_length;
    struct sim_pages *image;
};

static int take_entry(void *opaque, const struct dm_log_entry *e)
{
    struct seen *s = opaque;
    assert_int_equal(e->number, s->count);
    s->count++;
    s->last_flags = e->flags;
    s->last_offset = e->offset_bytes;
    s->last_length = e->length_bytes;
    if (s->image && e->data)
        sim_pages_write(s->image, e->offset_bytes, e->data, e->length_bytes);
    return s->stop_at && s->count == s->stop_at ? 77 : 0;
}

/* What a completion-order replay of the history up to the crash point gives. */
static void apply(struct sim_pages *to, const struct history *h, uint32_t point)
{
    for (uint32_t i = 0; i < point; i++) {
        const struct hist_op *op = &h->ops[h->events[i].op];
        if (h->events[i].kind == HIST_DONE && op->kind == HIST_WRITE)
            sim_pages_write(to, op->offset_bytes, op->data, op->length_bytes);
    }
    for (uint32_t i = 0; i < h->op_count; i++) {
        const struct hist_op *op = &h->ops[i];
        if (op->kind == HIST_WRITE && op->submitted < point && op->done >= point)
            sim_pages_write(to, op->offset_bytes, op->data, op->length_bytes);
    }
}

static void an_export_read_back_rebuilds_the_image(void **state)
{
    struct history *h = example();
    (void)state;
    for (uint32_t point = 0; point <= h->event_count; point++) {
        struct log l = log_of(h, point);
        struct seen s = {.image = sim_pages_create()};
        struct sim_pages *want = sim_pages_create();
        struct dm_log_error err;
        uint8_t a[16 * 512], b[16 * 512];
        assert_int_equal(dm_log_read((const uint8_t *)l.bytes, l.size, take_entry, &s, &err), 0);
        assert_int_equal(s.count, l.entries);
        apply(want, h, point);
        sim_pages_read(want, 0, a, sizeof(a));
        sim_pages_read(s.image, 0, b, sizeof(b));
        assert_memory_equal(a, b, sizeof(a));
        sim_pages_destroy(want);
        sim_pages_destroy(s.image);
        free(l.bytes);
    }
    history_destroy(h);
}

static void set_number(char *at, uint64_t value)
{
    for (int i = 0; i < 8; i++, value >>= 8)
        at[i] = (char)value;
}

static void expect_bad(const char *bytes, size_t size, const char *words)
{
    struct seen s = {0};
    struct dm_log_error err = {""};
    char *exact = malloc(size ? size : 1); /* so that a sanitizer sees the byte behind it */
    assert_non_null(exact);
    memcpy(exact, bytes, size);
    assert_int_equal(dm_log_read((const uint8_t *)exact, size, take_entry, &s, &err), -EINVAL);
    if (!strstr(err.text, words))
        fail_msg("'%s' instead of '%s'", err.text, words);
    free(exact);
}

static void what_is_no_log_gets_one_sentence(void **state)
{
    struct history *h = example();
    struct log l = log_of(h, 9);
    const struct {
        size_t at;
        uint64_t value;
        const char *words;
    } garbled[] = {
        {0, 1, "no dm-log-writes log"},
        {8, 2, "version 2"},
        {16, 5, "says it has 5 entries, and ends after 4"},
        {16, UINT64_MAX, "cut off"},
        {24, 0, "sector size of 0"},
        {24, 513, "sector size of 513"},
        {24, 0x80000000, "sector size"},
        {512, UINT64_MAX, "entry 0 of the log lies beyond any disk"},
        {520, UINT64_MAX, "entry 0 of the log lies beyond any disk"},
        {520, 1000, "cut off in the data of entry 0"},
        {528, 32, "entry 0 of the log has unknown flags 0x20"},
        {528, UINT64_MAX, "unknown flags"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(garbled) / sizeof(garbled[0]); i++) {
        char saved[8];
        memcpy(saved, l.bytes + garbled[i].at, 8);
        set_number(l.bytes + garbled[i].at, garbled[i].value);
        expect_bad(l.bytes, l.size, garbled[i].words);
        memcpy(l.bytes + garbled[i].at, saved, 8);
    }
    for (size_t size = 0; size < l.size; size++)
        expect_bad(l.bytes, size, size < 512 ? "too few" : "cut off");
    free(l.bytes);
    history_destroy(h);
}

static void other_sectors_marks_and_a_stale_count(void **state)
{
    enum { S = 4096 };
    static char log[7 * S];
    struct seen s = {0};
    struct dm_log_error err;
    (void)state;
    set_number(log, UINT64_C(0x6a736677736872));
    set_number(log + 8, 1);
    set_number(log + 16, 1); /* brought up to date at the last flush */
    set_number(log + 24, S);
    set_number(log + S + 16, DM_LOG_MARK);
    set_number(log + S + 24, 5);
    memcpy(log + S + 32, "hello", 5);
    set_number(log + 2 * S, 3);
    set_number(log + 2 * S + 8, 9);
    set_number(log + 2 * S + 16, DM_LOG_DISCARD); /* no data behind it */
    set_number(log + 3 * S, 7);
    set_number(log + 3 * S + 8, 1);
    set_number(log + 3 * S + 16, DM_LOG_FUA | DM_LOG_FLUSH);
    assert_int_equal(dm_log_read((const uint8_t *)log, sizeof(log), take_entry, &s, &err), 0);
    assert_int_equal(s.count, 3); /* and then zeros */
    assert_int_equal(s.last_flags, DM_LOG_FUA | DM_LOG_FLUSH);
    assert_int_equal(s.last_offset, 7 * S);
    assert_int_equal(s.last_length, S);
    s = (struct seen){.stop_at = 2};
    assert_int_equal(dm_log_read((const uint8_t *)log, sizeof(log), take_entry, &s, &err), 77);
    assert_int_equal(s.count, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_are_the_format),
        cmocka_unit_test(the_log_ends_at_the_crash),
        cmocka_unit_test(an_export_read_back_rebuilds_the_image),
        cmocka_unit_test(what_is_no_log_gets_one_sentence),
        cmocka_unit_test(other_sectors_marks_and_a_stale_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
