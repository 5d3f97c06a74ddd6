/* merge.c: see merge.h. Rows are copied as they are; only the numbers of cells are moved, by where the campaign begins. */
#include "reports/merge.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "reports/store_db.h"

/* What must be the same in all of them, in the order of the SELECT below. */
enum { VERSION, SEED, OPTIONS, INPUTS, SHARDS, PLANNED, SAME_COUNT };

static const char *const same_words[SAME_COUNT] = {"the version is",  "the seed is",
                                                   "the options are", "the scenarios, designs and disk models are",
                                                   "the shards are",  "the cells planned are"};

struct part {
    struct store *store;
    const char *path;
    char *same[SAME_COUNT];
    int64_t shard, finished, caught, of, base;
};

struct merge {
    struct part *parts;
    size_t count;
    struct store *out;
};

static int read_part(struct part *p, struct store_error *err)
{
    sqlite3_stmt *row;
    int ret = store_open(p->path, NULL, &p->store, err);
    if (!ret)
        ret = store_query(p->store,
                          "SELECT version, seed, options, inputs, shards, planned, shard, finished, canaries_caught,"
                          " canaries_of, (SELECT coalesce(max(id), 0) FROM cell WHERE campaign < ?1)"
                          " FROM campaign WHERE id = ?1",
                          &row, err);
    if (ret)
        return ret;
    int rc = sqlite3_step(row);
    for (int i = 0; i < SAME_COUNT && rc == SQLITE_ROW; i++)
        if (!(p->same[i] = strdup((const char *)sqlite3_column_text(row, i))))
            rc = SQLITE_NOMEM;
    int64_t *const numbers[] = {&p->shard, &p->finished, &p->caught, &p->of, &p->base};
    for (int i = 0; i < 5 && rc == SQLITE_ROW; i++)
        *numbers[i] = sqlite3_column_int64(row, SAME_COUNT + i);
    return store_query_end(p->store, row, rc == SQLITE_ROW ? SQLITE_DONE : rc, err);
}

static int check_part(const struct merge *m, size_t at, struct store_error *err)
{
    const struct part *p = &m->parts[at], *first = &m->parts[0];
    for (int i = 0; i < SAME_COUNT; i++)
        if (strcmp(p->same[i], first->same[i]) != 0) {
            snprintf(err->text, sizeof(err->text), "not shards of one campaign: %s '%.60s' in %.60s, '%.60s' in %.60s",
                     same_words[i], first->same[i], first->path, p->same[i], p->path);
            return -EINVAL;
        }
    for (size_t i = 0; i < at; i++)
        if (m->parts[i].shard == p->shard) {
            snprintf(err->text, sizeof(err->text), "shard %lld/%s is there twice: %.100s and %.100s",
                     (long long)p->shard, p->same[SHARDS], m->parts[i].path, p->path);
            return -EINVAL;
        }
    if (!p->finished) {
        snprintf(err->text, sizeof(err->text), "%.200s: shard %lld/%s is not finished; go on with it by --resume",
                 p->path, (long long)p->shard, p->same[SHARDS]);
        return -EINVAL;
    }
    return 0;
}

/* Which are missing, by number; only the first few of many. */
static int check_all_there(const struct merge *m, struct store_error *err)
{
    long shards = strtol(m->parts[0].same[SHARDS], NULL, 10);
    char list[120] = "";
    size_t used = 0;
    long missing = 0;
    for (long k = 1; k <= shards; k++) {
        bool there = false;
        for (size_t i = 0; i < m->count && !there; i++)
            there = m->parts[i].shard == k;
        if (there)
            continue;
        if (used < sizeof(list) - 16)
            used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%ld", missing ? ", " : "", k);
        else if (list[used - 1] != '.')
            used += (size_t)snprintf(list + used, sizeof(list) - used, ", ...");
        missing++;
    }
    if (!missing)
        return 0;
    snprintf(err->text, sizeof(err->text), "not all shards are there: of %ld, missing: %s", shards, list);
    return -EINVAL;
}

static bool same_file(const char *a, const char *b)
{
    struct stat x, y;
    return !stat(a, &x) && !stat(b, &y) && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static int read_parts(struct merge *m, const char *out, struct store_error *err)
{
    int ret = 0;
    for (size_t i = 0; i < m->count && !ret; i++) {
        if (same_file(out, m->parts[i].path)) {
            snprintf(err->text, sizeof(err->text), "%.200s is one of the stores to merge; name another for the result",
                     out);
            return -EINVAL;
        }
        ret = read_part(&m->parts[i], err);
        if (!ret)
            ret = check_part(m, i, err);
    }
    return ret ? ret : check_all_there(m, err);
}

/* --- copying ------------------------------------------------------------------------------------------------------- */

/* Every table with a column that names a cell: `cell` by id, the others by cell. */
static const char tables_sql[] =
    "SELECT m.name, iif(m.name = 'cell', 'id', 'cell') FROM sqlite_schema m WHERE m.type = 'table' AND"
    " (m.name = 'cell' OR EXISTS (SELECT 1 FROM pragma_table_info(m.name) WHERE name = 'cell')) ORDER BY m.name";

/* "INSERT INTO t VALUES (?1, ?2, ...)" */
static int prepare_insert(struct store *out, const char *table, int columns, sqlite3_stmt **insert,
                          struct store_error *err)
{
    char *sql = NULL;
    size_t size;
    FILE *text = open_memstream(&sql, &size);
    if (!text)
        return store_fail(out, SQLITE_NOMEM, err);
    fprintf(text, "INSERT INTO %s VALUES (", table);
    for (int i = 1; i <= columns; i++)
        fprintf(text, "%s?%d", i > 1 ? ", " : "", i);
    fputc(')', text);
    int rc = fclose(text) ? SQLITE_NOMEM : sqlite3_prepare_v2(out->db, sql, -1, insert, NULL);
    free(sql);
    return rc == SQLITE_OK ? 0 : store_fail(out, rc, err);
}

static int copy_row(struct merge *m, const struct part *p, sqlite3_stmt *row, const char *key, sqlite3_stmt *insert,
                    struct store_error *err)
{
    for (int i = 0; i < sqlite3_column_count(row); i++) {
        const char *column = sqlite3_column_name(row, i);
        if (!strcmp(column, key))
            sqlite3_bind_int64(insert, i + 1, sqlite3_column_int64(row, i) - p->base + m->out->base);
        else if (!strcmp(column, "campaign"))
            sqlite3_bind_int64(insert, i + 1, m->out->campaign);
        else
            sqlite3_bind_value(insert, i + 1, sqlite3_column_value(row, i));
    }
    int rc = sqlite3_step(insert);
    sqlite3_reset(insert);
    return rc == SQLITE_DONE ? 0 : store_fail(m->out, rc, err);
}

static int copy_table(struct merge *m, const struct part *p, const char *table, const char *key,
                      struct store_error *err)
{
    char sql[200];
    sqlite3_stmt *row, *insert = NULL;
    snprintf(sql, sizeof(sql), "SELECT * FROM %s WHERE %s IN (SELECT id FROM cell WHERE campaign = ?1)", table, key);
    int rc = SQLITE_DONE, ret = store_query(p->store, sql, &row, err);
    if (ret)
        return ret;
    ret = prepare_insert(m->out, table, sqlite3_column_count(row), &insert, err);
    while (!ret && (rc = sqlite3_step(row)) == SQLITE_ROW)
        ret = copy_row(m, p, row, key, insert, err);
    sqlite3_finalize(insert);
    if (!ret)
        return store_query_end(p->store, row, rc, err);
    sqlite3_finalize(row);
    return ret;
}

static int copy_part(struct merge *m, const struct part *p, struct store_error *err)
{
    sqlite3_stmt *tables;
    int rc = SQLITE_DONE, ret = store_query(m->out, tables_sql, &tables, err);
    if (ret)
        return ret;
    while (!ret && (rc = sqlite3_step(tables)) == SQLITE_ROW)
        ret = copy_table(m, p, (const char *)sqlite3_column_text(tables, 0),
                         (const char *)sqlite3_column_text(tables, 1), err);
    if (!ret)
        return store_query_end(m->out, tables, rc, err);
    sqlite3_finalize(tables);
    return ret;
}

static int execute(struct store *s, const char *sql, struct store_error *err)
{
    int rc = sqlite3_exec(s->db, sql, NULL, NULL, NULL);
    return rc == SQLITE_OK ? 0 : store_fail(s, rc, err);
}

/* In one transaction: all of them or none. */
static int copy_parts(struct merge *m, struct store_error *err)
{
    unsigned caught = (unsigned)m->parts[0].caught, of = (unsigned)m->parts[0].of;
    struct store_error ignored;
    int ret = execute(m->out, "BEGIN IMMEDIATE; PRAGMA defer_foreign_keys = ON", err);
    for (size_t i = 0; i < m->count && !ret; i++) {
        ret = copy_part(m, &m->parts[i], err);
        if (m->parts[i].caught < caught)
            caught = (unsigned)m->parts[i].caught;
    }
    if (!ret)
        ret = execute(m->out, "COMMIT", err);
    else
        execute(m->out, "ROLLBACK", &ignored);
    if (!ret && of)
        ret = store_put_canaries(m->out, caught, of, err);
    return ret ? ret : store_finish(m->out, err);
}

static int open_out(struct merge *m, const char *out, const char *command, struct store_error *err)
{
    char *const *same = m->parts[0].same;
    struct store_campaign campaign = {.version = same[VERSION],
                                      .seed = strtoull(same[SEED], NULL, 10),
                                      .command = command,
                                      .options = same[OPTIONS],
                                      .inputs = same[INPUTS],
                                      .planned = strtoull(same[PLANNED], NULL, 10)};
    return store_open(out, &campaign, &m->out, err);
}

static void free_parts(struct merge *m)
{
    struct store_error ignored;
    for (size_t i = 0; i < m->count; i++) {
        if (m->parts[i].store)
            store_close(m->parts[i].store, &ignored);
        for (int k = 0; k < SAME_COUNT; k++)
            free(m->parts[i].same[k]);
    }
    free(m->parts);
}

/* What a failed merge began is taken back as far as that goes. */
static int close_out(struct merge *m, int ret, struct store_error *err)
{
    char sql[80];
    struct store_error ignored;
    if (!m->out)
        return ret;
    snprintf(sql, sizeof(sql), "DELETE FROM campaign WHERE id = %lld", (long long)m->out->campaign);
    if (ret)
        execute(m->out, sql, &ignored);
    int closed = store_close(m->out, ret ? &ignored : err);
    return ret ? ret : closed;
}

int store_merge(const char *out, const char *const *in, size_t count, const char *command, struct store_error *err)
{
    struct merge m = {.parts = calloc(count, sizeof(*m.parts)), .count = count};
    if (!m.parts) {
        snprintf(err->text, sizeof(err->text), "out of memory");
        return -ENOMEM;
    }
    for (size_t i = 0; i < count; i++)
        m.parts[i].path = in[i];
    int ret = read_parts(&m, out, err);
    if (!ret)
        ret = open_out(&m, out, command, err);
    if (!ret)
        ret = copy_parts(&m, err);
    ret = close_out(&m, ret, err);
    free_parts(&m);
    return ret;
}
