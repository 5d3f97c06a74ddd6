/* The player and the recorded life: what the oracle is told, what is a choice, what is a finding. */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/design_text.h"
#include "scenarios/runner.h"
#include "tests/unit/test_scenarios_random.h"

#ifndef RANDOM_SCENARIOS
#define RANDOM_SCENARIOS 400
#endif

#define IMAGE    "image size=1M cluster=4K table=2\n"
#define BACKED   IMAGE "backing size=1M\n"
#define PREPARED IMAGE "prepare write 0 4K\n"

static struct scenario *parse(const char *text)
{
    struct scenario *s;
    struct scn_error err = {""};

    if (scenario_parse("t.scn", text, strlen(text), &s, &err))
        fail_msg("%s\n%s", err.text, text);
    return s;
}

struct take {
    const char *design, *disk;
    uint64_t schedule;
    const uint8_t *script;
    size_t script_len;
};

static int try_record(const struct scenario *s, const struct take *take, struct recording *r, struct scn_error *err)
{
    struct run_options options = {
        .design = qed_design_find(take->design ? take->design : "v2"),
        .disk = sim_disk_model_find(take->disk ? take->disk : "ssd"),
        .schedule = {.number = take->schedule ? take->schedule : 1,
                     .seed = 1,
                     .script = take->script,
                     .script_len = take->script_len},
    };

    return scenario_record(s, &options, r, err);
}

static void record(const struct scenario *s, const struct take *take, struct recording *r)
{
    struct scn_error err = {""};
    int ret = try_record(s, take, r, &err);

    if (ret)
        fail_msg("%s with %s: %s", s->name, take->design, err.text);
}

/* Does the promise, at this position, let the sector hold this content? */
static bool may_hold(const struct recording *r, uint32_t when, uint64_t sector, const struct tag *tag)
{
    uint8_t bytes[TAG_SECTOR_BYTES] = {0};

    if (tag->kind != TAG_ZERO)
        tag_fill(bytes, tag);
    return promise_judge(r->promise, when, sector, bytes, NULL) == VERDICT_OK;
}

static uint32_t find_mark(const struct history *h, const char *text)
{
    for (size_t i = 0; i < h->event_count; i++) {
        if (h->events[i].kind == HIST_MARK && strcmp(h->marks[h->events[i].op].text, text) == 0)
            return (uint32_t)i;
    }
    fail_msg("no mark '%s'", text);
    return 0;
}

/* ---- the recorded life ---- */

static void test_story(void **state)
{
    struct scenario *s = parse(BACKED "prepare write 0 4K\nwrite 4608 512\nflush\n");
    struct recording r;
    struct tag backing = {.kind = TAG_BACKING, .sector = 9};
    struct tag written = {.kind = TAG_GUEST, .sector = 9, .write_id = 2, .generation = 1};
    struct tag prepared = {.kind = TAG_GUEST, .sector = 0, .write_id = 1};
    struct tag zero = {.kind = TAG_ZERO}, base = {.kind = TAG_BACKING};
    uint32_t submitted, acknowledged, flushed;
    (void)state;

    record(s, &(struct take){0}, &r);
    assert_int_equal(r.live_count, 0);
    assert_int_equal(r.guest_writes, 1);
    assert_int_equal(r.image_writes, 4); /* P, Q, D, L2 */
    assert_int_equal(r.flushes, 1);
    assert_int_equal(r.scans, 0);
    assert_int_equal(r.crash_stmt, 3);
    assert_int_equal(r.next_write_id, 3);
    assert_int_equal(r.choice_count, 0);

    submitted = find_mark(r.history, "write 4608 512 submitted");
    acknowledged = find_mark(r.history, "write 4608 512 acknowledged") + 1;
    flushed = find_mark(r.history, "flush acknowledged") + 1;
    assert_true(r.history->marks[r.history->events[flushed - 1].op].boundary);
    assert_false(r.history->marks[r.history->events[acknowledged - 1].op].boundary);
    assert_int_equal(r.guest_op_count, 2);
    assert_int_equal(r.guest_ops[0].stmt, 1);
    assert_int_equal(r.guest_ops[0].begin, submitted);
    assert_int_equal(r.guest_ops[0].end, acknowledged);
    assert_int_equal(r.guest_ops[0].write_id, 2);
    assert_int_equal(r.guest_ops[1].end, flushed);

    assert_true(may_hold(&r, 0, 9, &backing));
    assert_false(may_hold(&r, 0, 9, &written));
    assert_false(may_hold(&r, 0, 9, &zero));
    assert_true(may_hold(&r, acknowledged, 9, &backing));
    assert_true(may_hold(&r, acknowledged, 9, &written));
    assert_true(may_hold(&r, flushed, 9, &written));
    assert_false(may_hold(&r, flushed, 9, &backing));
    /* Prepared: durable from the start. */
    assert_true(may_hold(&r, 0, 0, &prepared));
    assert_false(may_hold(&r, 0, 0, &base));
    recording_free(&r);
    scenario_free(s);
}

static void assert_same_history(const struct history *a, const struct history *b)
{
    assert_int_equal(a->base_length_bytes, b->base_length_bytes);
    assert_int_equal(a->event_count, b->event_count);
    assert_int_equal(a->op_count, b->op_count);
    assert_int_equal(a->mark_count, b->mark_count);
    for (size_t i = 0; i < a->event_count; i++) {
        assert_int_equal(a->events[i].kind, b->events[i].kind);
        assert_int_equal(a->events[i].op, b->events[i].op);
    }
    for (size_t i = 0; i < a->op_count; i++) {
        const struct hist_op *x = &a->ops[i], *y = &b->ops[i];

        assert_int_equal(x->kind, y->kind);
        assert_int_equal(x->label, y->label);
        assert_int_equal(x->ret, y->ret);
        assert_int_equal(x->offset_bytes, y->offset_bytes);
        assert_int_equal(x->length_bytes, y->length_bytes);
        if (x->kind == HIST_WRITE)
            assert_memory_equal(x->data, y->data, x->length_bytes);
    }
    for (size_t i = 0; i < a->mark_count; i++)
        assert_string_equal(a->marks[i].text, b->marks[i].text);
}

/* Some of what goes wrong the guest sees at once, without a crash: what a zero cluster had hidden (B8), what a device held
 * before (A12, A15). Only where the scenario says that something goes wrong. */
static bool may_show_at_once(const struct scenario *s, const struct take *take)
{
    const struct sim_disk_model *disk = sim_disk_model_find(take->disk);
    const struct scn_expect *e = scenario_expectation(s, qed_design_find(take->design), disk);
    return !disk->keeps_its_word || (e && e->unsafe);
}

/* Twice the same, and once more from the list of choices that was made. */
static void record_thrice(const struct scenario *s, struct take take)
{
    struct recording a, b, c;

    record(s, &take, &a);
    record(s, &take, &b);
    assert_same_history(a.history, b.history);
    assert_int_equal(a.rng_state, b.rng_state);
    take.script = a.choices;
    take.script_len = a.choice_count;
    record(s, &take, &c);
    assert_same_history(a.history, c.history);
    for (size_t i = 0; i < a.live_count; i++)
        print_message("%s %s %s #%" PRIu64 ": %s\n", s->name, take.design, take.disk, take.schedule, a.live[i].why);
    if (!may_show_at_once(s, &take))
        assert_int_equal(a.live_count, 0);
    recording_free(&a);
    recording_free(&b);
    recording_free(&c);
}

static void test_library(void **state)
{
    DIR *dir = opendir("scenarios");
    struct dirent *entry;
    (void)state;

    while ((entry = readdir(dir))) {
        size_t n = strlen(entry->d_name);
        char path[300];
        struct scenario *s;

        if (n < 5 || strcmp(entry->d_name + n - 4, ".scn") != 0)
            continue;
        snprintf(path, sizeof(path), "scenarios/%s", entry->d_name);
        assert_int_equal(scenario_load(path, &s, NULL), 0);
        for (size_t d = 0; d < qed_design_count; d++) {
            for (size_t k = 0; k < sim_disk_model_count; k++)
                record_thrice(s, (struct take){.design = qed_designs[d].name, .disk = sim_disk_models[k].name});
            for (uint64_t schedule = 2; schedule < 20; schedule++)
                record_thrice(s, (struct take){.design = qed_designs[d].name, .disk = "ssd", .schedule = schedule});
        }
        scenario_free(s);
    }
    closedir(dir);
}

/* ---- choices ---- */

static void test_schedule(void **state)
{
    struct scenario *s =
        parse(BACKED "prepare write 0 4K\naio a write 8K 512\naio b write 9K 512\nwrite 10K 512\nwait all\n");
    struct recording r;
    bool b_before_a = false, sync_first = false;
    (void)state;

    record(s, &(struct take){0}, &r);
    assert_true(r.choice_count > 0);
    for (size_t i = 0; i < r.choice_count; i++)
        assert_int_equal(r.choices[i], 0);
    /* All at once, in order. */
    assert_int_equal(find_mark(r.history, "aio a write 8K 512 submitted") + 1,
                     find_mark(r.history, "aio b write 9K 512 submitted"));
    recording_free(&r);

    for (uint64_t schedule = 2; schedule < 200; schedule++) {
        uint32_t a, b, sync;

        record(s, &(struct take){.schedule = schedule}, &r);
        a = find_mark(r.history, "aio a write 8K 512 submitted");
        b = find_mark(r.history, "aio b write 9K 512 submitted");
        sync = find_mark(r.history, "write 10K 512 submitted");
        assert_true(a < b);
        sync_first = sync_first || sync < a;
        b_before_a = b_before_a || find_mark(r.history, "aio b write 9K 512 acknowledged") <
                                       find_mark(r.history, "aio a write 8K 512 acknowledged");
        /* Write ids depend on no choice. */
        for (size_t i = 0; i < r.guest_op_count; i++)
            assert_int_equal(r.guest_ops[i].write_id, r.guest_ops[i].stmt + 1);
        recording_free(&r);
    }
    assert_true(sync_first);
    assert_true(b_before_a);
    scenario_free(s);
}

/* What was never waited for is delivered at the end, and everything is acknowledged. */
static void test_end_drains(void **state)
{
    struct scenario *s = parse(PREPARED "aio a write 8K 512\naio f flush\n");
    struct recording r;
    (void)state;

    record(s, &(struct take){0}, &r);
    find_mark(r.history, "aio a write 8K 512 acknowledged");
    find_mark(r.history, "aio f flush acknowledged");
    for (size_t i = 0; i < r.history->op_count; i++)
        assert_int_not_equal(r.history->ops[i].done, HIST_NEVER);
    recording_free(&r);
    scenario_free(s);
}

static void test_wait_and_cancel(void **state)
{
    struct scenario *s = parse(PREPARED "aio a write 8K 512\naio b write 64K 512\ncancel a\nwait b\nwait a b\n"
                                        "aio a read 8K 512\nsleep 1s\nwait a\n");
    struct recording r;
    (void)state;

    for (uint64_t schedule = 1; schedule < 50; schedule++) {
        record(s, &(struct take){.schedule = schedule}, &r);
        assert_int_equal(r.live_count, 0);
        assert_int_equal(r.guest_op_count, 3);
        for (size_t i = 0; i < r.guest_op_count; i++)
            assert_int_equal(r.guest_ops[i].ret, 0);
        recording_free(&r);
    }
    scenario_free(s);
}

/* ---- errors, death, reopening ---- */

static void test_injected_error(void **state)
{
    struct scenario *s =
        parse(PREPARED "inject write_aio EIO once\nwrite 8K 512\ninject flush EIO once\nflush\nread 8K 512\n"
                       "inject read_aio EIO once\nread 0 512\nread 0 512\n");
    struct recording r;
    (void)state;

    record(s, &(struct take){0}, &r);
    assert_int_equal(r.live_count, 0);
    assert_int_equal(r.guest_op_count, 5);
    assert_int_equal(r.guest_ops[0].ret, -EIO);
    assert_int_equal(r.guest_ops[1].ret, -EIO);
    assert_int_equal(r.guest_ops[2].ret, 0);
    assert_int_equal(r.guest_ops[3].ret, -EIO);
    assert_int_equal(r.guest_ops[4].ret, 0);
    assert_false(r.history->marks[r.history->events[find_mark(r.history, "flush failed: EIO")].op].boundary);
    recording_free(&r);
    scenario_free(s);
}

/* What injected errors leave behind may fail to open, or read wrongly: that is for the findings to say. Here: the run
 * goes on whatever fails, and statements that have lost their image are skipped. */
static void test_open_fails(void **state)
{
    struct scenario *s = parse(PREPARED "close\ninject header_read EIO once\nopen rw\nwrite 0 512\naio a flush\n"
                                        "wait a\nclose\nopen rw\nread 0 4K\n");
    struct recording r;
    (void)state;

    record(s, &(struct take){0}, &r);
    assert_int_equal(r.live_count, 0);
    assert_int_equal(r.guest_writes, 0);
    assert_int_equal(r.guest_op_count, 4); /* close, open, open, read */
    assert_int_equal(r.guest_ops[1].ret, -EIO);
    assert_int_equal(r.guest_ops[3].ret, 0);
    recording_free(&r);
    scenario_free(s);
}

static void test_kill(void **state)
{
    struct scenario *s =
        parse(BACKED "prepare write 0 4K\naio a write 8K 512\naio b read 64K 4K\naio c write 64K 4K\n"
                     "write 0 512\nkill\nopen rw\nread 0 512\nread 8K 4K\nread 64K 4K\nwrite 9K 512\n");
    struct recording r;
    bool unfinished = false;
    (void)state;

    for (size_t d = 0; d < qed_design_count; d++) {
        for (uint64_t schedule = 1; schedule < 100; schedule++) {
            record(s, &(struct take){.design = qed_designs[d].name, .schedule = schedule}, &r);
            for (size_t i = 0; i < r.live_count; i++)
                print_message("%s: %s\n", qed_designs[d].name, r.live[i].why);
            assert_int_equal(r.live_count, 0);
            for (size_t i = 0; i < r.guest_op_count; i++)
                unfinished = unfinished || r.guest_ops[i].end == HIST_NEVER;
            recording_free(&r);
        }
    }
    assert_true(unfinished);
    scenario_free(s);
}

static void test_close(void **state)
{
    struct scenario *s = parse(IMAGE "write 4K 512\nclose\nopen rw\nread 4K 4K\nreopen ro\nwrite 4K 512\nreopen rw\n"
                                     "write 4K 512\nclose\n");
    struct recording r;
    struct tag zero = {.kind = TAG_ZERO};
    (void)state;

    for (size_t d = 0; d < qed_design_count; d++) {
        uint32_t closed;

        record(s, &(struct take){.design = qed_designs[d].name}, &r);
        assert_int_equal(r.live_count, 0);
        /* a new image lacks the autoclear bit, and the design that lives by it looks once */
        assert_int_equal(r.scans, qed_designs[d].phys_size == QED_PHYS_SIZE_AUTOCLEAR_BIT);
        assert_int_equal(r.dirty_after_clean, 0);
        closed = find_mark(r.history, "close acknowledged") + 1;
        assert_true(r.history->marks[r.history->events[closed - 1].op].boundary);
        assert_false(may_hold(&r, closed, 8, &zero));
        assert_int_equal(r.guest_ops[5].ret, -EACCES);
        assert_int_equal(r.guest_ops[7].ret, 0);
        recording_free(&r);
    }
    scenario_free(s);
}

static void test_prepare_fails(void **state)
{
    struct scenario *s = parse(IMAGE "backing size=4K\nprepare write 8K 512\nflush\n");
    struct recording r;
    struct scn_error err = {""};
    (void)state;

    /* v2 cannot copy from beyond the backing file's end. */
    assert_int_equal(try_record(s, &(struct take){.design = "v2"}, &r, &err), -EIO);
    assert_string_equal(err.text, "t.scn: line 3: 'prepare write 8K 512' failed: EIO");
    assert_null(r.history);
    record(s, &(struct take){.design = "upstream"}, &r);
    recording_free(&r);
    scenario_free(s);
}

static void test_growing_and_rebase(void **state)
{
    struct scenario *s =
        parse(BACKED "prepare truncate 2M\nwrite 1M 512\ntruncate 3M\nread 0 3M\nwrite 4K 4K\nread 0 8K\n"
                     "rebase none\nread 64K 4K\nclose\nopen rw\nread 64K 4K\nread 4K 4K\n");
    struct recording r;
    (void)state;

    for (size_t d = 0; d < qed_design_count; d++) {
        if (!qed_designs[d].backing_clip)
            continue; /* reads beyond the backing file fail */
        record(s, &(struct take){.design = qed_designs[d].name}, &r);
        for (size_t i = 0; i < r.live_count; i++)
            print_message("%s: %s\n", qed_designs[d].name, r.live[i].why);
        assert_int_equal(r.live_count, 0);
        assert_true(promise_size_allowed(r.promise, 0, 2 << 20));
        assert_false(promise_size_allowed(r.promise, 0, 1 << 20));
        recording_free(&r);
    }
    scenario_free(s);
}

/* Found by fuzz_crash: what a discard or a failed write has touched is filled from the backing file all the same, while
 * the chain is still open; and keeps that when it is not. */
static void test_filled_after_rebase(void **state)
{
    static const char *const texts[] = {
        BACKED "rebase none\ndiscard 4K 4K\nwrite 4K 512\nclose\nopen rw\nread 4K 4K\n",
        BACKED "rebase none\ninject write_aio EIO once\nwrite 4K 4K\nwrite 4K 512\nclose\nopen rw\nread 4K 4K\n",
    };
    (void)state;

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct scenario *s = parse(texts[i]);
        struct recording r;

        record(s, &(struct take){.design = "careful"}, &r);
        if (r.live_count)
            print_message("%zu: %s\n", i, r.live[0].why);
        assert_int_equal(r.live_count, 0);
        recording_free(&r);
        scenario_free(s);
    }
}

/* `open as=` is another program, until the next open: here one that never marks, then the design under test. */
static void test_other_program(void **state)
{
    struct scenario *s = parse("image size=1M cluster=4K table=2\nopen rw as=v2\nwrite 0 512\nclose\n"
                               "open rw\nwrite 64K 512\nclose\nopen rw as=upstream,need_check=off\nwrite 8K 512\n");
    static const uint32_t marks[] = {0, 1, 0}; /* of the header, while each was open */
    uint32_t written[3] = {0}, life = 0;
    struct recording r;
    (void)state;

    record(s, &(struct take){.design = "careful"}, &r);
    for (size_t i = 0; i < r.guest_op_count; i++) {
        if (s->stmts[r.guest_ops[i].stmt].op != SCN_WRITE)
            continue;
        for (size_t k = 0; k < r.history->op_count; k++) {
            const struct hist_op *op = &r.history->ops[k];

            written[life] += op->kind == HIST_WRITE && op->submitted >= r.guest_ops[i].begin &&
                             op->submitted < r.guest_ops[i].end && op->offset_bytes == 0;
        }
        life++;
    }
    assert_int_equal(life, 3);
    assert_memory_equal(written, marks, sizeof(marks));
    recording_free(&r);
    scenario_free(s);
}

static void test_host_device(void **state)
{
    struct scenario *s = parse(PREPARED "write 8K 512\nwrite 0 512\nflush\n");
    struct recording r;
    uint8_t bytes[TAG_SECTOR_BYTES];
    struct tag tag;
    uint64_t last;
    (void)state;

    record(s, &(struct take){.disk = "hostdev"}, &r);
    assert_true(r.history->fixed_size);
    assert_int_equal(r.history->base_length_bytes % 4096, 0);
    last = r.history->base_length_bytes / TAG_SECTOR_BYTES - 1;
    sim_pages_read(r.history->base, last * TAG_SECTOR_BYTES, bytes, sizeof(bytes));
    tag_identify(bytes, &tag);
    assert_int_equal(tag.kind, TAG_STALE);
    assert_int_equal(tag.sector, last);
    assert_int_equal(r.guest_ops[1].ret, 0);
    recording_free(&r);
    scenario_free(s);
}

/* What designs are known to do to a live guest: the 2010 ones cannot read beyond the end of the backing file, and the
 * zero clusters of QEMU 7.2 are filled from the backing file when written in part. What follows a failed table write is
 * anybody's guess where memory keeps what the disk refused. */
static bool known_flaw(const struct scenario *s, const struct qed_design *design, const struct run_live_finding *f)
{
    bool injected = false;

    for (size_t i = 0; i < s->stmt_count; i++)
        injected = injected || s->stmts[i].op == SCN_INJECT;
    if (injected && design->failed_table == QED_FAILED_TABLE_KEEP)
        return true;
    if (f->class != VERDICT_WRONG_READ)
        return false;
    if (strcmp(f->found, "read failed: EIO") == 0)
        return !design->backing_clip;
    return strncmp(f->found, "backing ", 8) == 0 && strncmp(f->expected, "zero", 4) == 0 && design->native_zero &&
           design->zero_cluster_fill == QED_ZERO_CLUSTER_FILL_BACKING;
}

/* A flaw of the design, or of another program that the scenario lets open the image. */
static void assert_known_flaw(const struct scenario *s, const struct qed_design *design,
                              const struct run_live_finding *f)
{
    bool known = known_flaw(s, design, f);

    for (size_t i = 0; i < s->stmt_count; i++) {
        struct qed_design program;

        if (!s->stmts[i].program[0])
            continue;
        assert_int_equal(qed_design_parse(s->stmts[i].program, &program, NULL), 0);
        known = known || known_flaw(s, &program, f);
    }
    if (!known)
        fail_msg("%s: %s", design->name, f->why);
}

/* Anything goes, under any design, disk and schedule: the run ends, and the same run again is the same. */
static void test_random(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= RANDOM_SCENARIOS; seed++) {
        char *text = scn_random_text(seed);
        struct scenario *s = parse(text);
        struct take take = {.design = qed_designs[seed % qed_design_count].name,
                            .disk = sim_disk_models[seed / 3 % sim_disk_model_count].name,
                            .schedule = 1 + seed % 7};
        struct recording a, b;
        struct scn_error err;

        if (try_record(s, &take, &a, &err) == 0) {
            for (size_t i = 0; i < a.live_count; i++)
                assert_known_flaw(s, qed_design_find(take.design), &a.live[i]);
            record(s, &take, &b);
            assert_same_history(a.history, b.history);
            assert_int_equal(a.live_count, b.live_count);
            recording_free(&a);
            recording_free(&b);
        }
        scenario_free(s);
        free(text);
    }
}

/* ---- what the guest is told of failed flushes ---- */

/* May sector 16 (guest write 2, never flushed in its own session) have been lost at the end? */
static bool is_given_up(const char *between)
{
    static const char before[] = PREPARED "write 8K 4K\ninject flush_to_disk EIO once\n";
    char text[512];
    struct scenario *s;
    struct recording r;
    uint8_t zeros[BLK_SECTOR_BYTES] = {0};

    snprintf(text, sizeof(text), "%s%sflush\n", before, between);
    s = parse(text);
    record(s, &(struct take){.design = "careful"}, &r);
    assert_int_equal(r.live_count, 0);
    bool lost = promise_judge(r.promise, history_now(r.history), 16, zeros, NULL) == VERDICT_OK;
    recording_free(&r);
    scenario_free(s);
    return lost;
}

/* Which failures tell the guest of a failed flush, and what ends its session? */
static void test_failed_flushes(void **state)
{
    (void)state;
    assert_true(is_given_up("flush\nkill\nopen rw\n"));
    assert_true(is_given_up("close\nopen rw\n"));
    assert_true(is_given_up("reopen ro\nkill\nopen rw\n"));
    assert_true(is_given_up("write 0 512\nwrite 16K 512\nclose\nopen rw\n"));
    /* The failure is that of a later session's: what this one gives up includes what was open before. */
    assert_true(is_given_up("kill\nopen rw\nflush\nkill\nopen rw\n"));
    /* Given up, then written again. */
    assert_false(is_given_up("flush\nkill\nopen rw\nwrite 8K 4K\n"));
    /* Another session's failure says nothing of this one. */
    assert_false(is_given_up("flush\nkill\nopen rw\nwrite 8K 4K\nkill\nopen rw\n"));
}

/* ---- a second life, on any disk ---- */

struct life {
    struct scenario *s;
    struct recording r;
    struct sim_pages *pages;
    struct blockdev *disk;
    struct player *player;
    struct promise *promise;
};

/* The disk after a clean run, as a base for what follows `crash`. */
static void second_life(struct life *life, const char *text)
{
    struct player_env env;

    life->s = parse(text);
    record(life->s, &(struct take){0}, &life->r);
    life->pages = sim_pages_snapshot(life->r.history->base);
    life->disk = mem_disk_create(life->pages, life->r.history->base_length_bytes, false);
    life->promise = promise_clone(life->r.promise);
    promise_cut(life->promise, 0);
    env = (struct player_env){
        .scenario = life->s,
        .design = qed_design_find("careful"),
        .disk = life->disk,
        .backing = &life->r.backing,
        .promise = life->promise,
        .generation = 2,
        .next_write_id = life->r.next_write_id,
    };
    life->player = player_create(&env);
}

static void end_life(struct life *life)
{
    player_destroy(life->player);
    promise_destroy(life->promise);
    life->disk->ops->close(life->disk);
    sim_pages_destroy(life->pages);
    recording_free(&life->r);
    scenario_free(life->s);
}

static void test_second_life(void **state)
{
    struct life life;
    struct player_result result;
    struct scn_error err;
    (void)state;

    second_life(&life,
                BACKED "prepare write 0 4K\nflush\ncrash\nwrite 4608 512\naio a write 8K 512\naio f flush\nwait all\n"
                       "read 0 16K\nclose\nopen ro\nread 0 16K\n");
    assert_int_equal(life.r.crash_stmt, 3);
    assert_int_equal(player_run(life.player, life.r.crash_stmt, life.s->stmt_count, &err), 0);
    result = player_result(life.player);
    assert_int_equal(result.live_count, 0);
    assert_int_equal(result.guest_op_count, 7);
    assert_int_equal(result.guest_writes, 2);
    assert_int_equal(player_env(life.player)->next_write_id, life.r.next_write_id + 2);
    assert_non_null(player_image(life.player));
    assert_int_equal(player_close(life.player), 0);
    assert_null(player_image(life.player));
    end_life(&life);
}

/* A promise that the image does not keep is a finding, one for each cluster read. */
static void test_wrong_read(void **state)
{
    struct life life;
    struct player_result result;
    struct scn_error err;
    uint32_t handle;
    (void)state;

    second_life(&life, PREPARED "crash\nread 0 16K\n");
    handle = promise_begin(life.promise, 0, PROMISE_WRITE, 7, 4, 99, 2);
    promise_end(life.promise, 0, handle, true);
    assert_int_equal(player_run(life.player, life.r.crash_stmt, life.s->stmt_count, &err), 0);
    result = player_result(life.player);
    assert_int_equal(result.live_count, 2);
    assert_int_equal(result.live[0].class, VERDICT_WRONG_READ);
    assert_int_equal(result.live[0].guest_sector, 7);
    assert_int_equal(result.live[1].guest_sector, 8);
    assert_string_equal(result.live[1].expected, "guest write 99");
    assert_string_equal(result.live[1].found, "zero");
    end_life(&life);
}

static void test_unopenable(void **state)
{
    struct life life;
    struct player_result result;
    struct scn_error err;
    (void)state;

    second_life(&life, PREPARED "crash\nwrite 0 512\naio a flush\nwait a\nread 0 512\n");
    sim_pages_write(life.pages, 0, "not", 3);
    assert_int_equal(player_run(life.player, life.r.crash_stmt, life.s->stmt_count, &err), 0);
    result = player_result(life.player);
    assert_int_equal(result.live_count, 1);
    assert_int_equal(result.live[0].class, VERDICT_UNOPENABLE);
    assert_true(result.live[0].guest_sector == UINT64_MAX);
    assert_string_not_equal(result.live[0].why, "");
    assert_int_equal(result.guest_op_count, 0);
    end_life(&life);
}

static void test_senseless(void **state)
{
    struct life life;
    struct scn_error err = {""};
    (void)state;

    second_life(&life, PREPARED "kill\ncrash\n");
    assert_int_equal(player_run(life.player, 1, 2, &err), -EINVAL);
    assert_string_equal(err.text, "t.scn:3:1: 'kill' is possible only in the recorded life");
    assert_int_equal(player_run(life.player, 2, 3, &err), -EINVAL);
    assert_int_equal(player_close(life.player), 0);
    assert_int_equal(player_run(life.player, 0, 1, &err), -EINVAL);
    assert_string_equal(err.text, "t.scn:2:1: 'prepare write 0 4K' while the image is closed");
    end_life(&life);
}

/* A disk that forgets guest data writes: nothing ever completes them. */
struct forgetful {
    struct blockdev blk;
    struct blockdev *below;
    enum blk_event announced;
};

static void forgetful_readv(struct blockdev *dev, uint64_t offset, const struct iovec *iov, int niov, blk_done *done,
                            void *opaque)
{
    struct blockdev *below = ((struct forgetful *)dev)->below;

    below->ops->readv(below, offset, iov, niov, done, opaque);
}

static void forgetful_writev(struct blockdev *dev, uint64_t offset, const struct iovec *iov, int niov, blk_done *done,
                             void *opaque)
{
    struct forgetful *f = (struct forgetful *)dev;

    if (f->announced != BLK_EVENT_WRITE_AIO)
        f->below->ops->writev(f->below, offset, iov, niov, done, opaque);
}

static void forgetful_flush(struct blockdev *dev, blk_done *done, void *opaque)
{
    struct blockdev *below = ((struct forgetful *)dev)->below;

    below->ops->flush(below, done, opaque);
}

static int forgetful_length(struct blockdev *dev, uint64_t unit, uint64_t *length)
{
    struct blockdev *below = ((struct forgetful *)dev)->below;

    return below->ops->length(below, unit, length);
}

static int forgetful_resize(struct blockdev *dev, uint64_t length)
{
    struct blockdev *below = ((struct forgetful *)dev)->below;

    return below->ops->resize(below, length);
}

static void forgetful_event(struct blockdev *dev, enum blk_event event)
{
    ((struct forgetful *)dev)->announced = event;
}

static void forgetful_close(struct blockdev *dev)
{
    (void)dev;
}

static const struct blockdev_ops forgetful_ops = {
    .readv = forgetful_readv,
    .writev = forgetful_writev,
    .flush = forgetful_flush,
    .length = forgetful_length,
    .resize = forgetful_resize,
    .event = forgetful_event,
    .close = forgetful_close,
};

/* Plays what follows `crash` on that disk. */
static void play_forgetful(struct life *life, struct forgetful *forgetful, struct sim_loop *loop, const char *text)
{
    struct player_env env;
    struct scn_error err;

    second_life(life, text);
    env = *player_env(life->player);
    player_destroy(life->player);
    *forgetful = (struct forgetful){.blk = {.ops = &forgetful_ops, .loop = sim_loop_blk(loop)}, .below = life->disk};
    env.disk = &forgetful->blk;
    env.loop = loop;
    life->player = player_create(&env);
    assert_int_equal(player_run(life->player, life->r.crash_stmt, life->s->stmt_count, &err), 0);
    assert_true(player_result(life->player).stuck);
    assert_int_equal(player_result(life->player).live[0].class, VERDICT_STUCK);
    assert_int_equal(player_result(life->player).live[0].guest_sector, 0);
}

static void test_stuck(void **state)
{
    static const char *const others[] = {
        PREPARED "crash\naio a write 0 512\nwait a\nflush\n",
        PREPARED "crash\naio a write 0 512\nwait all\nflush\n",
        PREPARED "crash\naio a write 0 512\ncancel a\nflush\n",
        PREPARED "crash\naio a write 0 512\nclose\nopen rw\n",
        PREPARED "crash\naio a write 0 512\n",
    };
    struct life life;
    struct forgetful forgetful;
    struct sim_schedule fifo = {.number = 1};
    struct sim_loop *loop = sim_loop_create(&fifo);
    struct player_result result;
    (void)state;

    play_forgetful(&life, &forgetful, loop, PREPARED "crash\naio a write 0 512\nread 0 512\nwrite 512 512\nflush\n");
    result = player_result(life.player);
    assert_int_equal(result.live_count, 2);
    assert_int_equal(result.live[1].guest_sector, 1);
    assert_int_equal(result.guest_op_count, 3); /* the flush was never reached */
    assert_int_equal(result.guest_ops[2].end, HIST_NEVER);
    end_life(&life);
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        play_forgetful(&life, &forgetful, loop, others[i]);
        assert_int_equal(player_result(life.player).live_count, 1);
        end_life(&life);
    }
    sim_loop_destroy(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_story),
        cmocka_unit_test(test_library),
        cmocka_unit_test(test_schedule),
        cmocka_unit_test(test_end_drains),
        cmocka_unit_test(test_wait_and_cancel),
        cmocka_unit_test(test_injected_error),
        cmocka_unit_test(test_open_fails),
        cmocka_unit_test(test_kill),
        cmocka_unit_test(test_close),
        cmocka_unit_test(test_prepare_fails),
        cmocka_unit_test(test_growing_and_rebase),
        cmocka_unit_test(test_filled_after_rebase),
        cmocka_unit_test(test_other_program),
        cmocka_unit_test(test_host_device),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_failed_flushes),
        cmocka_unit_test(test_second_life),
        cmocka_unit_test(test_wrong_read),
        cmocka_unit_test(test_unopenable),
        cmocka_unit_test(test_senseless),
        cmocka_unit_test(test_stuck),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
