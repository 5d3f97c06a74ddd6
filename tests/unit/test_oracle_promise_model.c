/* Is the promise's one rule the same as the prose? Random small histories, judged against a restatement of the prose
 * that knows no rule: it plays out every order in which the requests can have happened.
 *
 *   A request happens after every request that was acknowledged before it was submitted. One that succeeded and was
 *   covered by a flush happened; any other may have been skipped. A discard that happens makes zeros or changes nothing.
 *   What the last one left is what a sector may show. Where none left anything it shows its initial content: the backing
 *   bytes, unless the rebase happened.
 *
 *   A session ends. If a flush of it had failed, no flush of a later one covers a request of it; but for those that were
 *   submitted after each such failure, if a flush that was submitted after it too has succeeded.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "oracle/promise.h"

enum { SECTORS = 3, BACKING_SECTORS = 2, MOST_OPS = 5, MOST_FLUSHES = 4, MOST_CALLS = 24, MOST_ENDS = 3 };

/* What a sector can hold, as bits of a set: zeros, backing bytes, "initial", or the write with that index. */
enum { ZERO, BACKING, INITIAL, WRITE };
typedef uint32_t contents;

struct request {
    enum { REQ_WRITE, REQ_ZERO, REQ_DISCARD, REQ_REBASE, REQ_FLUSH } kind;
    uint64_t first, count;
    uint32_t id;
    uint32_t handle;
    bool ended, ok;
    int begin_call, end_call; /* end_call: INT32_MAX while in flight */
    uint64_t begin, end;      /* end: UINT64_MAX while in flight */
};

struct history {
    struct request requests[MOST_OPS + MOST_FLUSHES];
    int count, ops, flushes, calls;
    int ends[MOST_ENDS], end_count; /* the calls at which sessions ended */
    uint64_t when;
    uint32_t next_id;
};

/* ---- the restatement ---- */

/* Which requests there are as seen from a crash or a live read, and which of them must have happened. */
struct scene {
    const struct request *all[MOST_OPS];
    bool happened[MOST_OPS];
    int count;
};

/* Was this failure made good before the session's end, for what was submitted since? */
static bool is_made_good(const struct history *h, const struct request *failed, int end_call)
{
    for (int i = 0; i < h->count; i++) {
        const struct request *flush = &h->requests[i];
        if (flush->kind == REQ_FLUSH && flush->ok && flush->begin_call > failed->end_call && flush->end_call < end_call)
            return true;
    }
    return false;
}

/* Given up at this end of a session, which began behind the one before it? */
static bool is_given_up_at(const struct history *h, const struct request *r, int end)
{
    int from = end ? h->ends[end - 1] : -1, to = h->ends[end];

    for (int i = 0; i < h->count && r->begin_call < to; i++) {
        const struct request *flush = &h->requests[i];
        if (flush->kind == REQ_FLUSH && flush->ended && !flush->ok && flush->end_call > from && flush->end_call < to &&
            (r->begin_call < flush->end_call || !is_made_good(h, flush, to)))
            return true;
    }
    return false;
}

static bool is_between_sessions(const struct history *h, const struct request *flush, const struct request *r)
{
    for (int i = 0; i < h->end_count; i++)
        if (h->ends[i] < flush->end_call && is_given_up_at(h, r, i))
            return true;
    return false;
}

static bool covers(const struct request *flush, const struct request *r, uint64_t when)
{
    return flush->kind == REQ_FLUSH && flush->ok && flush->end <= when && r->end_call < flush->begin_call;
}

static void add_to_scene(struct scene *scene, const struct request *r, bool happened)
{
    scene->happened[scene->count] = happened;
    scene->all[scene->count++] = r;
}

static void crash_scene(const struct history *h, uint64_t when, struct scene *scene)
{
    scene->count = 0;
    for (int i = 0; i < h->count; i++) {
        const struct request *r = &h->requests[i];
        bool durable = false;
        if (r->kind == REQ_FLUSH || r->begin > when)
            continue;
        for (int f = 0; f < h->count; f++)
            durable =
                durable || (r->ok && covers(&h->requests[f], r, when) && !is_between_sessions(h, &h->requests[f], r));
        add_to_scene(scene, r, durable);
    }
}

static void live_scene(const struct history *h, uint64_t from, uint64_t to, struct scene *scene)
{
    scene->count = 0;
    for (int i = 0; i < h->count; i++) {
        const struct request *r = &h->requests[i];
        if (r->kind != REQ_FLUSH && r->begin <= to)
            add_to_scene(scene, r, r->ok && r->end <= from);
    }
}

struct state {
    int content;
    bool rebased;
};

static contents read_state(struct state s, uint64_t sector)
{
    if (s.content != INITIAL)
        return 1u << s.content;
    return 1u << (sector < BACKING_SECTORS && !s.rebased ? BACKING : ZERO);
}

static contents play(const struct scene *scene, uint64_t sector, unsigned done, struct state s)
{
    contents shown = 0;
    bool ended = true;

    for (int i = 0; i < scene->count; i++) {
        const struct request *r = scene->all[i];
        bool ready = !(done & 1u << i);
        for (int j = 0; j < scene->count; j++)
            ready = ready && (done & 1u << j || scene->all[j]->end_call > r->begin_call || i == j);
        if (!ready)
            continue;
        ended = false;
        struct state after = s;
        if (r->kind == REQ_REBASE)
            after.rebased = true;
        else if (sector >= r->first && sector < r->first + r->count)
            after.content = r->kind == REQ_WRITE ? WRITE + (int)r->id : ZERO;
        shown |= play(scene, sector, done | 1u << i, after);
        if (!scene->happened[i] || r->kind == REQ_DISCARD)
            shown |= play(scene, sector, done | 1u << i, s);
    }
    return ended ? read_state(s, sector) : shown;
}

/* ---- what the promise says ---- */

static void fill(uint8_t *bytes, int content, uint64_t sector)
{
    struct tag tag = {.kind = TAG_ZERO, .sector = sector};

    if (content == BACKING)
        tag.kind = TAG_BACKING;
    if (content >= WRITE) {
        tag.kind = TAG_GUEST;
        tag.write_id = (uint32_t)(content - WRITE);
    }
    tag_fill(bytes, &tag);
}

typedef enum verdict_class judge_fn(const struct promise *p, uint64_t from, uint64_t to, uint64_t sector,
                                    const uint8_t *bytes);

static enum verdict_class judge_crash(const struct promise *p, uint64_t from, uint64_t to, uint64_t sector,
                                      const uint8_t *bytes)
{
    (void)to;
    return promise_judge(p, from, sector, bytes, NULL);
}

static enum verdict_class judge_live(const struct promise *p, uint64_t from, uint64_t to, uint64_t sector,
                                     const uint8_t *bytes)
{
    return promise_judge_live(p, from, to, sector, bytes, NULL);
}

static contents promised(const struct promise *p, judge_fn *judge, uint64_t from, uint64_t to, uint64_t sector,
                         uint32_t writes)
{
    uint8_t bytes[TAG_SECTOR_BYTES];
    contents shown = 0;

    for (int content = 0; content < WRITE + (int)writes; content++) {
        if (content == INITIAL)
            continue;
        fill(bytes, content, sector);
        if (judge(p, from, to, sector, bytes) == VERDICT_OK)
            shown |= 1u << content;
    }
    return shown;
}

/* ---- random histories ---- */

/* xorshift: the same histories on every machine. */
static unsigned roll(uint64_t *seed, unsigned sides)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return (unsigned)(*seed >> 33) % sides;
}

static void begin_request(struct history *h, struct promise *p, uint64_t *seed, bool rebases)
{
    struct request *r = &h->requests[h->count];
    bool flush = roll(seed, 3) == 0;

    if (flush ? h->flushes == MOST_FLUSHES : h->ops == MOST_OPS)
        return;
    *r = (struct request){.begin = h->when, .begin_call = h->calls, .end = UINT64_MAX, .end_call = INT32_MAX};
    r->first = roll(seed, SECTORS);
    r->count = 1 + roll(seed, (unsigned)(SECTORS - r->first));
    if (flush) {
        r->kind = REQ_FLUSH;
        r->handle = promise_flush_begin(p, h->when);
        h->flushes++;
    } else if (rebases && roll(seed, 8) == 0) {
        r->kind = REQ_REBASE;
        r->handle = promise_rebase_begin(p, h->when);
        h->ops++;
    } else {
        static const enum promise_op ops[] = {PROMISE_WRITE, PROMISE_ZERO, PROMISE_DISCARD};
        unsigned op = roll(seed, 5);
        r->kind = op < 3 ? REQ_WRITE : op == 3 ? REQ_ZERO : REQ_DISCARD;
        if (r->kind == REQ_WRITE)
            r->id = h->next_id++;
        r->handle = promise_begin(p, h->when, ops[r->kind], r->first, r->count, r->id, 0);
        h->ops++;
    }
    h->count++;
}

static void end_request(struct history *h, struct promise *p, uint64_t *seed)
{
    struct request *r = &h->requests[roll(seed, (unsigned)h->count)];

    if (r->ended)
        return;
    r->ended = true;
    r->ok = roll(seed, 5) != 0;
    r->end = h->when;
    r->end_call = h->calls;
    if (r->kind == REQ_FLUSH)
        promise_flush_end(p, h->when, r->handle, r->ok);
    else
        promise_end(p, h->when, r->handle, r->ok);
}

static void random_history(struct history *h, struct promise *p, uint64_t *seed, bool rebases)
{
    unsigned overlap = 1 + roll(seed, 4); /* more begins than ends make more requests in flight together */

    for (int i = 0; i < MOST_CALLS; i++) {
        h->calls++;
        h->when += roll(seed, 2); /* several calls at one position */
        if (h->end_count < MOST_ENDS && roll(seed, 8) == 0) {
            h->ends[h->end_count++] = h->calls;
            promise_session_end(p, h->when);
        } else if (h->count == 0 || roll(seed, 3 + overlap) < 1 + overlap / 2)
            begin_request(h, p, seed, rebases);
        else
            end_request(h, p, seed);
    }
}

static struct promise *create(void)
{
    struct promise *p = promise_create(SECTORS * TAG_SECTOR_BYTES);

    promise_backing(p, BACKING_SECTORS, false);
    return p;
}

static void assert_same(contents actual, contents expected, uint64_t seed, uint64_t when, uint64_t sector)
{
    if (actual != expected)
        fail_msg("seed %#llx, position %llu, sector %llu: promised %#x, the prose says %#x", (unsigned long long)seed,
                 (unsigned long long)when, (unsigned long long)sector, actual, expected);
}

/* Is the set of contents the promise allows after a crash the set that can have come about? At every position. */
static void test_crashes(void **state)
{
    (void)state;
    for (uint64_t run = 1; run <= 1500; run++) {
        uint64_t seed = run * UINT64_C(0x9e3779b97f4a7c15);
        struct history h = {.next_id = 1};
        struct promise *p = create();
        random_history(&h, p, &seed, true);
        for (uint64_t when = 0; when <= h.when + 1; when++) {
            struct scene scene;
            crash_scene(&h, when, &scene);
            for (uint64_t s = 0; s < SECTORS; s++)
                assert_same(promised(p, judge_crash, when, when, s, h.next_id),
                            play(&scene, s, 0, (struct state){.content = INITIAL}), run, when, s);
        }
        promise_destroy(p);
    }
}

/* And for a live read, from any position to any later one? */
static void test_live_reads(void **state)
{
    (void)state;
    for (uint64_t run = 1; run <= 400; run++) {
        uint64_t seed = run * UINT64_C(0xbf58476d1ce4e5b9);
        struct history h = {.next_id = 1};
        struct promise *p = create();
        random_history(&h, p, &seed, true);
        for (uint64_t from = 0; from <= h.when + 1; from++) {
            uint64_t to = from + roll(&seed, 4);
            struct scene scene;
            live_scene(&h, from, to, &scene);
            for (uint64_t s = 0; s < SECTORS; s++)
                assert_same(promised(p, judge_live, from, to, s, h.next_id),
                            play(&scene, s, 0, (struct state){.content = INITIAL}), run, from, s);
        }
        promise_destroy(p);
    }
}

/* What the second life may show: it starts from any content the first crash may have left. */
static contents play_second(const struct scene *scene, uint64_t sector, contents left)
{
    contents shown = 0;

    for (int content = 0; left >> content; content++) {
        if (left & 1u << content)
            shown |= play(scene, sector, 0, (struct state){.content = content});
    }
    return shown;
}

/* One sector's observation, if this run makes one, leaves one content. */
static contents observe_one(struct promise *p, uint64_t when, uint64_t sector, contents left, uint64_t *seed)
{
    uint8_t bytes[TAG_SECTOR_BYTES];
    int content = (int)roll(seed, 12);

    if (content == INITIAL || !(left & 1u << content))
        return left;
    fill(bytes, content, sector);
    assert_true(promise_observe(p, when, sector, bytes));
    return 1u << content;
}

/* Does a promise that was cut at a crash, told what recovery showed, and fed a second life, follow the same prose? */
static void test_second_life(void **state)
{
    (void)state;
    for (uint64_t run = 1; run <= 1500; run++) {
        uint64_t seed = run * UINT64_C(0x94d049bb133111eb);
        struct history first = {.next_id = 1};
        struct promise *p = create();
        random_history(&first, p, &seed, true);

        uint64_t cut = roll(&seed, (unsigned)first.when + 2);
        struct scene scene;
        contents left[SECTORS];
        crash_scene(&first, cut, &scene);
        promise_cut(p, cut);
        for (uint64_t s = 0; s < SECTORS; s++)
            left[s] = observe_one(p, cut, s, play(&scene, s, 0, (struct state){.content = INITIAL}), &seed);

        struct history second = {.next_id = first.next_id, .when = cut};
        random_history(&second, p, &seed, false);
        for (uint64_t when = cut; when <= second.when + 1; when++) {
            crash_scene(&second, when, &scene);
            for (uint64_t s = 0; s < SECTORS; s++)
                assert_same(promised(p, judge_crash, when, when, s, second.next_id), play_second(&scene, s, left[s]),
                            run, when, s);
        }
        promise_destroy(p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crashes),
        cmocka_unit_test(test_live_reads),
        cmocka_unit_test(test_second_life),
    };
    return cmocka_run_group_tests_name("oracle: the promise against the prose", tests, NULL, NULL);
}
