/* timeline.c: see timeline.h. */
#include "reports/timeline.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char *const lanes[] = {
    [STORE_LANE_GUEST] = "guest", [STORE_LANE_HEADER] = "header", [STORE_LANE_L1] = "L1",       [STORE_LANE_L2] = "L2",
    [STORE_LANE_DATA] = "data",   [STORE_LANE_FILE] = "file",     [STORE_LANE_FLUSH] = "flush",
};

static const char *const fates[] = {
    [STORE_FATE_DURABLE] = "durable", [STORE_FATE_SURVIVED] = "survived",       [STORE_FATE_PARTLY] = "partly",
    [STORE_FATE_LOST] = "lost",       [STORE_FATE_OVERWRITTEN] = "overwritten", [STORE_FATE_UNCHANGED] = "unchanged",
    [STORE_FATE_DONE] = "done",       [STORE_FATE_FAILED] = "failed",           [STORE_FATE_IN_FLIGHT] = "in flight",
};

#define LANES (sizeof(lanes) / sizeof(lanes[0]))
#define FATES (sizeof(fates) / sizeof(fates[0]))

const char *store_lane_word(enum store_lane lane)
{
    return lanes[lane];
}

const char *store_fate_word(enum store_fate fate)
{
    return fates[fate];
}

static unsigned find_word(const char *const *words, unsigned count, const unsigned char *word)
{
    for (unsigned i = 0; i < count; i++)
        if (word && !strcmp(words[i], (const char *)word))
            return i;
    return 0; /* the schema's CHECK leaves no other word */
}

static void take_text(char *to, size_t size, sqlite3_stmt *row, int column)
{
    const unsigned char *text = sqlite3_column_text(row, column);
    snprintf(to, size, "%s", text ? (const char *)text : "");
}

static void read_row(sqlite3_stmt *row, struct store_event *e)
{
    const unsigned char *order = sqlite3_column_text(row, 10);
    *e = (struct store_event){
        .lane = find_word(lanes, LANES, sqlite3_column_text(row, 0)),
        .begin = (uint32_t)sqlite3_column_int64(row, 2),
        .end = (uint32_t)sqlite3_column_int64(row, 3),
        .ended = sqlite3_column_type(row, 3) != SQLITE_NULL,
        .offset_bytes = (uint64_t)sqlite3_column_int64(row, 4),
        .length_bytes = (uint64_t)sqlite3_column_int64(row, 5),
        .fate = find_word(fates, FATES, sqlite3_column_text(row, 6)),
        .pending = (uint32_t)sqlite3_column_int64(row, 7),
        .survived = (uint32_t)sqlite3_column_int64(row, 8),
        .order = !order            ? STORE_ORDER_NONE
                 : order[0] == 'l' ? STORE_ORDER_LOST
                                   : STORE_ORDER_SURVIVOR,
    };
    take_text(e->name, sizeof(e->name), row, 1);
    take_text(e->sectors, sizeof(e->sectors), row, 9);
}

int store_read_timeline(struct store *s, int64_t cell, int64_t finding, struct timeline *out, struct store_error *err)
{
    sqlite3_stmt *row;
    size_t cap = 0;
    *out = (struct timeline){0};
    int ret = store_query(s,
                          "SELECT lane, name, begin, end, offset_bytes, length_bytes, fate, pending, survived, sectors,"
                          " missing FROM v_timeline WHERE cell = ?1 AND finding = ?2 ORDER BY seq",
                          &row, err);
    if (ret)
        return ret;
    sqlite3_bind_int64(row, 1, cell);
    sqlite3_bind_int64(row, 2, finding);
    int rc;
    while ((rc = sqlite3_step(row)) == SQLITE_ROW) {
        if (out->count == cap) {
            cap = cap ? 2 * cap : 32;
            struct store_event *more = reallocarray(out->events, cap, sizeof(*more));
            if (!more) {
                rc = SQLITE_NOMEM;
                break;
            }
            out->events = more;
        }
        read_row(row, &out->events[out->count++]);
    }
    ret = store_query_end(s, row, rc, err);
    if (ret) {
        free(out->events);
        *out = (struct timeline){0};
    }
    return ret;
}

bool timeline_has_crash(const char *id)
{
    const char *last = strrchr(id, ':');
    return last && last[1] == '@';
}

void timeline_fate_text(const struct store_event *e, char *buf, size_t size)
{
    switch (e->fate) {
    case STORE_FATE_PARTLY:
        snprintf(buf, size, "%" PRIu32 " of %" PRIu32 " survived: sector%s %s", e->survived, e->pending,
                 e->survived == 1 ? "" : "s", e->sectors);
        break;
    case STORE_FATE_DURABLE:
        snprintf(buf, size, "durable: flushed");
        break;
    case STORE_FATE_OVERWRITTEN:
        snprintf(buf, size, "a later write survived over it");
        break;
    case STORE_FATE_UNCHANGED:
        snprintf(buf, size, "wrote what was there");
        break;
    case STORE_FATE_DONE:
        snprintf(buf, size, "%s",
                 e->lane == STORE_LANE_GUEST   ? "acknowledged"
                 : e->lane == STORE_LANE_FLUSH ? "done"
                                               : "completed, not flushed");
        break;
    case STORE_FATE_SURVIVED:
    case STORE_FATE_LOST:
    case STORE_FATE_FAILED:
    case STORE_FATE_IN_FLIGHT:
        snprintf(buf, size, "%s", store_fate_word(e->fate));
        break;
    }
}
