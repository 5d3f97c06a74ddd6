/* replay.c: reading a recording's files, and turning them into history and promise. See replay.h. */
#include "scenarios/replay.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "scenarios/player_internal.h"
#include "scenarios/replay_internal.h"
#include "simdisk/dm_log.h"
#include "simdisk/xalloc.h"

#define SECTOR        BLK_SECTOR_BYTES
#define FILE_MAX      (UINT64_C(256) << 20) /* held in memory */
#define BACKING_MAX   (UINT64_C(64) << 20)  /* and tagged */
#define TABLE_MAX     (UINT64_C(16) << 20)
#define PREPARED_LIFE 0u
#define BASE_WRITE_ID 1u

int replay_fail(struct scn_error *err, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    if (err)
        vsnprintf(err->text, sizeof(err->text), fmt, ap);
    va_end(ap);
    return -EINVAL;
}

static bool is_directory(const char *path)
{
    struct stat st;
    return !stat(path, &st) && S_ISDIR(st.st_mode);
}

/* The directory that a name says; true if the name says the other reading. */
static bool is_uncovered(const char *name, char dir[PATH_MAX])
{
    size_t length = strlen(name), suffix = strlen(REPLAY_UNCOVERED);
    bool other = length > suffix && !strcmp(name + length - suffix, REPLAY_UNCOVERED) && !is_directory(name);
    snprintf(dir, PATH_MAX, "%.*s", (int)(other ? length - suffix : length), name);
    return other;
}

bool replay_is_directory(const char *path)
{
    char dir[PATH_MAX];
    is_uncovered(path, dir);
    return is_directory(dir);
}

void replay_free(struct replay *r)
{
    if (!r)
        return;
    if (r->base)
        sim_pages_destroy(r->base);
    if (r->before)
        sim_pages_destroy(r->before);
    if (r->backing)
        sim_pages_destroy(r->backing);
    for (size_t i = 0; i < r->entry_count; i++)
        free(r->entries[i].data);
    free(r->entries);
    free(r->guest);
    free(r->held);
    free(r->zeroed);
    free(r);
}

/* --- files --------------------------------------------------------------------------------------------------------- */

struct file {
    char path[PATH_MAX];
    uint8_t *bytes;
    size_t size;
};

static int read_all(int fd, struct file *f)
{
    struct stat st;
    if (fstat(fd, &st))
        return -errno;
    if (!S_ISREG(st.st_mode))
        return -EISDIR;
    if ((uint64_t)st.st_size > FILE_MAX)
        return -EFBIG;
    f->bytes = xmalloc((size_t)st.st_size + 1);
    while (f->size < (size_t)st.st_size) {
        ssize_t n = read(fd, f->bytes + f->size, (size_t)st.st_size - f->size);
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n == 0)
            break;
        f->size += n > 0 ? (size_t)n : 0;
    }
    return 0;
}

/* 0; -ENOENT without a word if it may be missing; or -errno with err. */
static int file_read(const char *dir, const char *name, bool optional, struct file *f, struct scn_error *err)
{
    *f = (struct file){.size = 0};
    snprintf(f->path, sizeof(f->path), "%s/%s", dir, name);
    int fd = open(f->path, O_RDONLY | O_CLOEXEC);
    int ret = fd < 0 ? -errno : read_all(fd, f);
    if (fd >= 0)
        close(fd);
    if (ret == -ENOENT && optional)
        return ret;
    if (ret == -ENOENT)
        return replay_fail(
            err, "%.200s: this directory has no %s; a recording has base.qed, writes.log and, with it, guest.jsonl",
            dir, name);
    if (ret == -EISDIR)
        return replay_fail(err, "%.200s: not a regular file", f->path);
    if (ret == -EFBIG)
        return replay_fail(err, "%.200s: larger than %" PRIu64 "M, which is held in memory", f->path, FILE_MAX >> 20);
    if (ret) {
        replay_fail(err, "%.200s: %s", f->path, strerror(-ret));
        return -EIO;
    }
    return 0;
}

static struct sim_pages *pages_of(const struct file *f, uint64_t *length_bytes)
{
    struct sim_pages *pages = sim_pages_create();
    sim_pages_write(pages, 0, f->bytes, f->size);
    *length_bytes = (f->size + SECTOR - 1) / SECTOR * SECTOR;
    return pages;
}

/* {"format":"qcow2","size":1048576,"cluster":4096} */
static int parse_image(struct replay *r, const struct file *f, struct scn_error *err)
{
    char text[256];
    int end = 0;
    snprintf(text, sizeof(text), "%.*s", f->size < 255 ? (int)f->size : 255, (const char *)f->bytes);
    int n = sscanf(text, "{\"format\":\"%15[a-z0-9]\",\"size\":%" SCNu64 ",\"cluster\":%" SCNu64 "} %n", r->format,
                   &r->image_bytes, &r->cluster_bytes, &end);
    if (n != 3 || !end || text[end])
        return replay_fail(err, "%.200s: wanted is {\"format\":\"qcow2\",\"size\":1048576,\"cluster\":4096}", f->path);
    if (r->image_bytes > FILE_MAX || r->image_bytes % SECTOR || r->cluster_bytes < SECTOR ||
        r->cluster_bytes % SECTOR || r->cluster_bytes > TABLE_MAX)
        return replay_fail(
            err, "%.200s: a size of whole sectors, at most 256M, and a cluster of at most 16M are wanted", f->path);
    return 0;
}

/* Another format's. QEMU will read its tables; what the guest saw in it stands in a file of its own. */
static int load_other_base(struct replay *r, const char *dir, struct scn_error *err)
{
    char name[32];
    struct file f;
    uint64_t before_bytes = 0;
    snprintf(name, sizeof(name), "base.%s", r->format);
    r->max_bytes = FILE_MAX;
    int ret = file_read(dir, name, false, &f, err);
    if (!ret)
        r->base = pages_of(&f, &r->base_bytes);
    free(f.bytes);
    if (ret)
        return ret;
    ret = file_read(dir, REPLAY_BEFORE, false, &f, err);
    if (!ret)
        r->before = pages_of(&f, &before_bytes);
    if (!ret && before_bytes != r->image_bytes)
        ret = replay_fail(err, "%.200s: has %" PRIu64 " bytes, and " REPLAY_IMAGE " says %" PRIu64, f.path,
                          before_bytes, r->image_bytes);
    free(f.bytes);
    return ret;
}

static int load_base(struct replay *r, const char *dir, struct scn_error *err)
{
    struct file f;
    int ret = file_read(dir, REPLAY_IMAGE, true, &f, err);
    if (!ret) {
        ret = parse_image(r, &f, err);
        free(f.bytes);
        return ret ? ret : load_other_base(r, dir, err);
    }
    free(f.bytes);
    if (ret != -ENOENT)
        return ret;
    snprintf(r->format, sizeof(r->format), "qed");
    ret = file_read(dir, REPLAY_BASE, false, &f, err);
    const struct qed_header *h = &r->header;
    if (!ret && f.size < QED_HEADER_BYTES)
        ret = replay_fail(err, "%.200s: no QED image: it has %zu bytes", f.path, f.size);
    if (!ret)
        qed_header_decode(f.bytes, &r->header);
    if (!ret && (h->magic != QED_MAGIC || !qed_cluster_size_valid(h->cluster_size) ||
                 !qed_table_size_valid(h->table_size) || !h->header_size))
        ret = replay_fail(err, "%.200s: no QED image: its header is none", f.path);
    if (!ret) {
        qed_geometry_init(&r->geometry, h->cluster_size, h->table_size, h->header_size);
        if (r->geometry.table_bytes > TABLE_MAX)
            ret = replay_fail(err, "%.200s: its tables are larger than %" PRIu64 "M, which is too large to judge",
                              f.path, TABLE_MAX >> 20);
        else if (h->image_size > r->geometry.max_image_bytes || h->l1_table_offset > FILE_MAX)
            ret = replay_fail(err, "%.200s: no QED image: its header makes no sense", f.path);
    }
    if (!ret) {
        r->base = pages_of(&f, &r->base_bytes);
        r->image_bytes = h->image_size;
        r->cluster_bytes = h->cluster_size;
        r->max_bytes = r->geometry.max_image_bytes;
    }
    free(f.bytes);
    return ret;
}

static int load_backing(struct replay *r, const char *dir, struct scn_error *err)
{
    struct file f;
    int ret = file_read(dir, REPLAY_BACKING, true, &f, err);
    bool named = r->header.features & QED_F_BACKING_FILE;
    if (ret == -ENOENT)
        return named ? replay_fail(err, "%.200s: " REPLAY_BASE " names a backing file, and there is no " REPLAY_BACKING,
                                   dir)
                     : 0;
    if (!ret && f.size > BACKING_MAX)
        ret = replay_fail(err, "%.200s: larger than %" PRIu64 "M, which is held in memory", f.path, BACKING_MAX >> 20);
    if (!ret && (named || !replay_is_qed(r)))
        r->backing = pages_of(&f, &r->backing_bytes);
    free(f.bytes);
    return ret;
}

/* --- the log ------------------------------------------------------------------------------------------------------- */

struct loading {
    struct replay *r;
    size_t *ours; /* of the log's entry n: how many of ours come before it */
    size_t count, cap;
    bool pending; /* writes that no flush covers yet */
    char why[160];
};

static struct replay_entry *add_entry(struct replay *r, enum hist_kind kind)
{
    r->entries = xgrow(r->entries, r->entry_count, &r->entry_cap, sizeof(*r->entries));
    struct replay_entry *e = &r->entries[r->entry_count++];
    *e = (struct replay_entry){.kind = kind, .label = BLK_EVENT_FLUSH_TO_DISK};
    return e;
}

static int refuse(struct loading *l, const struct dm_log_entry *from, const char *why)
{
    snprintf(l->why, sizeof(l->why), "entry %" PRIu64 " of the log %s", from->number, why);
    return -EINVAL;
}

static int take_entry(void *opaque, const struct dm_log_entry *from)
{
    struct loading *l = opaque;
    bool fua = from->flags & DM_LOG_FUA;
    l->ours = xgrow(l->ours, l->count, &l->cap, sizeof(*l->ours));
    l->ours[l->count++] = l->r->entry_count;
    if (from->flags & DM_LOG_MARK)
        return 0;
    if (from->flags & DM_LOG_DISCARD)
        return refuse(l, from, "is a discard, and what a disk holds after one is not modelled");
    if (from->flags & DM_LOG_FLUSH) {
        add_entry(l->r, HIST_FLUSH);
        l->pending = false;
    }
    if (from->data) {
        if (from->offset_bytes + from->length_bytes > FILE_MAX)
            return refuse(l, from, "writes beyond 256M, which is held in memory");
        struct replay_entry *e = add_entry(l->r, HIST_WRITE);
        e->offset_bytes = from->offset_bytes;
        e->length_bytes = from->length_bytes;
        e->data = xmalloc(from->length_bytes);
        memcpy(e->data, from->data, from->length_bytes);
    }
    if (fua && from->data) {
        if (l->pending) /* a flush behind it would make those durable too */
            return refuse(l, from, "is a FUA write beside writes that are not flushed, which is not modelled");
        add_entry(l->r, HIST_FLUSH);
    }
    l->pending |= from->data && !fua;
    return 0;
}

/* From entries of the log to ours. */
static int translate_guest(struct loading *l, struct scn_error *err)
{
    l->ours = xgrow(l->ours, l->count, &l->cap, sizeof(*l->ours));
    l->ours[l->count] = l->r->entry_count;
    for (size_t i = 0; i < l->r->guest_count; i++) {
        struct replay_guest *g = &l->r->guest[i];
        if (g->log_end > l->count)
            return replay_fail(err, REPLAY_GUEST ": operation %zu ends at entry %" PRIu64 ", and the log has %zu",
                               i + 1, g->log_end, l->count);
        g->log_start = l->ours[g->log_start];
        g->log_end = l->ours[g->log_end];
    }
    return 0;
}

static int load_log(struct loading *l, const char *dir, struct scn_error *err)
{
    struct file f;
    struct dm_log_error log_err = {""};
    int ret = file_read(dir, REPLAY_LOG, false, &f, err);
    if (!ret && dm_log_read(f.bytes, f.size, take_entry, l, &log_err))
        ret = replay_fail(err, "%.150s: %.150s", f.path, l->why[0] ? l->why : log_err.text);
    free(f.bytes);
    return ret;
}

static int load_guest(struct loading *l, const char *dir, struct scn_error *err)
{
    struct file f;
    int ret = file_read(dir, REPLAY_GUEST, true, &f, err);
    if (ret == -ENOENT)
        return 0;
    l->r->has_guest = true;
    if (!ret)
        ret = replay_parse_guest(l->r, f.path, (const char *)f.bytes, f.size, err);
    free(f.bytes);
    return ret ? ret : translate_guest(l, err);
}

/* Who made the log. */
static int load_meta(struct replay *r, const char *dir, struct scn_error *err)
{
    struct file f;
    char maker[32] = "";
    int end = 0;
    int ret = file_read(dir, REPLAY_META, true, &f, err);
    if (ret)
        return ret == -ENOENT ? 0 : ret;
    f.bytes[f.size] = 0;
    if (sscanf((const char *)f.bytes, " { \"log\" : \"%31[a-z-]\" } %n", maker, &end) != 1 || (size_t)end != f.size ||
        (strcmp(maker, "dm-log-writes") != 0 && strcmp(maker, "blklogwrites") != 0))
        ret = replay_fail(err,
                          "%.200s: expected {\"log\":\"blklogwrites\"} or {\"log\":\"dm-log-writes\"}: who made "
                          "the log",
                          f.path);
    r->by_kernel = !strcmp(maker, "dm-log-writes");
    free(f.bytes);
    return ret;
}

/* Was another operation of the guest under way beside this one? If not, what was written meanwhile is this one's own: qcow2
 * writes its tables when it is asked to flush, and flushes them then. */
static bool *find_overlapping(const struct replay *r)
{
    bool *beside = xcalloc(r->guest_count + 1, sizeof(*beside));
    size_t until = 0;
    for (size_t i = 0; i < r->guest_count; i++) {
        const struct replay_guest *g = &r->guest[i];
        beside[i] = until > g->log_start || (i + 1 < r->guest_count && r->guest[i + 1].log_start < g->log_end);
        until = g->log_end > until ? g->log_end : until;
    }
    return beside;
}

/* When each flush was submitted, at the earliest: a flush of the guest was asked for when the guest asked. What a write
 * flushes for itself covers what that write did before, so it is taken for submitted when it is logged. The guest's lines
 * stand in the order of their beginnings, so of its flushes that are not over the first is the earliest. */
static void submit_flushes(struct replay *r)
{
    size_t k = 0, writes = 0;
    size_t *writes_before = xcalloc(r->entry_count, sizeof(*writes_before));
    bool *beside = find_overlapping(r);
    for (size_t i = 0; i < r->entry_count; i++) {
        struct replay_entry *e = &r->entries[i];
        while (k < r->guest_count && (r->guest[k].op != SCN_FLUSH || r->guest[k].log_end <= i))
            k++;
        bool asked =
            e->kind == HIST_FLUSH && !r->by_kernel && k < r->guest_count && r->guest[k].log_start <= i && beside[k];
        size_t since = asked ? r->guest[k].log_start : i;
        writes_before[i] = writes;
        r->uncovered += writes - writes_before[since];
        writes += e->kind == HIST_WRITE;
        e->submitted = r->other_reading ? since : i;
    }
    free(writes_before);
    free(beside);
}

static int load(struct replay *r, const char *name, struct scn_error *err)
{
    struct loading l = {.r = r};
    char dir[PATH_MAX];
    r->other_reading = is_uncovered(name, dir);
    int ret = load_meta(r, dir, err);
    ret = ret ? ret : load_base(r, dir, err);
    ret = ret ? ret : load_backing(r, dir, err);
    ret = ret ? ret : load_log(&l, dir, err);
    ret = ret ? ret : load_guest(&l, dir, err);
    free(l.ours);
    if (ret)
        return ret;
    submit_flushes(r);
    if (replay_is_qed(r))
        replay_identify(r);
    else
        replay_identify_other(r);
    return 0;
}

/* --- as a scenario ------------------------------------------------------------------------------------------------- */

static void make_statements(struct scenario *s)
{
    const struct replay *r = s->replay;
    s->stmts = xcalloc(r->guest_count, sizeof(*s->stmts));
    s->stmt_count = r->guest_count;
    for (size_t i = 0; i < r->guest_count; i++) {
        struct scn_stmt *st = &s->stmts[i];
        *st = (struct scn_stmt){.op = r->guest[i].op,
                                .line = (unsigned)i + 1,
                                .offset = r->guest[i].offset_bytes,
                                .length = r->guest[i].length_bytes};
        scn_format_stmt(st, st->text, sizeof(st->text));
    }
}

int replay_load(const char *dir, struct scenario **out, struct scn_error *err)
{
    struct replay *r = xcalloc(1, sizeof(*r));
    int ret = load(r, dir, err);
    *out = NULL;
    if (ret) {
        replay_free(r);
        return ret;
    }
    struct scenario *s = xcalloc(1, sizeof(*s));
    s->replay = r;
    s->path = xalloc_check(strdup(dir));
    s->name = xalloc_check(strdup(dir));
    if (asprintf(&s->title, "a recording: %zu entries of the log, %zu operations of the guest", r->entry_count,
                 r->guest_count) < 0)
        xalloc_check(NULL);
    s->image_bytes = r->image_bytes;
    s->cluster_bytes = (uint32_t)r->cluster_bytes;
    s->table_clusters = r->header.table_size ? r->header.table_size : 1; /* of another format there is none: any */
    s->backing = r->backing ? SCN_BACKING_TAGGED : SCN_BACKING_NONE;
    s->backing_bytes = r->backing_bytes;
    make_statements(s);
    *out = s;
    return 0;
}

struct sim_pages *replay_backing(const struct replay *r, uint64_t *length_bytes)
{
    *length_bytes = r->backing_bytes;
    return r->backing ? sim_pages_snapshot(r->backing) : NULL;
}

bool replay_structure_only(const struct replay *r)
{
    return !r->has_guest;
}

const char *replay_format(const struct replay *r)
{
    return r->format;
}

bool replay_is_qed(const struct replay *r)
{
    return !r->before;
}

bool replay_is_uncovered(const struct replay *r)
{
    return r->other_reading;
}

size_t replay_uncovered(const struct replay *r)
{
    return r->uncovered;
}

uint64_t replay_unknown_sectors(const struct replay *r)
{
    return r->unknown_sectors;
}

size_t replay_entries(const struct replay *r)
{
    return r->entry_count;
}

/* --- history and promise ------------------------------------------------------------------------------------------- */

/* What the base image held is promised: it was there, durable, before the power could fail. */
static void promise_base(const struct replay *r, struct promise *p)
{
    uint32_t handle;
    for (size_t i = 0; i < r->zeroed_count; i++) {
        handle = promise_begin(p, 0, PROMISE_ZERO, r->zeroed[i].first_sector, r->zeroed[i].count, 0, 0);
        promise_end(p, 0, handle, true);
    }
    for (size_t i = 0; i < r->held_count; i++) {
        handle =
            promise_begin(p, 0, PROMISE_WRITE, r->held[i].first_sector, r->held[i].count, BASE_WRITE_ID, PREPARED_LIFE);
        promise_end(p, 0, handle, true);
    }
    handle = promise_flush_begin(p, 0);
    promise_flush_end(p, 0, handle, true);
}

static uint32_t promise_begun(struct promise *p, uint32_t when, const struct replay_guest *g)
{
    static const enum promise_op ops[SCN_OP_COUNT] = {
        [SCN_WRITE] = PROMISE_WRITE, [SCN_ZERO] = PROMISE_ZERO, [SCN_DISCARD] = PROMISE_DISCARD};
    if (g->op == SCN_OPEN)
        return 0;
    if (g->op == SCN_FLUSH || g->op == SCN_CLOSE)
        return promise_flush_begin(p, when);
    if (g->op == SCN_TRUNCATE)
        return promise_resize_begin(p, when, g->length_bytes);
    return promise_begin(p, when, ops[g->op], g->offset_bytes / SECTOR, g->length_bytes / SECTOR, g->write_id, 1);
}

static void promise_over(struct promise *p, uint32_t when, const struct replay_guest *g, uint32_t handle)
{
    if (g->op == SCN_FLUSH || g->op == SCN_CLOSE)
        promise_flush_end(p, when, handle, true);
    else if (g->op == SCN_TRUNCATE)
        promise_resize_end(p, when, handle, true);
    else if (g->op != SCN_OPEN)
        promise_end(p, when, handle, true);
}

/* Operation `op` of the guest is over before entry `at`. */
struct ending {
    size_t at, op;
};

struct playing {
    const struct scenario *s;
    const struct replay *r;
    struct recording *out;
    uint32_t *handles, *ops; /* of the guest's operations; of the entries */
    size_t next;             /* operation of the guest */
    struct ending *endings;  /* of the guest's operations, the first first; so many are over: */
    size_t ended;
    size_t early; /* all flushes before this entry that are logged later than they were submitted are submitted */
};

static void begin_op(struct playing *p)
{
    size_t i = p->next++;
    uint32_t begin = history_now(p->out->history);
    history_mark(p->out->history, false, "%s submitted", p->s->stmts[i].text);
    p->out->guest_ops[i] = (struct run_guest_op){
        .stmt = (unsigned)i, .begin = begin, .end = HIST_NEVER, .write_id = p->r->guest[i].write_id};
    p->handles[i] = promise_begun(p->out->promise, begin, &p->r->guest[i]);
    p->out->guest_writes += p->r->guest[i].op <= SCN_DISCARD && p->r->guest[i].op != SCN_FLUSH;
}

static void end_op(struct playing *p, size_t i)
{
    enum scn_op op = p->r->guest[i].op;
    history_mark(p->out->history, op == SCN_FLUSH || op == SCN_CLOSE, "%s acknowledged", p->s->stmts[i].text);
    p->out->guest_ops[i].end = history_now(p->out->history);
    promise_over(p->out->promise, p->out->guest_ops[i].end, &p->r->guest[i], p->handles[i]);
}

static int by_ending(const void *a, const void *b)
{
    const struct ending *x = a, *y = b;
    if (x->at != y->at)
        return x->at < y->at ? -1 : 1;
    return x->op < y->op ? -1 : x->op > y->op;
}

static struct ending *sort_endings(const struct replay *r)
{
    struct ending *endings = xcalloc(r->guest_count, sizeof(*endings));
    for (size_t i = 0; i < r->guest_count; i++)
        endings[i] = (struct ending){r->guest[i].log_end, i};
    qsort(endings, r->guest_count, sizeof(*endings), by_ending);
    return endings;
}

/* Before our entry `at`: what the guest heard by then, and then what it asked. An operation that left no entry begins and
 * ends here, in the order of the lines. */
static void play_guest(struct playing *p, size_t at)
{
    const struct replay_guest *g = p->r->guest;
    for (; p->ended < p->r->guest_count && p->endings[p->ended].at == at; p->ended++)
        if (p->endings[p->ended].op < p->next)
            end_op(p, p->endings[p->ended].op);
    while (p->next < p->r->guest_count && g[p->next].log_start == at) {
        size_t i = p->next;
        begin_op(p);
        if (g[i].log_end == at)
            end_op(p, i);
    }
}

static uint32_t submit_entry(struct playing *p, const struct replay_entry *e)
{
    struct hist_op op = {.kind = e->kind,
                         .label = e->label,
                         .reached_disk = true,
                         .offset_bytes = e->offset_bytes,
                         .length_bytes = e->length_bytes};
    if (e->kind == HIST_WRITE) {
        op.data = xmalloc(e->length_bytes);
        memcpy(op.data, e->data, e->length_bytes);
        p->out->image_writes++;
    } else {
        p->out->flushes++;
    }
    return history_submit(p->out->history, &op);
}

/* Flushes that were submitted here and are logged later; who is logged first was submitted first. */
static void submit_early(struct playing *p, size_t at)
{
    const struct replay_entry *e = p->r->entries;
    for (; p->early < p->r->entry_count && (e[p->early].submitted == p->early || e[p->early].submitted <= at);
         p->early++)
        if (e[p->early].submitted == at && p->early > at)
            p->ops[p->early] = submit_entry(p, &e[p->early]);
}

static void play(struct playing *p)
{
    const struct replay *r = p->r;
    p->handles = xcalloc(r->guest_count, sizeof(*p->handles));
    p->ops = xcalloc(r->entry_count, sizeof(*p->ops));
    p->endings = sort_endings(r);
    for (size_t i = 0; i < r->entry_count; i++) {
        play_guest(p, i);
        submit_early(p, i);
        if (r->entries[i].submitted == i)
            p->ops[i] = submit_entry(p, &r->entries[i]);
        history_done(p->out->history, p->ops[i], 0);
    }
    play_guest(p, r->entry_count);
    free(p->handles);
    free(p->ops);
    free(p->endings);
}

static struct history *make_history(const struct scenario *s, const struct sim_disk_model *disk)
{
    struct sim_pages *base = sim_pages_snapshot(s->replay->base);
    uint64_t length = s->replay->base_bytes;
    bool fixed = disk->size == SIM_SIZE_FIXED;
    if (fixed) {
        uint64_t device = replay_device_bytes(s);
        if (disk->fresh == SIM_FRESH_STALE)
            replay_fill_stale(s, base, device);
        length = device;
    }
    return history_create(base, length, fixed);
}

int replay_record(const struct scenario *s, const struct run_options *options, struct recording *out,
                  struct scn_error *err)
{
    const struct replay *r = s->replay;
    struct playing p = {.s = s, .r = r, .out = out};
    (void)err;
    *out = (struct recording){.scenario = s, .crash_stmt = s->stmt_count, .structure_only = !r->has_guest};
    out->next_write_id = BASE_WRITE_ID + 1;
    for (size_t i = 0; i < r->guest_count; i++)
        if (r->guest[i].write_id >= out->next_write_id)
            out->next_write_id = r->guest[i].write_id + 1;
    run_backing_init(&out->backing, s, NULL);
    out->promise = promise_create(s->image_bytes);
    if (r->backing)
        promise_backing(out->promise, r->backing_bytes / SECTOR, false);
    promise_base(r, out->promise);
    out->history = make_history(s, options->disk);
    out->guest_ops = xcalloc(r->guest_count, sizeof(*out->guest_ops));
    out->guest_op_count = r->guest_count;
    play(&p);
    return 0;
}
