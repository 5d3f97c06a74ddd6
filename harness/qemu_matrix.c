/* qemu_matrix.c: see qemu_matrix.h. */
#include "harness/qemu_matrix.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness/cell_wire.h"
#include "harness/commands.h"
#include "harness/complain.h"
#include "harness/id.h"
#include "harness/json_text.h"
#include "harness/library.h"
#include "harness/progress.h"
#include "harness/qemu_bench.h"
#include "harness/qemu_io.h"
#include "harness/workers.h"
#include "scenarios/replay.h"
#include "simdisk/dm_log.h"
#include "simdisk/xalloc.h"

/* What of the ways to use an image a scenario has. */
enum { COVERS_BACKING = 1, COVERS_TABLES = 2, COVERS_SEVERAL = 4, COVERS_CLOSE = 8, COVERS_ALL = 16 };

static const char *const covers_words[] = {"backing", "tables", "several", "close"};

enum what { DIFFERS_VERDICT, DIFFERS_CLASSES, DIFFERS_STATES, DIFFERS_COUNT };

static const char *const what_words[] = {"verdict", "classes", "states"};

struct reason {
    char scenario[64], disk[32];
    enum what what;
    char *why;
    bool used;
};

/* One judged cell, and the bytes it lives in. */
struct judged {
    uint8_t *data;
    struct cell_wire wire;
};

struct row {
    struct scenario *scenario, *recording; /* recording: NULL if it was refused */
    char *name, *dir, *refused;
    unsigned covers;
    struct judged *cells; /* [disk][who]: who 0 is QEMU's recording, 1 our engine */
};

struct matrix {
    const struct options *o;
    const char *dir; /* where recordings are put */
    struct row *rows;
    size_t row_count, row_cap;
    struct reason *reasons;
    size_t reason_count, reason_cap;
    size_t recorded;
    struct scenario *canary; /* a recording without its flushes; NULL: nothing to make one of */
    bool canary_caught;
    size_t next;
    struct progress progress;
    struct progress_figures figures;
    int code;
    char message[320];
    size_t agree, explained, differ, refused, incomplete;
};

/* --- reasons ------------------------------------------------------------------------------------------------------- */

static int parse_reason(struct matrix *m, const char *path, unsigned number, char *line)
{
    struct reason r = {.used = false};
    char what[16];
    int end = 0;
    line[strcspn(line, "\n")] = 0;
    if (!line[strspn(line, " \t")] || line[0] == '#')
        return 0;
    if (sscanf(line, "%63s %31s %15[a-z]: %n", r.scenario, r.disk, what, &end) < 3 || !end || !line[end])
        return complain("matrix", EXIT_USAGE, "%s:%u: wanted is: SCENARIO DISK|all verdict|classes|states: why", path,
                        number);
    for (r.what = 0; r.what < DIFFERS_COUNT; r.what++)
        if (!strcmp(what, what_words[r.what])) {
            r.why = xalloc_check(strdup(line + end));
            m->reasons = xgrow(m->reasons, m->reason_count, &m->reason_cap, sizeof(*m->reasons));
            m->reasons[m->reason_count++] = r;
            return 0;
        }
    return complain("matrix", EXIT_USAGE, "%s:%u: '%s' is none of verdict, classes, states", path, number, what);
}

static int read_reasons(struct matrix *m, const char *directory)
{
    char path[PATH_MAX], *line = NULL;
    size_t size = 0;
    unsigned number = 0;
    int code = 0;
    snprintf(path, sizeof(path), "%s/" QEMU_REASONS, directory);
    FILE *in = fopen(path, "re");
    if (!in)
        return 0;
    while (!code && getline(&line, &size, in) >= 0)
        code = parse_reason(m, path, ++number, line);
    free(line);
    fclose(in);
    return code;
}

static struct reason *find_reason(struct matrix *m, const char *scenario, const char *disk, enum what what)
{
    for (size_t i = 0; i < m->reason_count; i++) {
        struct reason *r = &m->reasons[i];
        if (r->what == what && !strcmp(r->scenario, scenario) && (!strcmp(r->disk, "all") || !strcmp(r->disk, disk)))
            return r;
    }
    return NULL;
}

/* --- recording ----------------------------------------------------------------------------------------------------- */

static bool is_change(enum scn_op op)
{
    return op == SCN_WRITE || op == SCN_ZERO || op == SCN_DISCARD;
}

static unsigned covers(const struct scenario *s)
{
    unsigned found = s->backing == SCN_BACKING_NONE ? 0 : COVERS_BACKING, changes = 0;
    bool closed = false;
    for (size_t i = 0; i < s->stmt_count; i++) {
        const struct scn_stmt *st = &s->stmts[i];
        if (st->prepare) {
            found |= is_change(st->op) ? COVERS_TABLES : 0;
            continue;
        }
        changes = st->op == SCN_FLUSH || st->op == SCN_CLOSE ? 0 : changes + is_change(st->op);
        found |= changes > 1 ? COVERS_SEVERAL : 0;
        found |= closed && is_change(st->op) ? COVERS_CLOSE : 0;
        closed |= st->op == SCN_CLOSE;
    }
    return found;
}

static void write_scenario(const struct scenario *s, const char *path)
{
    FILE *out = fopen(path, "we");
    if (!out)
        return; /* `record' will say so */
    scenario_print(s, out);
    fclose(out);
}

/* "...: 'aio a write 0 4K' cannot be recorded: only ..." -> "aio a write 0 4K" */
static char *short_reason(const char *words)
{
    const char *from = strchr(words, '\''), *to = strstr(words, "' cannot be recorded");
    char *text = NULL;
    if (from && to && from < to)
        text = strndup(from + 1, (size_t)(to - from - 1));
    else if (!(from = strstr(words, ": ")))
        text = strdup(words);
    else
        text = strndup(from + 2, strcspn(from + 2, "\n"));
    return xalloc_check(text);
}

/* By this program, in a process of its own. 0, or an exit code. */
static int record_row(struct matrix *m, struct row *row)
{
    char file[PATH_MAX], answer[1024];
    struct scn_error err;
    int status = 0;
    snprintf(file, sizeof(file), "%.3000s/%s.scn", m->dir, row->scenario->name);
    if (row->scenario->table_clusters == 1)
        row->scenario->table_clusters = 2; /* QEMU makes images with table=1 and does not open them */
    write_scenario(row->scenario, file);
    if (asprintf(&row->dir, "%s/%s", m->dir, row->scenario->name) < 0)
        xalloc_check(NULL);
    char *argv[] = {"/proc/self/exe", "record", "-q", file, row->dir, NULL};
    int ret = qemu_program(NULL, argv, answer, sizeof(answer), &status);
    if (ret || !WIFEXITED(status) || WEXITSTATUS(status) == EXIT_INTERNAL) {
        complain("matrix", EXIT_USAGE, "%s: %s", row->name, ret ? strerror(-ret) : answer);
        return EXIT_INTERNAL;
    }
    if (WEXITSTATUS(status)) {
        row->refused = short_reason(answer);
        m->refused++;
        return 0;
    }
    m->recorded++;
    return replay_load(row->dir, &row->recording, &err) ? complain("matrix", EXIT_USAGE, "%s", err.text) : 0;
}

static int add_scenario(struct matrix *m, const char *path)
{
    struct row row = {.dir = NULL};
    struct scn_error err;
    if (scenario_load(path, &row.scenario, &err))
        return complain("matrix", EXIT_USAGE, "%s", err.text);
    row.name = library_id_name(path);
    row.covers = covers(row.scenario);
    row.cells = xcalloc(2 * m->o->disk_count, sizeof(*row.cells));
    m->rows = xgrow(m->rows, m->row_count, &m->row_cap, sizeof(*m->rows));
    m->rows[m->row_count++] = row;
    return record_row(m, &m->rows[m->row_count - 1]);
}

static int add_directory(struct matrix *m, const char *directory)
{
    char **paths;
    long count = library_list(directory, &paths);
    if (count < 0)
        return complain("matrix", EXIT_USAGE, "%s: %s", directory, strerror((int)-count));
    int code = read_reasons(m, directory);
    for (long i = 0; i < count && !code && !options_stopped; i++)
        code = add_scenario(m, paths[i]);
    library_list_free(paths, count);
    return code;
}

/* --- the canary ---------------------------------------------------------------------------------------------------- */

static bool drop_flushes(const char *path)
{
    FILE *log = fopen(path, "r+e");
    uint64_t dropped = log ? dm_log_drop_flushes(log) : 0;
    return log && !fclose(log) && dropped;
}

/* Of the first recording with a backing file: what it copies must be on the disk before the entry is. */
static void make_canary(struct matrix *m)
{
    struct scn_error err;
    for (size_t i = 0; i < m->row_count && !m->canary; i++) {
        const struct row *row = &m->rows[i];
        char copy[PATH_MAX], log[PATH_MAX + 16], answer[256];
        int status = 1;
        if (!row->recording || row->scenario->backing == SCN_BACKING_NONE)
            continue;
        snprintf(copy, sizeof(copy), "%.3000s/no-flushes", m->dir);
        snprintf(log, sizeof(log), "%s/" REPLAY_LOG, copy);
        char *argv[] = {"cp", "-r", row->dir, copy, NULL};
        if (qemu_program(NULL, argv, answer, sizeof(answer), &status) || status || !drop_flushes(log) ||
            replay_load(copy, &m->canary, &err))
            return;
    }
}

/* --- judging ------------------------------------------------------------------------------------------------------- */

static bool has_aio(const struct scenario *s)
{
    for (size_t i = 0; i < s->stmt_count; i++)
        if (s->stmts[i].aio)
            return true;
    return false;
}

static size_t job_count(const struct matrix *m)
{
    return m->row_count * m->o->disk_count * 2 + (m->canary ? 1 : 0);
}

static bool is_canary(const struct matrix *m, size_t job)
{
    return job == m->row_count * m->o->disk_count * 2;
}

static const struct row *row_of(const struct matrix *m, size_t job)
{
    return &m->rows[job / (2 * m->o->disk_count)];
}

static void judge_job(void *opaque, struct workers_self *self, size_t job, const uint8_t *request, size_t size,
                      struct bytes *result)
{
    const struct matrix *m = opaque;
    struct cell_options o = m->o->cell;
    const struct scenario *s = m->canary;
    const struct sim_disk_model *disk = &sim_disk_models[0];
    (void)request;
    (void)size;
    o.id_scenario = "no-flushes";
    if (!is_canary(m, job)) {
        const struct row *row = row_of(m, job);
        disk = m->o->disks[job / 2 % m->o->disk_count];
        s = job % 2 ? row->scenario : row->recording;
        o.id_scenario = job % 2 ? row->name : row->dir;
        if (job % 2 && has_aio(s))
            o.schedule = ID_ALL_SCHEDULES; /* QEMU completes them in an order of its own, each time another */
    }
    cell_wire_judge(s, qed_design_find("upstream"), disk, &o, self, result);
}

static enum workers_more next_job(void *opaque, size_t *index, struct bytes *request)
{
    struct matrix *m = opaque;
    (void)request;
    while (m->next < job_count(m) && !is_canary(m, m->next) && !row_of(m, m->next)->recording)
        m->next++;
    if (m->code || m->next >= job_count(m))
        return WORKERS_NONE;
    *index = m->next++;
    return WORKERS_JOB;
}

static int job_done(void *opaque, const struct workers_result *result)
{
    struct matrix *m = opaque;
    struct judged judged = {.data = NULL};
    if (result->end != WORKERS_DONE) {
        snprintf(m->message, sizeof(m->message), "a process that judged %s",
                 is_canary(m, result->job) ? "the canary" : row_of(m, result->job)->name);
        complain("matrix", EXIT_USAGE, "%s %s", m->message, result->why);
        return -EIO;
    }
    judged.data = xmalloc(result->size);
    memcpy(judged.data, result->data, result->size);
    struct bytes_reader r = {judged.data, result->size, false};
    if (bytes_take_u64(&r) || !cell_wire_take(&r, &judged.wire)) {
        const char *text = bytes_take_text(&r);
        complain("matrix", EXIT_USAGE, "%s", text ? text : "a cell cannot be judged");
        free(judged.data);
        return -EIO;
    }
    if (is_canary(m, result->job)) {
        m->canary_caught = judged.wire.cell.finding_count;
        cell_wire_free(&judged.wire);
        free(judged.data);
        return 0;
    }
    m->rows[result->job / (2 * m->o->disk_count)].cells[result->job % (2 * m->o->disk_count)] = judged;
    m->figures.done++;
    m->figures.states += judged.wire.cell.executions;
    return 0;
}

static void tick(void *opaque)
{
    struct matrix *m = opaque;
    progress_show(&m->progress, &m->figures);
}

static int judge_all(struct matrix *m)
{
    struct workers_options w = {.count = m->o->jobs ? m->o->jobs : workers_default_count(),
                                .timeout_s = m->o->cell_timeout_s,
                                .stop = m->o->cell.stop,
                                .opaque = m,
                                .next = next_job,
                                .job = judge_job,
                                .done = job_done,
                                .tick = tick};
    progress_begin(&m->progress, "matrix", 2 * m->recorded * m->o->disk_count, 0, m->o->quiet);
    int ret = workers_run(&w);
    progress_end(&m->progress);
    if (ret == -EINTR)
        complain("matrix", EXIT_USAGE, "interrupted; nothing was kept");
    return ret == -EINTR ? EXIT_INTERRUPTED : ret ? EXIT_INTERNAL : 0;
}

/* --- comparing ----------------------------------------------------------------------------------------------------- */

static void classes_text(const struct store_cell *c, char *buf, size_t size)
{
    bool seen[VERDICT_CLASS_COUNT] = {false};
    size_t n = 0;
    buf[0] = 0;
    for (size_t i = 0; i < c->finding_count; i++)
        seen[c->findings[i].class] = true;
    for (size_t k = 0; k < VERDICT_CLASS_COUNT; k++)
        if (seen[k] && n < size)
            n += (size_t)snprintf(buf + n, size - n, "%s%s", n ? ", " : "", verdict_class_name((enum verdict_class)k));
}

/* Is every class of the one among those of the other? */
static bool has_classes_of(const struct store_cell *all, const struct store_cell *some)
{
    for (size_t i = 0; i < some->finding_count; i++) {
        bool found = false;
        for (size_t k = 0; k < all->finding_count; k++)
            found |= all->findings[k].class == some->findings[i].class;
        if (!found)
            return false;
    }
    return true;
}

/* orders: the recording is of one of those that ours was judged under. It may have fewer findings then, and not others. */
static bool differs(const struct store_cell *qemu, const struct store_cell *ours, enum what what, bool orders)
{
    bool same = has_classes_of(ours, qemu) && (orders || has_classes_of(qemu, ours));
    switch (what) {
    case DIFFERS_VERDICT:
        return strcmp(qemu->verdict, ours->verdict) != 0 && !(orders && same);
    case DIFFERS_CLASSES:
        return !same;
    case DIFFERS_STATES:
        return !orders && strcmp(qemu->states_total, ours->states_total) != 0;
    case DIFFERS_COUNT:
        break;
    }
    return false;
}

struct comparison {
    const struct store_cell *qemu, *ours;
    bool differs[DIFFERS_COUNT];
    struct reason *reasons[DIFFERS_COUNT];
    bool same, explained;
};

static struct comparison compare(struct matrix *m, const struct row *row, size_t disk)
{
    struct comparison c = {&row->cells[2 * disk].wire.cell, &row->cells[2 * disk + 1].wire.cell, .same = true,
                           .explained = true};
    for (enum what w = 0; w < DIFFERS_COUNT; w++) {
        c.differs[w] = differs(c.qemu, c.ours, w, has_aio(row->scenario));
        c.reasons[w] = c.differs[w] ? find_reason(m, row->scenario->name, m->o->disks[disk]->name, w) : NULL;
        c.same = c.same && !c.differs[w];
        c.explained = c.explained && (!c.differs[w] || c.reasons[w]);
    }
    return c;
}

static void count(struct matrix *m)
{
    for (size_t i = 0; i < m->row_count; i++)
        for (size_t d = 0; m->rows[i].recording && d < m->o->disk_count; d++) {
            struct comparison c = compare(m, &m->rows[i], d);
            m->agree += c.same;
            m->explained += !c.same && c.explained;
            m->differ += !c.explained;
            m->incomplete += !c.qemu->complete || !c.ours->complete;
            for (enum what w = 0; w < DIFFERS_COUNT; w++)
                if (c.reasons[w])
                    c.reasons[w]->used = true;
        }
}

/* Only where all scenarios of its directory and all disk models were looked at can a reason be out of use. */
static size_t tell_stale(const struct matrix *m, FILE *out)
{
    size_t stale = 0;
    for (size_t i = 0; i < m->reason_count; i++)
        for (size_t k = 0; !m->reasons[i].used && k < m->row_count; k++)
            if (m->rows[k].recording && !strcmp(m->rows[k].scenario->name, m->reasons[i].scenario)) {
                stale++;
                if (out)
                    fprintf(out, "the reason for %s %s %s explains nothing: they agree\n", m->reasons[i].scenario,
                            m->reasons[i].disk, what_words[m->reasons[i].what]);
                break;
            }
    return stale;
}

/* --- words --------------------------------------------------------------------------------------------------------- */

static void covers_text(unsigned flags, char text[5])
{
    for (unsigned i = 0; i < 4; i++)
        text[i] = flags & 1u << i ? covers_words[i][0] : '-';
    text[4] = 0;
}

static void print_cell(const struct matrix *m, const struct row *row, size_t disk, const struct comparison *c)
{
    char flags[5], classes[200], ours[200], states[120];
    covers_text(row->covers, flags);
    classes_text(c->qemu, classes, sizeof(classes));
    classes_text(c->ours, ours, sizeof(ours));
    snprintf(states, sizeof(states), "2^%.2f%s", c->qemu->states_log2, c->qemu->complete ? "" : "?");
    printf("%-24s %s  %-14s %-7s %-30s %-9s %s\n", row->scenario->name, flags, m->o->disks[disk]->name,
           c->qemu->verdict, *classes ? classes : "-", states,
           c->same        ? ""
           : c->explained ? "differs"
                          : "DIFFERS");
    for (enum what w = 0; w < DIFFERS_COUNT; w++)
        if (c->differs[w])
            printf("    upstream: %s %s: %s\n", what_words[w],
                   w == DIFFERS_VERDICT   ? c->ours->verdict
                   : w == DIFFERS_CLASSES ? (*ours ? ours : "none")
                                          : c->ours->states_total,
                   c->reasons[w] ? c->reasons[w]->why : "nobody has said why");
    if (!c->explained)
        printf("    repro: qedcrash record %s rec && qedcrash replay rec --disk %s\n", row->name,
               m->o->disks[disk]->name);
}

static void print_covers(const struct matrix *m)
{
    unsigned missing = 0;
    for (unsigned flags = 0; flags < COVERS_ALL; flags++) {
        size_t n = 0;
        for (size_t i = 0; i < m->row_count; i++)
            n += m->rows[i].recording && m->rows[i].covers == flags;
        if (n)
            continue;
        char text[5];
        covers_text(flags, text);
        printf("%s%s", missing++ ? " " : "no scenario is ", text);
    }
    if (missing)
        putchar('\n');
}

static void print_text(struct matrix *m)
{
    printf("%-24s %s  %-14s %-7s %-30s %-9s\n", "scenario", "btsc", "disk", "QEMU", "classes", "states");
    for (size_t i = 0; i < m->row_count; i++) {
        const struct row *row = &m->rows[i];
        bool told = false;
        for (size_t d = 0; row->recording && d < m->o->disk_count; d++) {
            struct comparison c = compare(m, row, d);
            bool more = !c.same && !told; /* one known reason is enough */
            if (d == 0 || !c.explained || more || m->o->verbose)
                print_cell(m, row, d, &c);
            told |= !c.same;
        }
    }
    for (size_t i = 0; i < m->row_count; i++)
        if (m->rows[i].refused)
            printf("skipped: %s: QEMU cannot be asked for '%s'\n", m->rows[i].name, m->rows[i].refused);
    puts("b: with a backing file; t: the image holds tables; s: several changes without a flush between; c: changes "
         "after "
         "a clean close");
    print_covers(m);
    tell_stale(m, stdout);
    printf("%zu cells of %zu scenarios: %zu as our upstream, %zu differ for a known reason, %zu DIFFER; %zu "
           "incomplete; %zu "
           "scenarios skipped; canaries: %u of 1 caught\n",
           m->recorded * m->o->disk_count, m->recorded, m->agree, m->explained, m->differ, m->incomplete, m->refused,
           m->canary_caught ? 1u : 0u);
}

/* --- JSON ---------------------------------------------------------------------------------------------------------- */

static void json_classes(const struct store_cell *c)
{
    bool seen[VERDICT_CLASS_COUNT] = {false}, any = false;
    for (size_t i = 0; i < c->finding_count; i++)
        seen[c->findings[i].class] = true;
    putchar('[');
    for (size_t k = 0; k < VERDICT_CLASS_COUNT; k++)
        if (seen[k]) {
            printf("%s\"%s\"", any ? "," : "", verdict_class_name((enum verdict_class)k));
            any = true;
        }
    putchar(']');
}

static void json_findings(const struct store_cell *c)
{
    for (size_t i = 0; i < c->finding_count; i++) {
        const struct store_finding *f = &c->findings[i];
        printf("%s{\"id\":", i ? "," : "");
        json_string(stdout, f->id);
        printf(",\"class\":\"%s\",\"crash_point\":%" PRIu32, verdict_class_name(f->class), (uint32_t)f->crash_point);
        putchar(',');
        json_place(stdout, f->has_guest_sector, f->guest_sector, f->expected, f->found, f->why);
        putchar('}');
    }
}

static void json_differences(const struct comparison *c)
{
    bool any = false;
    for (enum what w = 0; w < DIFFERS_COUNT; w++)
        if (c->differs[w]) {
            printf("%s{\"what\":\"%s\",\"reason\":", any ? "," : "", what_words[w]);
            json_string(stdout, c->reasons[w] ? c->reasons[w]->why : NULL);
            putchar('}');
            any = true;
        }
}

static void json_cell(struct matrix *m, const struct row *row, size_t disk)
{
    struct comparison c = compare(m, row, disk);
    fputs("{\"scenario\":", stdout);
    json_string(stdout, row->name);
    printf(",\"design\":\"qemu\",\"disk\":\"%s\",\"schedule\":1,\"verdict\":\"%s\",\"expected\":null,\"complete\":%s,"
           "\"crash_points\":%" PRIu64 ",\"states\":{\"total\":\"%s\",\"log2\":%.2f,\"executions\":%" PRIu64 "},",
           m->o->disks[disk]->name, c.qemu->verdict, c.qemu->complete ? "true" : "false",
           (uint64_t)c.qemu->crash_points, c.qemu->states_total, c.qemu->states_log2, (uint64_t)c.qemu->executions);
    fputs("\"covers\":[", stdout);
    for (unsigned i = 0, n = 0; i < 4; i++)
        if (row->covers & 1u << i)
            printf("%s\"%s\"", n++ ? "," : "", covers_words[i]);
    fputs("],\"findings\":[", stdout);
    json_findings(c.qemu);
    printf("],\"upstream\":{\"verdict\":\"%s\",\"complete\":%s,\"classes\":", c.ours->verdict,
           c.ours->complete ? "true" : "false");
    json_classes(c.ours);
    printf(",\"states\":{\"total\":\"%s\",\"log2\":%.2f}},\"agree\":%s,\"differences\":[", c.ours->states_total,
           c.ours->states_log2, c.same ? "true" : "false");
    json_differences(&c);
    fputs("]}", stdout);
}

static void print_json(struct matrix *m)
{
    bool any = false;
    printf("{\"qedcrash\":\"" QEDCRASH_VERSION "\",\"seed\":%" PRIu64 ",\"engine\":\"qemu\",\"cells\":[",
           m->o->cell.seed);
    for (size_t i = 0; i < m->row_count; i++)
        for (size_t d = 0; m->rows[i].recording && d < m->o->disk_count; d++) {
            fputs(any ? "," : "", stdout);
            any = true;
            json_cell(m, &m->rows[i], d);
        }
    fputs("],\"skipped\":[", stdout);
    any = false;
    for (size_t i = 0; i < m->row_count; i++)
        if (m->rows[i].refused) {
            fputs(any ? ",{\"scenario\":" : "{\"scenario\":", stdout);
            json_string(stdout, m->rows[i].name);
            fputs(",\"reason\":", stdout);
            json_string(stdout, m->rows[i].refused);
            putchar('}');
            any = true;
        }
    printf("],\"counts\":{\"agree\":%zu,\"explained\":%zu,\"differ\":%zu,\"incomplete\":%zu,\"skipped\":%zu,\"stale_"
           "reasons\":%zu}"
           ",\"canaries\":{\"caught\":%u,\"of\":1}}\n",
           m->agree, m->explained, m->differ, m->incomplete, m->refused, tell_stale(m, NULL),
           m->canary_caught ? 1u : 0u);
}

/* --- all of it ----------------------------------------------------------------------------------------------------- */

static void free_matrix(struct matrix *m)
{
    for (size_t i = 0; i < m->row_count; i++) {
        struct row *row = &m->rows[i];
        for (size_t k = 0; k < 2 * m->o->disk_count; k++)
            if (row->cells[k].data) {
                cell_wire_free(&row->cells[k].wire);
                free(row->cells[k].data);
            }
        scenario_free(row->scenario);
        scenario_free(row->recording);
        free(row->name);
        free(row->dir);
        free(row->refused);
        free(row->cells);
    }
    for (size_t i = 0; i < m->reason_count; i++)
        free(m->reasons[i].why);
    scenario_free(m->canary);
    free(m->rows);
    free(m->reasons);
}

/* -o DIR keeps the recordings, so that ids can be pasted. */
static int choose_directory(struct matrix *m)
{
    m->dir = m->o->output ? m->o->output : qemu_scratch();
    if (!m->dir || (m->o->output && mkdir(m->dir, 0777) && errno != EEXIST)) {
        complain("matrix", EXIT_USAGE, "cannot make a directory for recordings: %s", strerror(errno));
        return EXIT_INTERNAL;
    }
    return 0;
}

static int conclude(const struct matrix *m)
{
    if (!m->canary_caught)
        complain("matrix", EXIT_USAGE,
                 "a recording without its flushes was NOT found unsafe: no verdict here can be trusted");
    return m->differ || tell_stale(m, NULL) || !m->canary_caught ? EXIT_FINDINGS : EXIT_CLEAN;
}

int qemu_matrix(const struct options *o, char *const *directories, size_t directory_count)
{
    struct matrix m = {.o = o};
    if (*qemu_missing()) {
        complain("matrix", EXIT_USAGE, "nothing ran: %s", qemu_missing());
        return EXIT_NOTHING;
    }
    int code = choose_directory(&m);
    for (size_t i = 0; i < directory_count && !code; i++)
        code = add_directory(&m, directories[i]);
    if (!code && !m.recorded && !options_stopped) {
        complain("matrix", EXIT_USAGE, "nothing ran: no scenario here can be recorded");
        code = EXIT_NOTHING;
    }
    if (!code) {
        make_canary(&m);
        code = judge_all(&m);
    }
    if (!code) {
        count(&m);
        if (o->json)
            print_json(&m);
        else
            print_text(&m);
        code = conclude(&m);
    }
    free_matrix(&m);
    return code;
}
