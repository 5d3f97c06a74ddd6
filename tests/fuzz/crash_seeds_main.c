/* crash_seeds_main.c: the seeds of fuzz_crash, as files in a folder. Always the same ones.
 *
 *     crash_seeds LIBRARY DIR
 *
 *     library ──▶ each scenario in words of the generator ─┐
 *     generator ──▶ the first workload with each word ─────┴─▶ what shows a pair of words not seen before ──▶ DIR/NAME
 *
 * A scenario becomes a like workload, not the same: its clusters get the generator's places, in the order of their first
 * use, and what has no word is left out. Design and disk model go round, so that each is in some seed; of the pending
 * operations every second survives.
 */
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scenarios/generate_internal.h"
#include "tests/fuzz/crash_case.h"

#define CLUSTERS_MAX 8u
#define WORDS_MAX    256u
#define SURVIVORS    12u

static int find_word(const char *text)
{
    for (size_t i = 0; i < gen_word_count; i++)
        if (!strcmp(gen_words[i].text, text))
            return (int)i;
    return -1;
}

/* --- from a scenario ----------------------------------------------------------------------------------------------- */

struct mapping {
    const struct scenario *s;
    struct gen_workload w;
    uint64_t clusters[CLUSTERS_MAX]; /* those seen, and their places */
    char places[CLUSTERS_MAX + 1];
    unsigned count;
    bool open_request; /* the request before has not been waited for */
};

static bool is_taken(const struct mapping *m, char place)
{
    return m->count && memchr(m->places, place, m->count);
}

/* Behind one that is known, the place behind its; else the first free one of its table. */
static char choose_place(const struct mapping *m, uint64_t cluster)
{
    uint64_t entries = (uint64_t)m->s->table_clusters * m->s->cluster_bytes / 8;
    const char *free_ones = cluster >= entries ? "tul" : "abcej";
    if (cluster && (cluster + 1) * m->s->cluster_bytes >= m->s->image_bytes && !is_taken(m, 'l'))
        return 'l';
    for (unsigned i = 0; i < m->count; i++) {
        char behind = gen_place_next(m->places[i]);
        if (m->clusters[i] + 1 == cluster && behind && !is_taken(m, behind))
            return behind;
    }
    for (; *free_ones; free_ones++)
        if (!is_taken(m, *free_ones))
            return *free_ones;
    return 0;
}

static char place_of(struct mapping *m, uint64_t cluster, bool prepare)
{
    for (unsigned i = 0; i < m->count; i++)
        if (m->clusters[i] == cluster)
            return m->places[i];
    if (m->count == CLUSTERS_MAX)
        return 0;
    char place = prepare && !m->count ? 'p' : choose_place(m, cluster);
    if (place) {
        m->clusters[m->count] = cluster;
        m->places[m->count++] = place;
    }
    return place;
}

static char shape_of(const struct mapping *m, const struct scn_stmt *stmt)
{
    uint64_t size = m->s->cluster_bytes, from = stmt->offset % size, to = from + stmt->length;
    if (to > size)
        return 'd';
    if (!from && to == size)
        return 'f';
    return !from ? 'h' : to == size ? 't' : 'm';
}

static void add_word(struct mapping *m, int word, bool beside)
{
    if (word >= 0 && m->w.count < GEN_WORDS_MAX)
        m->w.steps[m->w.count++] = (struct gen_step){.word = (uint8_t)word, .beside = beside && m->w.count};
}

static void add_request(struct mapping *m, const struct scn_stmt *stmt)
{
    static const char letters[SCN_OP_COUNT] = {
        [SCN_WRITE] = 'w', [SCN_READ] = 'r', [SCN_ZERO] = 'z', [SCN_DISCARD] = 'd'};
    const char shapes[] = {shape_of(m, stmt), 'f', 'm', 0};
    bool was_empty = !m->count;
    char place = place_of(m, stmt->offset / m->s->cluster_bytes, stmt->prepare);
    if (stmt->prepare && was_empty && place == 'p') {
        m->w.prepared = true;
        return;
    }
    int word = -1;
    for (const char *shape = shapes; place && *shape && word < 0; shape++)
        word = find_word((const char[]){letters[stmt->op], *shape, place, 0});
    add_word(m, word, m->open_request);
    m->open_request = stmt->aio;
}

/* Whoever opens the image in another mode stands in the word for what came before. */
static void add_open(struct mapping *m, const struct scn_stmt *stmt)
{
    char text[32];
    struct gen_step *last = m->w.count ? &m->w.steps[m->w.count - 1] : NULL;
    if (!last || stmt->mode == SCN_MODE_RW)
        return;
    snprintf(text, sizeof(text), "%s%c", gen_words[last->word].text, stmt->mode == SCN_MODE_RO ? 'r' : 'c');
    int word = find_word(text);
    if (word >= 0)
        last->word = (uint8_t)word;
}

static void add_statement(struct mapping *m, const struct scn_stmt *stmt)
{
    static const char *const plain[SCN_OP_COUNT] = {
        [SCN_FLUSH] = "f",  [SCN_TRUNCATE] = "gc", [SCN_SLEEP] = "s", [SCN_CANCEL] = "q",
        [SCN_REBASE] = "n", [SCN_CLOSE] = "c",     [SCN_KILL] = "k",  [SCN_CRASH] = "x",
    };
    char text[40];
    switch (stmt->op) {
    case SCN_WRITE:
    case SCN_READ:
    case SCN_ZERO:
    case SCN_DISCARD:
        add_request(m, stmt);
        return;
    case SCN_OPEN:
        add_open(m, stmt);
        return;
    case SCN_WAIT:
        break;
    case SCN_REOPEN:
        add_word(m, find_word(stmt->mode == SCN_MODE_RW ? "ow" : "or"), false);
        break;
    case SCN_INJECT:
        snprintf(text, sizeof(text), "i%s", blk_event_name(stmt->event));
        add_word(m, find_word(text), false);
        break;
    default:
        add_word(m, find_word(plain[stmt->op]), m->open_request);
    }
    m->open_request = stmt->op == SCN_CANCEL && m->open_request;
}

static struct gen_workload map_scenario(const struct scenario *s)
{
    struct mapping m = {.s = s};
    if (s->backing != SCN_BACKING_NONE)
        m.w.backing = s->backing_bytes < s->image_bytes ? GEN_BACKING_SHORT : GEN_BACKING_FULL;
    for (size_t i = 0; i < s->stmt_count; i++)
        add_statement(&m, &s->stmts[i]);
    return m.w;
}

/* --- what is new --------------------------------------------------------------------------------------------------- */

struct seeds {
    const char *dir;
    bool seen[6][WORDS_MAX]
             [2 * WORDS_MAX]; /* setup; the word before (the last number: none); the word, and if beside */
    unsigned written;
    bool failed;
};

/* Notes its pairs; true if one was new. */
static bool is_new(struct seeds *s, const struct gen_workload *w)
{
    bool any = false;
    unsigned setup = w->backing * 2 + w->prepared, before = WORDS_MAX - 1;
    for (unsigned i = 0; i < w->count; i++) {
        bool *seen = &s->seen[setup][before][2 * w->steps[i].word + w->steps[i].beside];
        any |= !*seen;
        *seen = true;
        before = w->steps[i].word;
    }
    return any;
}

static void write_seed(struct seeds *s, const char *name, const struct gen_workload *w)
{
    struct crash_case c = {.workload = *w, .design = (uint8_t)(s->written % 4), .disk = (uint8_t)(s->written / 4 % 8)};
    uint8_t bytes[CRASH_INPUT_MAX];
    char path[1024];
    for (unsigned i = 0; i < SURVIVORS; i++)
        c.survivors[c.survivor_count++] = !(i % 2);
    size_t size = crash_case_encode(&c, bytes);
    crash_case_decode(bytes, size, &c); /* what cannot follow is left out */
    if (!c.workload.count || !is_new(s, &c.workload))
        return;
    size = crash_case_encode(&c, bytes);
    snprintf(path, sizeof(path), "%s/%s", s->dir, name);
    FILE *f = fopen(path, "wb");
    s->failed |= !f || fwrite(bytes, size, 1, f) != 1;
    s->failed |= f && fclose(f);
    s->written++;
}

/* --- all of them --------------------------------------------------------------------------------------------------- */

static int is_scenario(const struct dirent *e)
{
    const char *dot = strrchr(e->d_name, '.');
    return dot && !strcmp(dot, ".scn");
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name); /* whatever the locale */
}

static void from_library(struct seeds *s, const char *library)
{
    struct dirent **names;
    int count = scandir(library, &names, is_scenario, by_name);
    s->failed |= count <= 0;
    for (int i = 0; i < count; i++) {
        char path[1024], name[300];
        struct scenario *scenario;
        struct scn_error err;
        snprintf(path, sizeof(path), "%s/%s", library, names[i]->d_name);
        if (scenario_load(path, &scenario, &err)) {
            fprintf(stderr, "%s\n", err.text);
            s->failed = true;
        } else {
            struct gen_workload w = map_scenario(scenario);
            snprintf(name, sizeof(name), "library-%s", scenario->name);
            write_seed(s, name, &w);
            scenario_free(scenario);
        }
        free(names[i]);
    }
    if (count >= 0)
        free(names);
}

/* Each word at a new place or of a new shape, and each kind of word begun before a request is done. */
static bool has_new_word(const struct gen_workload *w, bool words[WORDS_MAX], bool beside[CRASH_KINDS])
{
    bool any = false;
    for (unsigned i = 0; i < w->count; i++) {
        bool *seen = w->steps[i].beside ? &beside[gen_words[w->steps[i].word].kind] : &words[w->steps[i].word];
        any |= !*seen;
        *seen = true;
    }
    return any;
}

/* The generator puts small workloads first, so a word comes with little beside it. */
static void from_generator(struct seeds *s)
{
    const struct gen_bound bound = {.ops = 2, .events = 1, .classes = GEN_ALL};
    const struct gen_workload *w;
    bool words[WORDS_MAX] = {false}, beside[CRASH_KINDS] = {false};
    struct gen *g = gen_begin(&bound);
    while ((w = gen_next(g))) {
        char name[GEN_NAME_MAX];
        if (!has_new_word(w, words, beside))
            continue;
        gen_name(w, name, sizeof(name));
        name[3] = '-'; /* gen/ */
        write_seed(s, name, w);
    }
    gen_end(g);
}

int main(int argc, char **argv)
{
    static struct seeds s;
    if (argc != 3) {
        fprintf(stderr, "usage: %s LIBRARY DIR\n", argv[0]);
        return 2;
    }
    s.dir = argv[2];
    from_library(&s, argv[1]);
    from_generator(&s);
    if (s.failed)
        fprintf(stderr, "%s: not all seeds could be written to %s\n", argv[0], argv[2]);
    return s.failed;
}
