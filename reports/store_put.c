/* store_put.c: the only place that writes results. A cell and its findings are one transaction. */
#include <assert.h>
#include <errno.h>
#include <math.h>

#include "reports/timeline.h"

/* Binds ?1, ?2, ... in the order of the calls. */
struct binder {
    sqlite3_stmt *stmt;
    int next;
};

static void bind_text(struct binder *b, const char *text)
{
    sqlite3_bind_text(b->stmt, b->next++, text, -1, SQLITE_STATIC);
}

static void bind_number(struct binder *b, uint64_t number)
{
    assert(number <= INT64_MAX);
    sqlite3_bind_int64(b->stmt, b->next++, (int64_t)number);
}

static void bind_null(struct binder *b)
{
    sqlite3_bind_null(b->stmt, b->next++);
}

static const char *or_empty(const char *text)
{
    return text ? text : "";
}

static const char *expected_word(enum store_expected expected)
{
    switch (expected) {
    case STORE_EXPECT_NOTHING:
        return NULL;
    case STORE_EXPECT_SAFE:
        return "safe";
    case STORE_EXPECT_UNSAFE:
        return "unsafe";
    }
    return NULL;
}

static void bind_key(struct binder *b, const struct store *s, const struct store_cell *cell)
{
    bind_number(b, (uint64_t)s->campaign);
    bind_text(b, cell->scenario);
    bind_text(b, cell->design);
    bind_text(b, cell->disk);
    bind_number(b, cell->schedule);
}

static int delete_cell(struct store *s, const struct store_cell *cell, struct store_error *err)
{
    struct binder b = {store_stmt(s, STORE_STMT_DELETE_CELL, err), 1};
    if (!b.stmt)
        return -EIO;
    bind_key(&b, s, cell);
    return store_run_stmt(s, STORE_STMT_DELETE_CELL, err);
}

static void bind_schedules(struct binder *b, const struct store_schedules *schedules)
{
    bind_text(b, schedules ? schedules->possible : NULL);
    for (int i = 0; i < 3; i++)
        if (!schedules)
            bind_null(b);
    if (!schedules)
        return;
    bind_number(b, schedules->run);
    bind_number(b, schedules->distinct);
    bind_number(b, schedules->complete);
}

static void bind_real(struct binder *b, double value)
{
    sqlite3_bind_double(b->stmt, b->next++, value);
}

/* How many states were explored, and the logarithm of their part. */
static void bind_explored(struct binder *b, const char *explored, double explored_log2, double states_log2)
{
    bind_text(b, explored);
    if (explored_log2 < 0)
        bind_null(b);
    else
        bind_real(b, explored_log2 < states_log2 ? explored_log2 - states_log2 : 0.0);
}

static void bind_coverage(struct binder *b, const struct store_cell *cell)
{
    if (cell->explored)
        bind_explored(b, cell->explored, cell->explored_log2, cell->states_log2);
    else
        bind_explored(b, cell->states_total ? cell->states_total : "0", 0, 0);
    if (cell->has_distinct)
        bind_number(b, cell->distinct);
    else
        bind_null(b);
    bind_number(b, cell->distinct_at_least);
}

static int insert_cell(struct store *s, const struct store_cell *cell, struct store_error *err)
{
    struct binder b = {store_stmt(s, STORE_STMT_INSERT_CELL, err), 1};
    if (!b.stmt)
        return -EIO;
    bind_key(&b, s, cell);
    bind_text(&b, cell->verdict);
    bind_text(&b, cell->skip_reason);
    bind_text(&b, expected_word(cell->expected));
    bind_text(&b, or_empty(cell->expected_classes));
    bind_number(&b, cell->as_expected);
    bind_number(&b, cell->complete);
    bind_text(&b, cell->cut);
    bind_number(&b, cell->crash_points);
    bind_text(&b, cell->states_total ? cell->states_total : "0");
    sqlite3_bind_double(b.stmt, b.next++, isfinite(cell->states_log2) ? cell->states_log2 : 0.0);
    bind_number(&b, cell->executions);
    bind_number(&b, cell->guest_writes);
    bind_number(&b, cell->image_writes);
    bind_number(&b, cell->flushes);
    bind_number(&b, cell->scans);
    bind_number(&b, cell->leaks);
    bind_number(&b, cell->dirty_after_clean);
    bind_text(&b, or_empty(cell->repro));
    bind_schedules(&b, cell->schedules);
    bind_coverage(&b, cell);
    bind_text(&b, or_empty(cell->ledger));
    if (cell->place)
        bind_number(&b, (uint64_t)s->base + cell->place);
    else
        bind_null(&b);
    return store_run_stmt(s, STORE_STMT_INSERT_CELL, err);
}

static int insert_finding(struct store *s, int64_t cell_id, size_t seq, const struct store_finding *f,
                          struct store_error *err)
{
    struct binder b = {store_stmt(s, STORE_STMT_INSERT_FINDING, err), 1};
    if (!b.stmt)
        return -EIO;
    bind_number(&b, (uint64_t)cell_id);
    bind_number(&b, seq);
    bind_text(&b, f->id);
    bind_text(&b, verdict_class_name(f->class));
    bind_number(&b, f->crash_point);
    if (f->has_guest_sector)
        bind_number(&b, f->guest_sector);
    else
        bind_null(&b);
    bind_text(&b, or_empty(f->expected));
    bind_text(&b, or_empty(f->found));
    bind_text(&b, or_empty(f->why));
    bind_text(&b, or_empty(f->because));
    bind_text(&b, or_empty(f->recovery));
    bind_text(&b, or_empty(f->missing_order));
    bind_text(&b, or_empty(f->story));
    bind_number(&b, f->survivors);
    bind_number(&b, f->states);
    if (f->has_guest_cluster)
        bind_number(&b, f->guest_cluster);
    else
        bind_null(&b);
    return store_run_stmt(s, STORE_STMT_INSERT_FINDING, err);
}

static int insert_event(struct store *s, int64_t cell_id, size_t finding, size_t seq, const struct store_event *e,
                        struct store_error *err)
{
    struct binder b = {store_stmt(s, STORE_STMT_INSERT_EVENT, err), 1};
    if (!b.stmt)
        return -EIO;
    bind_number(&b, (uint64_t)cell_id);
    bind_number(&b, finding);
    bind_number(&b, seq);
    bind_text(&b, store_lane_word(e->lane));
    bind_text(&b, e->name);
    bind_number(&b, e->begin);
    if (e->ended)
        bind_number(&b, e->end);
    else
        bind_null(&b);
    bind_number(&b, e->offset_bytes);
    bind_number(&b, e->length_bytes);
    bind_text(&b, store_fate_word(e->fate));
    bind_number(&b, e->pending);
    bind_number(&b, e->survived);
    bind_text(&b, e->sectors);
    bind_text(&b, e->order == STORE_ORDER_LOST ? "lost" : e->order == STORE_ORDER_SURVIVOR ? "survivor" : NULL);
    return store_run_stmt(s, STORE_STMT_INSERT_EVENT, err);
}

/* The finding and what led to it. */
static int put_finding(struct store *s, int64_t cell_id, size_t seq, const struct store_finding *f,
                       struct store_error *err)
{
    int ret = insert_finding(s, cell_id, seq, f, err);
    for (size_t i = 0; !ret && f->timeline && i < f->timeline->count; i++)
        ret = insert_event(s, cell_id, seq, i, &f->timeline->events[i], err);
    return ret;
}

static int insert_epoch(struct store *s, int64_t cell_id, size_t seq, const struct store_epoch *e,
                        struct store_error *err)
{
    struct binder b = {store_stmt(s, STORE_STMT_INSERT_EPOCH, err), 1};
    if (!b.stmt)
        return -EIO;
    bind_number(&b, (uint64_t)cell_id);
    bind_number(&b, seq);
    bind_number(&b, e->first_point);
    bind_number(&b, e->last_point);
    bind_text(&b, e->states);
    bind_real(&b, e->states_log2);
    bind_explored(&b, e->explored, e->explored_log2, e->states_log2);
    bind_number(&b, e->executions);
    return store_run_stmt(s, STORE_STMT_INSERT_EPOCH, err);
}

static int put_rows(struct store *s, const struct store_cell *cell, struct store_error *err)
{
    int ret = delete_cell(s, cell, err); /* its findings go with it */
    if (!ret)
        ret = insert_cell(s, cell, err);
    int64_t cell_id = sqlite3_last_insert_rowid(s->db);
    for (size_t i = 0; !ret && i < cell->finding_count; i++)
        ret = put_finding(s, cell_id, i, &cell->findings[i], err);
    for (size_t i = 0; !ret && i < cell->epoch_count; i++)
        ret = insert_epoch(s, cell_id, i, &cell->epochs[i], err);
    return ret;
}

static int begin(struct store *s, struct store_error *err)
{
    if (!s->read_only)
        return store_run_stmt(s, STORE_STMT_BEGIN, err);
    snprintf(err->text, sizeof(err->text), "the store was opened for reading");
    return -EBADF;
}

/* On a full disk SQLite may have rolled back already: then there is nothing left to undo. */
static int end(struct store *s, int ret, struct store_error *err)
{
    struct store_error ignored;
    if (!ret)
        ret = store_run_stmt(s, STORE_STMT_COMMIT, err);
    if (ret && !sqlite3_get_autocommit(s->db))
        store_run_stmt(s, STORE_STMT_ROLLBACK, &ignored);
    return ret;
}

int store_put_cell(struct store *s, const struct store_cell *cell, struct store_error *err)
{
    int ret = begin(s, err);
    return ret ? ret : end(s, put_rows(s, cell, err), err);
}

static int update_campaign(struct store *s, enum store_stmt which, const unsigned *values, int count,
                           struct store_error *err)
{
    struct binder b = {store_stmt(s, which, err), 1};
    if (!b.stmt)
        return -EIO;
    bind_number(&b, (uint64_t)s->campaign);
    for (int i = 0; i < count; i++)
        bind_number(&b, values[i]);
    return store_run_stmt(s, which, err);
}

int store_put_canaries(struct store *s, unsigned caught, unsigned of, struct store_error *err)
{
    const unsigned values[] = {caught, of};
    int ret = begin(s, err);
    return ret ? ret : end(s, update_campaign(s, STORE_STMT_CANARIES, values, 2, err), err);
}

int store_finish(struct store *s, struct store_error *err)
{
    int ret = begin(s, err);
    return ret ? ret : end(s, update_campaign(s, STORE_STMT_FINISH, NULL, 0, err), err);
}

static int put_fuzz_run(struct store *s, const struct store_fuzz_run *r, struct store_error *err)
{
    struct binder b = {store_stmt(s, STORE_STMT_PUT_FUZZ_RUN, err), 1};
    if (!b.stmt)
        return -EIO;
    bind_number(&b, (uint64_t)s->campaign);
    bind_text(&b, r->design);
    bind_text(&b, r->tool);
    bind_number(&b, r->seed);
    bind_number(&b, r->found);
    bind_real(&b, r->cpu_seconds);
    bind_number(&b, r->executions);
    if (r->has_workloads)
        bind_number(&b, r->workloads);
    return store_run_stmt(s, STORE_STMT_PUT_FUZZ_RUN, err);
}

int store_put_fuzz_runs(struct store *s, const struct store_fuzz_run *runs, size_t count, struct store_error *err)
{
    int ret = begin(s, err);
    if (ret)
        return ret;
    for (size_t i = 0; !ret && i < count; i++)
        ret = put_fuzz_run(s, &runs[i], err);
    return end(s, ret, err);
}
