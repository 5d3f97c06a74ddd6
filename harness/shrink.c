/* shrink.c: see shrink.h. */
#include "harness/shrink.h"

#include <errno.h>
#include <string.h>

#include "harness/id.h"
#include "simdisk/xalloc.h"

#define SECTOR 512u

/* --- findings that stay -------------------------------------------------------------------------------------------- */

static char *copy(const char *text)
{
    return xalloc_check(strdup(text ? text : ""));
}

void shrink_finding_free(struct shrink_finding *f)
{
    free(f->id);
    free(f->why);
    free(f->story);
    free(f->expected);
    free(f->found);
    *f = (struct shrink_finding){0};
}

void shrink_finding_copy(struct shrink_finding *to, const struct store_finding *from)
{
    shrink_finding_free(to);
    *to = (struct shrink_finding){.class = from->class,
                                  .id = copy(from->id),
                                  .why = copy(from->why),
                                  .story = copy(from->story),
                                  .expected = copy(from->expected),
                                  .found = copy(from->found),
                                  .survivors = from->survivors,
                                  .crash_point = from->crash_point,
                                  .has_guest_sector = from->has_guest_sector,
                                  .guest_sector = from->guest_sector};
    snprintf(to->order, sizeof(to->order), "%s", from->missing_order);
}

bool shrink_finding_smaller(const struct store_finding *a, const struct shrink_finding *than)
{
    if (!than->id)
        return true;
    if (a->survivors != than->survivors)
        return a->survivors < than->survivors;
    if (a->crash_point != than->crash_point)
        return a->crash_point < than->crash_point;
    size_t length = strlen(a->id), other = strlen(than->id);
    return length != other ? length < other : strcmp(a->id, than->id) < 0;
}

/* --- one try ------------------------------------------------------------------------------------------------------- */

struct look {
    const struct shrink *x;
    struct shrink_finding finding;
};

static void look_at(void *opaque, const struct store_finding *f)
{
    struct look *l = opaque;
    if (f->class == l->x->class && (!l->x->order[0] || !strcmp(f->missing_order, l->x->order)) &&
        shrink_finding_smaller(f, &l->finding))
        shrink_finding_copy(&l->finding, f);
}

/* 0: it shows it, and x->finding is how. */
static int run(struct shrink *x, const struct scenario *s, const struct cell_options *options, struct scn_error *err)
{
    struct look l = {.x = x};
    x->runs++;
    int ret = cell_findings(s, x->design, x->disk, options, look_at, &l, err);
    if (ret == -EINTR)
        x->stopped = true;
    if (!ret && !l.finding.id)
        ret = -ENOENT;
    if (!ret) {
        shrink_finding_free(&x->finding);
        x->finding = l.finding;
    } else {
        shrink_finding_free(&l.finding);
    }
    return ret;
}

static bool may_try(struct shrink *x)
{
    if (x->options.stop && *x->options.stop)
        x->stopped = true;
    if (x->max_runs && x->runs >= x->max_runs)
        x->at_limit = true;
    return !x->stopped && !x->at_limit;
}

/* The scenario as its text says it, or NULL. */
static struct scenario *reparse(const struct scenario *s)
{
    char *text = NULL;
    size_t size = 0;
    struct scenario *out;
    struct scn_error err;
    FILE *f = xalloc_check(open_memstream(&text, &size));
    scenario_print(s, f);
    fclose(f);
    int ret = scenario_parse("shrunk.scn", text, size, &out, &err);
    free(text);
    return ret ? NULL : out;
}

static struct scenario *clone(const struct shrink *x)
{
    return xalloc_check(reparse(x->best)); /* it was parsed from such text */
}

static void remove_stmts(struct scenario *s, size_t first, size_t count)
{
    memmove(&s->stmts[first], &s->stmts[first + count], (s->stmt_count - first - count) * sizeof(*s->stmts));
    s->stmt_count -= count;
}

static bool is_started(const struct scenario *s, size_t before, const char *name)
{
    for (size_t i = 0; i < before; i++)
        if (s->stmts[i].aio && !strcmp(s->stmts[i].name, name))
            return true;
    return false;
}

/* Nobody waits for what was never started. */
static void mend(struct scenario *s)
{
    for (size_t i = 0; i < s->stmt_count;) {
        struct scn_stmt *st = &s->stmts[i];
        unsigned kept = 0;
        for (unsigned k = 0; k < st->wait_count; k++)
            if (is_started(s, i, st->wait_names[k]))
                memmove(st->wait_names[kept++], st->wait_names[k], sizeof(st->wait_names[0]));
        bool idle = st->op == SCN_WAIT && !st->wait_all && !kept;
        if (st->op == SCN_WAIT)
            st->wait_count = kept;
        if (idle || (st->op == SCN_CANCEL && !is_started(s, i, st->name)))
            remove_stmts(s, i, 1);
        else
            i++;
    }
}

/* Takes the edited clone over; it is the best one now if it shows the same. */
static bool try_edit(struct shrink *x, struct scenario *edited)
{
    struct scn_error err;
    if (!may_try(x)) {
        scenario_free(edited);
        return false;
    }
    mend(edited);
    struct scenario *s = reparse(edited);
    scenario_free(edited);
    if (!s || run(x, s, &x->options, &err)) {
        scenario_free(s);
        return false;
    }
    scenario_free(x->best);
    x->best = s;
    return true;
}

/* --- statements ---------------------------------------------------------------------------------------------------- */

static bool try_without(struct shrink *x, size_t first, size_t count)
{
    struct scenario *s = clone(x);
    remove_stmts(s, first, count);
    return try_edit(x, s);
}

/* Pairs are tried at every place: a close goes only with the open behind it. */
static bool remove_statements(struct shrink *x)
{
    bool any = false;
    for (size_t chunk = x->best->stmt_count / 2 ? x->best->stmt_count / 2 : 1; chunk;
         chunk = chunk == 3 ? 2 : chunk / 2) {
        size_t step = chunk > 2 ? chunk : 1;
        for (size_t i = 0; i + chunk <= x->best->stmt_count && may_try(x);)
            if (try_without(x, i, chunk))
                any = true;
            else
                i += step;
    }
    return any;
}

/* --- what is left -------------------------------------------------------------------------------------------------- */

static bool is_request(const struct scn_stmt *s)
{
    return s->op == SCN_WRITE || s->op == SCN_READ || s->op == SCN_ZERO || s->op == SCN_DISCARD;
}

static bool try_stmt(struct shrink *x, size_t i, const struct scn_stmt *with)
{
    struct scenario *s = clone(x);
    unsigned line = s->stmts[i].line;
    s->stmts[i] = *with;
    s->stmts[i].line = line;
    return try_edit(x, s);
}

static bool shorten_request(struct shrink *x, size_t i)
{
    struct scn_stmt st = x->best->stmts[i];
    const uint64_t length = st.length, tries[] = {SECTOR, x->best->cluster_bytes, length / 2 / SECTOR * SECTOR};
    for (size_t k = 0; k < sizeof(tries) / sizeof(tries[0]); k++) {
        st.length = tries[k];
        if (st.length && st.length < length && try_stmt(x, i, &st))
            return true;
    }
    return false;
}

/* Into the first cluster, the second; to the start of its cluster; half-way down. */
static bool move_down(struct shrink *x, size_t i)
{
    struct scn_stmt st = x->best->stmts[i];
    uint64_t cluster = x->best->cluster_bytes, offset = st.offset, in = offset % cluster;
    const uint64_t tries[] = {0, in, cluster, cluster + in, offset - in, offset / 2 / cluster * cluster + in};
    for (size_t k = 0; k < sizeof(tries) / sizeof(tries[0]); k++) {
        st.offset = tries[k];
        if (st.offset < offset && try_stmt(x, i, &st))
            return true;
    }
    return false;
}

static bool stop_overlapping(struct shrink *x, size_t i)
{
    struct scn_stmt st = x->best->stmts[i];
    st.aio = false;
    st.name[0] = 0;
    return try_stmt(x, i, &st);
}

static bool simplify_statements(struct shrink *x)
{
    bool any = false;
    for (size_t i = 0; i < x->best->stmt_count && may_try(x); i++) {
        while (i < x->best->stmt_count && is_request(&x->best->stmts[i]) && shorten_request(x, i))
            any = true;
        while (i < x->best->stmt_count && is_request(&x->best->stmts[i]) && move_down(x, i))
            any = true;
        if (i < x->best->stmt_count && x->best->stmts[i].aio)
            any |= stop_overlapping(x, i);
    }
    return any;
}

static bool drop_backing(struct shrink *x)
{
    struct scenario *s = clone(x);
    if (s->backing == SCN_BACKING_NONE) {
        scenario_free(s);
        return false;
    }
    s->backing = SCN_BACKING_NONE;
    return try_edit(x, s);
}

static uint64_t furthest(const struct scenario *s)
{
    uint64_t end = 0;
    for (size_t i = 0; i < s->stmt_count; i++)
        if (is_request(&s->stmts[i]) && s->stmts[i].offset + s->stmts[i].length > end)
            end = s->stmts[i].offset + s->stmts[i].length;
    return end;
}

/* Never so small that a request runs out of it: that would be another story. */
static bool halve_image(struct shrink *x)
{
    struct scenario *s = clone(x);
    uint64_t was = s->image_bytes;
    s->image_bytes = was / 2 / s->cluster_bytes * s->cluster_bytes;
    if (s->image_bytes < furthest(s) || s->image_bytes < 4 * (uint64_t)s->cluster_bytes) {
        scenario_free(s);
        return false;
    }
    if (s->backing != SCN_BACKING_NONE && s->backing_bytes == was)
        s->backing_bytes = s->image_bytes;
    return try_edit(x, s);
}

static bool plain_schedule(struct shrink *x)
{
    struct cell_options options = x->options;
    struct scn_error err;
    if ((!options.script && options.schedule == 1) || !may_try(x))
        return false;
    options.script = NULL;
    options.script_len = 0;
    options.schedule = 1;
    if (run(x, x->best, &options, &err))
        return false;
    x->options = options;
    return true;
}

/* --- all of it ----------------------------------------------------------------------------------------------------- */

/* It expects what it shows, and nothing else is said about it. */
static void expect_finding(struct shrink *x)
{
    struct scenario *s = x->best;
    s->expects = xreallocarray(s->expects, 1, sizeof(*s->expects));
    s->expect_count = 1;
    s->expects[0] = (struct scn_expect){.unsafe = true, .classes = {x->class}, .class_count = 1};
    scn_expect_only(&s->expects[0], x->design, x->disk);
}

int shrink_begin(struct shrink *x, struct scenario *s, struct scn_error *err)
{
    x->best = s;
    free(s->title); /* it speaks of the whole of it */
    s->title = copy(s->name);
    s->ledger_count = 0;
    memset(s->ledger, 0, sizeof(s->ledger));
    s->all_schedules = false;
    s->schedules = 0;
    int ret = run(x, s, &x->options, err);
    if (ret == -ENOENT && x->order[0]) { /* by some other order, then */
        x->order[0] = 0;
        ret = run(x, s, &x->options, err);
    }
    if (!ret)
        expect_finding(x);
    return ret;
}

void shrink_run(struct shrink *x)
{
    bool again = true;
    plain_schedule(x);
    while (again && may_try(x)) {
        again = remove_statements(x);
        again |= drop_backing(x);
        again |= simplify_statements(x);
        while (halve_image(x))
            again = true;
    }
}

void shrink_free(struct shrink *x)
{
    scenario_free(x->best);
    shrink_finding_free(&x->finding);
}

uint64_t shrink_bytes(const struct scenario *s)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < s->stmt_count; i++)
        if (is_request(&s->stmts[i]))
            sum += s->stmts[i].length;
    return sum;
}
