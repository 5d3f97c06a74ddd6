/* Recordings made by hand. What is each write of the log, and whose bytes does it carry? Who covered a write that completed
 * while a flush was in flight? */
#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "harness/cell.h"
#include "oracle/tag.h"
#include "scenarios/replay_internal.h"
#include "simdisk/crash_disk.h"
#include "simdisk/crash_state.h"
#include "simdisk/dm_log.h"
#include "simdisk/xalloc.h"

#define CLUSTER 4096u
#define L1      (1 * CLUSTER)
#define L2      (2 * CLUSTER)
#define DATA    (3 * CLUSTER) /* of guest cluster 0; has write 0x50 in sector 0, zeros else */
#define FRESH   (4 * CLUSTER) /* where guest cluster 1 will be */

/* --- files --------------------------------------------------------------------------------------------------------- */

static char dir[] = "/tmp/qedcrash-replay.XXXXXX";

static FILE *open_file(const char *name)
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    return xalloc_check(fopen(path, "w"));
}

static void put_file(const char *name, const char *text)
{
    FILE *f = open_file(name);
    fputs(text, f);
    fclose(f);
}

static void remove_file(const char *name)
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    unlink(path);
}

static void put_base(bool backed)
{
    const struct qed_header h = {.magic = QED_MAGIC,
                                 .cluster_size = CLUSTER,
                                 .table_size = 1,
                                 .header_size = 1,
                                 .features = backed ? QED_F_BACKING_FILE | QED_F_BACKING_FORMAT_NO_PROBE : 0,
                                 .l1_table_offset = L1,
                                 .image_size = 1u << 20,
                                 .backing_filename_offset = backed ? QED_HEADER_BYTES : 0,
                                 .backing_filename_size = backed ? 11 : 0};
    uint8_t image[FRESH] = {0};
    qed_header_encode(&h, image);
    memcpy(image + QED_HEADER_BYTES, "backing.raw", backed ? 11 : 0);
    image[L1 + 1] = L2 >> 8;
    image[L2 + 1] = DATA >> 8;
    memset(image + DATA, 0x50, 512);
    FILE *f = open_file(REPLAY_BASE);
    fwrite(image, sizeof(image), 1, f);
    fclose(f);
    remove_file(REPLAY_BACKING);
    if (!backed)
        return;
    f = open_file(REPLAY_BACKING);
    for (unsigned i = 0; i < 2 * CLUSTER; i++)
        fputc(0xb0 + (int)(i / 512), f);
    fclose(f);
}

struct line {
    uint64_t offset, length; /* length 0: a flush */
    const uint8_t *data;     /* NULL: filled with byte */
    uint8_t byte;
};

static void put_log(const struct line *lines, size_t count)
{
    FILE *f = open_file(REPLAY_LOG);
    uint8_t sector[512];
    dm_log_super(sector, count);
    fwrite(sector, sizeof(sector), 1, f);
    for (size_t i = 0; i < count; i++) {
        uint64_t head[64] = {lines[i].offset / 512, lines[i].length / 512, lines[i].length ? 0 : DM_LOG_FLUSH,
                             lines[i].length};
        fwrite(head, sizeof(head), 1, f);
        for (uint64_t k = 0; k < lines[i].length; k++)
            fputc(lines[i].data ? lines[i].data[k] : lines[i].byte, f);
    }
    fclose(f);
}

static struct scenario *load(const char *reading)
{
    char name[PATH_MAX];
    struct scenario *s;
    struct scn_error err = {""};
    snprintf(name, sizeof(name), "%s%s", dir, reading);
    if (replay_load(name, &s, &err))
        fail_msg("%s", err.text);
    return s;
}

/* --- whose bytes --------------------------------------------------------------------------------------------------- */

static void is_tag(const uint8_t *bytes, enum tag_kind kind, uint64_t sector, uint32_t write_id)
{
    struct tag tag;
    tag_identify(bytes, &tag);
    assert_int_equal(tag.kind, kind);
    if (kind != TAG_ZERO && kind != TAG_FOREIGN)
        assert_int_equal(tag.sector, sector);
    assert_int_equal(tag.write_id, write_id);
}

/* Guest cluster 1 is allocated for a write of its sector 10: QEMU marks, copies what is before and behind, writes, links. */
static void test_identify(void **state)
{
    (void)state;
    static uint8_t header[CLUSTER], entries[512], before[2 * 512], behind[5 * 512], foreign[512];
    entries[1] = DATA >> 8;
    entries[9] = FRESH >> 8;
    for (unsigned i = 0; i < sizeof(before); i++)
        before[i] = (uint8_t)(0xb8 + i / 512);
    for (unsigned i = 0; i < sizeof(behind); i++)
        behind[i] = (uint8_t)(0xbb + i / 512);
    memset(foreign, 0xee, sizeof(foreign));
    const struct line lines[] = {{0, CLUSTER, header, 0},
                                 {FRESH, sizeof(before), before, 0},
                                 {FRESH + 3 * 512, sizeof(behind), behind, 0},
                                 {FRESH + 2 * 512, 512, NULL, 7},
                                 {0, 0, NULL, 0},
                                 {L2, 512, entries, 0},
                                 {DATA + 512, 512, foreign, 0},
                                 {DATA + 1024, 512, NULL, 0},
                                 {L1, 512, (const uint8_t[512]){0, L2 >> 8}, 0}};
    put_base(true);
    put_log(lines, sizeof(lines) / sizeof(lines[0]));
    put_file(REPLAY_GUEST,
             "{\"op\":\"write\",\"offset\":5120,\"length\":512,\"byte\":7,\"log_start\":0,\"log_end\":6}\n");
    struct scenario *s = load("");
    const struct replay_entry *e = s->replay->entries;
    assert_int_equal(s->replay->entry_count, 9);
    assert_int_equal(e[0].label, BLK_EVENT_HEADER_UPDATE);
    assert_int_equal(e[1].label, BLK_EVENT_COW_WRITE);
    is_tag(e[1].data, TAG_BACKING, 8, 0);
    is_tag(e[1].data + 512, TAG_BACKING, 9, 0);
    assert_int_equal(e[2].label, BLK_EVENT_COW_WRITE);
    is_tag(e[2].data, TAG_BACKING, 11, 0);
    is_tag(e[2].data + 4 * 512, TAG_BACKING, 15, 0);
    assert_int_equal(e[3].label, BLK_EVENT_WRITE_AIO);
    is_tag(e[3].data, TAG_GUEST, 10, 2);
    assert_int_equal(e[4].kind, HIST_FLUSH);
    assert_int_equal(e[5].label, BLK_EVENT_L2_UPDATE);
    assert_memory_equal(e[5].data, entries, 512);
    assert_memory_equal(e[6].data, foreign, 512); /* nobody's bytes stay as they are, and are counted */
    assert_int_equal(s->replay->unknown_sectors, 1);
    is_tag(e[7].data, TAG_ZERO, 0, 0);
    assert_int_equal(e[8].label, BLK_EVENT_L1_UPDATE);
    /* The base image: the write before, and zeros where the backing file has other bytes. */
    uint8_t sector[512];
    sim_pages_read(s->replay->base, DATA, sector, 512);
    is_tag(sector, TAG_GUEST, 0, 1);
    assert_int_equal(s->replay->held_count, 1);
    assert_int_equal(s->replay->zeroed_count, 1);
    assert_int_equal(s->replay->zeroed[0].first_sector, 1);
    assert_int_equal(s->replay->zeroed[0].count, 7);
    sim_pages_read(s->replay->backing, 3 * 512, sector, 512);
    is_tag(sector, TAG_BACKING, 3, 0);
    scenario_free(s);
}

/* --- two readings -------------------------------------------------------------------------------------------------- */

static void count_finding(void *opaque, const struct store_finding *f)
{
    assert_int_equal(f->class, VERDICT_LOST_FLUSHED);
    ++*(size_t *)opaque;
}

static size_t findings(const char *reading, size_t uncovered)
{
    struct scenario *s = load(reading);
    const struct cell_options o = {
        .explore = EXPLORE_COMPLETE, .limit = 100000, .schedule = 1, .seed = 1, .nested = 1, .id_scenario = "rec"};
    struct scn_error err = {""};
    size_t count = 0;
    assert_int_equal(replay_uncovered(s->replay), uncovered);
    assert_int_equal(
        cell_findings(s, qed_design_find("upstream"), sim_disk_model_find("ssd"), &o, count_finding, &count, &err), 0);
    scenario_free(s);
    return count;
}

/* The write in place completes while the first flush is in flight. The second flush has nothing left to do. */
static void test_readings(void **state)
{
    (void)state;
    const struct line lines[] = {{DATA, 512, NULL, 7}, {0, 0, NULL, 0}};
    put_base(false);
    put_log(lines, 2);
    put_file(REPLAY_GUEST, "{\"op\":\"flush\",\"log_start\":0,\"log_end\":2}\n"
                           "{\"op\":\"write\",\"offset\":0,\"length\":512,\"byte\":7,\"log_start\":0,\"log_end\":1}\n"
                           "{\"op\":\"flush\",\"log_start\":2,\"log_end\":2}\n");
    remove_file(REPLAY_META);
    assert_int_equal(findings("", 1), 0);
    assert_int_equal(findings(REPLAY_UNCOVERED, 1), 1);
    put_file(REPLAY_META, "{\"log\":\"blklogwrites\"}\n");
    assert_int_equal(findings(REPLAY_UNCOVERED, 1), 1);
    /* The kernel's target would have entered such a write behind the flush. */
    put_file(REPLAY_META, "{\"log\":\"dm-log-writes\"}\n");
    assert_int_equal(findings("", 0), 0);
    assert_int_equal(findings(REPLAY_UNCOVERED, 0), 0);
    remove_file(REPLAY_META);
}

/* The same, one at a time: the flush covers what was over before it was asked for. */
static void test_one_reading(void **state)
{
    (void)state;
    const struct line lines[] = {{DATA, 512, NULL, 7}, {0, 0, NULL, 0}};
    put_base(false);
    put_log(lines, 2);
    put_file(REPLAY_GUEST, "{\"op\":\"write\",\"offset\":0,\"length\":512,\"byte\":7,\"log_start\":0,\"log_end\":1}\n"
                           "{\"op\":\"flush\",\"log_start\":1,\"log_end\":2}\n");
    assert_int_equal(findings("", 0), 0);
    assert_int_equal(findings(REPLAY_UNCOVERED, 0), 0);
}

static void test_meta(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "{}", "{\"log\":\"dm-log\"}", "{\"log\":\"dm-log-writes\"} x", "log"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct scenario *s;
        struct scn_error err = {""};
        put_file(REPLAY_META, texts[i]);
        assert_int_equal(replay_load(dir, &s, &err), -EINVAL);
        assert_non_null(strstr(err.text, "who made the log"));
    }
    remove_file(REPLAY_META);
}

/* --- our own runs as logs ------------------------------------------------------------------------------------------ */

struct rebuilt {
    struct sim_pages *pages;
    uint64_t left; /* entries to take */
};

static int put_entry(void *opaque, const struct dm_log_entry *e)
{
    struct rebuilt *r = opaque;
    if (!r->left)
        return 1;
    r->left--;
    if (e->data)
        sim_pages_write(r->pages, e->offset_bytes, e->data, e->length_bytes);
    return 0;
}

static void hear(void *opaque, int ret)
{
    *(int *)opaque = ret;
}

/* A prefix of the log on top of the base image, and the disk on which all that had completed by then survived. */
static void same_image(const struct history *h, struct crash_space *space, struct crash_disk *disk, const uint8_t *log,
                       size_t size, uint64_t entries)
{
    struct rebuilt r = {sim_pages_snapshot(h->base), entries};
    struct dm_log_error err = {""};
    struct crash_state all;
    int ret = dm_log_read(log, size, put_entry, &r, &err);
    if (ret && ret != 1)
        fail_msg("%s", err.text);
    crash_state_init(&all, space);
    for (size_t u = 0; u < space->unit_count; u++)
        all.own[u] = space->units[u].version_count - 1;
    crash_disk_load(disk, space, NULL);
    crash_state_apply(space, &all, disk);
    struct blockdev *blk = crash_disk_blk(disk);
    uint64_t length;
    assert_int_equal(blk->ops->length(blk, 1, &length), 0);
    for (uint64_t at = 0; at < length; at += 512) {
        uint8_t ours[512], theirs[512];
        struct iovec iov = {ours, 512};
        ret = -1;
        blk->ops->readv(blk, at, &iov, 1, hear, &ret);
        assert_int_equal(ret, 0);
        sim_pages_read(r.pages, at, theirs, 512);
        assert_memory_equal(ours, theirs, 512);
    }
    crash_state_free(&all);
    sim_pages_destroy(r.pages);
}

static void test_prefixes(void **state)
{
    (void)state;
    static const char *const names[] = {"cow-partial", "sequential-fill", "race-tables", "overwrite-in-place"};
    unsigned compared = 0;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char path[PATH_MAX];
        struct scenario *s;
        struct scn_error err = {""};
        struct recording r;
        struct crash_space *space;
        snprintf(path, sizeof(path), "scenarios/%s.scn", names[i]);
        if (scenario_load(path, &s, &err))
            fail_msg("%s", err.text);
        const struct run_options o = {
            .design = qed_design_find("v2"), .disk = sim_disk_model_find("ssd"), .schedule = {.number = 1, .seed = 1}};
        assert_int_equal(scenario_record(s, &o, &r, &err), 0);
        char *log = NULL;
        size_t size = 0;
        FILE *out = xalloc_check(open_memstream(&log, &size));
        dm_log_write(out, r.history, r.history->event_count, NULL);
        fclose(out);
        struct crash_disk *disk = crash_disk_create();
        struct crash_walk *walk = crash_walk_create(r.history, o.disk, true);
        while ((space = crash_walk_next(walk))) {
            uint64_t in_flight, entries = 0;
            char *prefix = NULL;
            size_t prefix_size;
            out = xalloc_check(open_memstream(&prefix, &prefix_size));
            entries = dm_log_write(out, r.history, space->last_point, &in_flight);
            fclose(out);
            if (!in_flight) { /* what is under way has no place in the order of completion yet */
                same_image(r.history, space, disk, (const uint8_t *)log, size, entries);
                compared++;
            }
            free(prefix);
            crash_space_free(space);
        }
        crash_walk_destroy(walk);
        crash_disk_destroy(disk);
        recording_free(&r);
        free(log);
        scenario_free(s);
    }
    print_message("%u prefixes\n", compared);
    assert_true(compared > 20);
}

/* --- a device ------------------------------------------------------------------------------------------------------ */

/* One write far away: stale bytes stand behind the base image, around the write and behind all, and none on the way. */
static void test_stale(void **state)
{
    const struct line lines[] = {{UINT64_C(200) << 20, 512, NULL, 7}};
    const uint64_t far = lines[0].offset / 512;
    uint8_t sector[512];
    (void)state;
    put_base(false);
    put_log(lines, 1);
    remove_file(REPLAY_GUEST);
    struct scenario *s = load("");
    struct sim_pages *pages = sim_pages_snapshot(s->replay->base);
    uint64_t device = replay_device_bytes(s);
    replay_fill_stale(s, pages, device);
    const uint64_t stale[] = {FRESH / 512, far - 1, far + 1, device / 512 - 1}, none[] = {far / 2, device / 512};
    for (size_t i = 0; i < 4; i++) {
        sim_pages_read(pages, stale[i] * 512, sector, 512);
        is_tag(sector, TAG_STALE, stale[i], 0);
    }
    for (size_t i = 0; i < 2; i++) {
        sim_pages_read(pages, none[i] * 512, sector, 512);
        is_tag(sector, TAG_ZERO, 0, 0);
    }
    sim_pages_destroy(pages);
    scenario_free(s);
}

static int set_up(void **state)
{
    (void)state;
    return mkdtemp(dir) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    remove_file(REPLAY_BASE);
    remove_file(REPLAY_BACKING);
    remove_file(REPLAY_LOG);
    remove_file(REPLAY_GUEST);
    remove_file(REPLAY_META);
    return rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_identify),    cmocka_unit_test(test_readings),
                                       cmocka_unit_test(test_one_reading), cmocka_unit_test(test_meta),
                                       cmocka_unit_test(test_prefixes),    cmocka_unit_test(test_stale)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
