/* The log that others replay: its bytes are the format's, its order that of completion, and it ends at the crash. */
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

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(bytes_are_the_format),
                                       cmocka_unit_test(the_log_ends_at_the_crash)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
