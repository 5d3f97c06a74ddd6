/* generate_words.c: the generator's words: their names, and what they are in the scenario language. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "scenarios/generate_internal.h"
#include "simdisk/xalloc.h"

#define CLUSTER       4096u
#define TABLE_ENTRIES 1024u /* tables of two clusters */
#define IMAGE_BYTES   (2u * TABLE_ENTRIES * CLUSTER - CLUSTER / 2)
#define PREFIX        "gen/"

#define PLACES(X, letter, kind, shape, classes)                                                                        \
    X(letter, kind, shape, "p", classes), X(letter, kind, shape, "a", classes), X(letter, kind, shape, "b", classes),  \
        X(letter, kind, shape, "c", classes | GEN_MORE), X(letter, kind, shape, "t", classes),                         \
        X(letter, kind, shape, "u", classes | GEN_MORE), X(letter, kind, shape, "l", classes | GEN_LAST)
#define TWO_PLACES(X, letter, kind, classes)                                                                           \
    X(letter, kind, "d", "p", classes | GEN_TWO), X(letter, kind, "d", "a", classes | GEN_TWO),                        \
        X(letter, kind, "d", "b", classes | GEN_TWO), X(letter, kind, "d", "t", classes | GEN_TWO),                    \
        X(letter, kind, "d", "e", classes | GEN_EDGE), X(letter, kind, "d", "j", classes | GEN_EDGE)
#define REQUEST(letter, kind, shape, place, classes)                                                                   \
    {                                                                                                                  \
        letter shape place, kind, shape[0], place[0], classes                                                          \
    }
#define OTHER(text, kind, classes)                                                                                     \
    {                                                                                                                  \
        text, kind, 0, 0, classes                                                                                      \
    }
#define ERROR(event) OTHER("i" event, GEN_KIND_INJECT, GEN_INJECT)

const struct gen_word gen_words[] = {
    PLACES(REQUEST, "w", GEN_KIND_WRITE, "m", GEN_WRITE),
    PLACES(REQUEST, "w", GEN_KIND_WRITE, "f", GEN_WRITE),
    PLACES(REQUEST, "w", GEN_KIND_WRITE, "h", GEN_WRITE | GEN_MORE),
    PLACES(REQUEST, "w", GEN_KIND_WRITE, "t", GEN_WRITE | GEN_MORE),
    TWO_PLACES(REQUEST, "w", GEN_KIND_WRITE, GEN_WRITE),
    PLACES(REQUEST, "z", GEN_KIND_ZERO, "f", GEN_ZERO),
    PLACES(REQUEST, "z", GEN_KIND_ZERO, "m", GEN_ZERO | GEN_MORE),
    TWO_PLACES(REQUEST, "z", GEN_KIND_ZERO, GEN_ZERO | GEN_MORE),
    PLACES(REQUEST, "d", GEN_KIND_DISCARD, "f", GEN_DISCARD),
    PLACES(REQUEST, "r", GEN_KIND_READ, "f", GEN_READ),
    OTHER("f", GEN_KIND_FLUSH, GEN_FLUSH),
    OTHER("c", GEN_KIND_CLOSE, GEN_CLOSE),
    OTHER("gc", GEN_KIND_TRUNCATE, GEN_TRUNCATE),
    OTHER("gt", GEN_KIND_TRUNCATE, GEN_TRUNCATE),
    OTHER("n", GEN_KIND_REBASE, GEN_REBASE),
    OTHER("or", GEN_KIND_MODE, GEN_REOPEN),
    OTHER("ow", GEN_KIND_MODE, GEN_REOPEN),
    OTHER("cr", GEN_KIND_MODE, GEN_REOPEN),
    OTHER("cc", GEN_KIND_MODE, GEN_REOPEN),
    OTHER("x", GEN_KIND_CRASH, GEN_CRASH),
    OTHER("xr", GEN_KIND_CRASH, GEN_CRASH | GEN_REOPEN),
    OTHER("xc", GEN_KIND_CRASH, GEN_CRASH | GEN_REOPEN),
    OTHER("k", GEN_KIND_KILL, GEN_KILL),
    OTHER("kr", GEN_KIND_KILL, GEN_KILL | GEN_REOPEN),
    OTHER("kc", GEN_KIND_KILL, GEN_KILL | GEN_REOPEN),
    OTHER("s", GEN_KIND_SLEEP, GEN_SLEEP),
    OTHER("q", GEN_KIND_CANCEL, GEN_CANCEL),
    ERROR("header_read"),
    ERROR("header_update"),
    ERROR("header_update1"),
    ERROR("l1_load"),
    ERROR("l1_update"),
    ERROR("l2_load"),
    ERROR("l2_update"),
    ERROR("l2_alloc_write"),
    ERROR("read_aio"),
    ERROR("write_aio"),
    ERROR("write_aio1"),
    ERROR("read_backing_aio"),
    ERROR("cow_read"),
    ERROR("cow_write"),
    ERROR("cow_write1"),
    ERROR("flush_to_disk"),
    ERROR("flush_to_disk1"),
    ERROR("truncate"),
};
const size_t gen_word_count = sizeof(gen_words) / sizeof(gen_words[0]);

static const char *const class_names[GEN_CLASS_COUNT] = {
    "write", "more",  "two",  "zero",   "discard", "flush",    "close",  "beside", "crash",  "edge",
    "last",  "short", "read", "inject", "kill",    "truncate", "rebase", "reopen", "cancel", "sleep",
};

const char *gen_class_name(unsigned index)
{
    return class_names[index];
}

/* --- names --------------------------------------------------------------------------------------------------------- */

bool gen_is_name(const char *text)
{
    return !strncmp(text, PREFIX, strlen(PREFIX));
}

char *gen_name(const struct gen_workload *w, char *buf, size_t size)
{
    size_t used = (size_t)snprintf(buf, size, PREFIX "%c%c", "nbs"[w->backing], w -> prepared ? '1' : '0');
    for (unsigned i = 0; i < w->count && used < size; i++)
        used += (size_t)snprintf(buf + used, size - used, "%c%s", w->steps[i].beside ? '-' : '.',
                                 gen_words[w->steps[i].word].text);
    return buf;
}

static int fail(struct scn_error *err, const char *name, const char *format, const char *arg, size_t length)
{
    size_t used = (size_t)snprintf(err->text, sizeof(err->text), "'%.80s' is no generated workload: ", name);
    snprintf(err->text + used, sizeof(err->text) - used, format, (int)(length < 40 ? length : 40), arg);
    return -EINVAL;
}

static bool find_word(const char *text, size_t length, uint8_t *word)
{
    for (size_t i = 0; i < gen_word_count; i++)
        if (strlen(gen_words[i].text) == length && !memcmp(gen_words[i].text, text, length)) {
            *word = (uint8_t)i;
            return true;
        }
    return false;
}

int gen_parse_name(const char *name, struct gen_workload *w, struct scn_error *err)
{
    static const char backings[] = "nbs";
    const char *at = name + strlen(PREFIX);
    memset(w, 0, sizeof(*w));
    if (!gen_is_name(name) || !*at || !strchr(backings, *at) || !at[1] || !strchr("01", at[1]))
        return fail(err, name, "expected %.*s, such as gen/n1.wma.f", "gen/, n b or s, 0 or 1, and words", SIZE_MAX);
    w->backing = (enum gen_backing)(strchr(backings, at[0]) - backings);
    w->prepared = at[1] == '1';
    for (at += 2; *at;) {
        bool beside = *at == '-';
        size_t length = strcspn(at + 1, ".-");
        if (*at != '.' && !beside)
            return fail(err, name, "expected '.' or '-' before '%.*s'", at, strlen(at));
        if (w->count == GEN_WORDS_MAX)
            return fail(err, name, "expected at most 16 words, before '%.*s'", at, strlen(at));
        if (!find_word(at + 1, length, &w->steps[w->count].word))
            return fail(err, name, "there is no word '%.*s' (docs/scenarios.md has them)", at + 1, length);
        w->steps[w->count++].beside = beside;
        at += 1 + length;
    }
    return 0;
}

bool gen_parse_classes(const char *text, unsigned *classes, struct scn_error *err)
{
    while (*text) {
        size_t length = strcspn(text, ",");
        unsigned found = 0;
        char word[32];
        for (unsigned i = 0; i < GEN_CLASS_COUNT; i++)
            if (strlen(class_names[i]) == length && !memcmp(class_names[i], text, length))
                found = 1u << i;
        if (length == 3 && !memcmp(text, "all", 3))
            found = GEN_ALL;
        if (!found) {
            const char *words[GEN_CLASS_COUNT + 1] = {0};
            memcpy(words, class_names, sizeof(class_names));
            snprintf(word, sizeof(word), "%.*s", (int)(length < 30 ? length : 30), text);
            const char *near = scn_nearest_word(word, words);
            snprintf(err->text, sizeof(err->text), "there is no class '%s'%s%s%s", word, near ? "; did you mean '" : "",
                     near ? near : "; see qedcrash gen --help", near ? "'?" : "");
            return false;
        }
        *classes |= found;
        text += length + (text[length] == ',');
    }
    return true;
}

/* --- text ---------------------------------------------------------------------------------------------------------- */

static uint64_t place_bytes(char place)
{
    static const unsigned clusters[GEN_PLACE_COUNT] = {
        0, 1, 2, 3, 63, TABLE_ENTRIES - 1, TABLE_ENTRIES, TABLE_ENTRIES + 1, 2 * TABLE_ENTRIES - 1};
    return (uint64_t)clusters[gen_place_index(place)] * CLUSTER;
}

static void print_range(FILE *out, const struct gen_word *word)
{
    uint64_t cluster = word->place == 'l' ? CLUSTER / 2 : CLUSTER; /* the last one is cut short */
    uint64_t offset = place_bytes(word->place), length = BLK_SECTOR_BYTES;
    switch (word->shape) {
    case 'm':
        offset += cluster / 2 - BLK_SECTOR_BYTES;
        break;
    case 't':
        offset += cluster - BLK_SECTOR_BYTES;
        break;
    case 'f':
        length = cluster;
        break;
    case 'd':
        length = 2 * cluster;
        break;
    default: /* 'h' */
        break;
    }
    fprintf(out, " %" PRIu64 " %" PRIu64 "\n", offset, length);
}

static void print_request(FILE *out, const struct gen_word *word)
{
    static const char *const words[] = {"write", "zero", "discard", "read", "flush"};
    fputs(words[word->kind], out);
    if (word->kind == GEN_KIND_FLUSH)
        fputc('\n', out);
    else
        print_range(out, word);
}

static void print_inject(FILE *out, const char *event)
{
    size_t length = strlen(event);
    bool second = event[length - 1] == '1';
    fprintf(out, "inject %.*s EIO once%s\n", (int)(length - second), event, second ? " after=1" : "");
}

static void print_other(FILE *out, const struct gen_word *word)
{
    static const struct {
        const char *text, *statements;
    } others[] = {
        {"c", "close\nopen rw\n"},  {"gc", "truncate 8M\n"},       {"gt", "truncate 13M\n"},
        {"n", "rebase none\n"},     {"or", "reopen ro\n"},         {"ow", "reopen rw\n"},
        {"cr", "close\nopen ro\n"}, {"cc", "close\nopen check\n"}, {"x", "crash\n"},
        {"k", "kill\nopen rw\n"},   {"kr", "kill\nopen ro\n"},     {"kc", "kill\nopen check\n"},
        {"s", "sleep 6s\n"},        {"xr", "crash\nopen ro\n"},    {"xc", "crash\nopen check\n"},
    };
    if (word->kind == GEN_KIND_INJECT)
        print_inject(out, word->text + 1);
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        if (!strcmp(others[i].text, word->text))
            fputs(others[i].statements, out);
}

static void print_steps(const struct gen_workload *w, FILE *out)
{
    bool flying = false;
    unsigned started = 0;
    for (unsigned i = 0; i < w->count; i++) {
        const struct gen_word *word = &gen_words[w->steps[i].word];
        bool followed = i + 1 < w->count && w->steps[i + 1].beside;
        if (gen_is_request(word->kind)) {
            if (w->steps[i].beside || followed)
                fprintf(out, "aio r%u ", ++started);
            flying |= w->steps[i].beside || followed;
            print_request(out, word);
        } else if (word->kind == GEN_KIND_CANCEL) {
            fprintf(out, "cancel r%u\n", started);
        } else {
            print_other(out, word);
            flying &= word->kind != GEN_KIND_CLOSE && word->kind != GEN_KIND_KILL && word->text[0] != 'c';
        }
        if (flying && !followed)
            fputs("wait all\n", out);
        flying &= followed;
    }
}

char *gen_text(const struct gen_workload *w)
{
    static const char *const backings[] = {"", "backing size=8190K\n", "backing size=6K\n"};
    char name[GEN_NAME_MAX], *text = NULL;
    size_t size = 0;
    FILE *out = xalloc_check(open_memstream(&text, &size));
    fprintf(out, "title %s\nimage size=%uK cluster=4K table=2\n", gen_name(w, name, sizeof(name)), IMAGE_BYTES / 1024);
    fputs(backings[w->backing], out);
    if (w->prepared)
        fputs("prepare write 0 4K\n", out);
    print_steps(w, out);
    fclose(out);
    return text;
}

int gen_scenario(const struct gen_workload *w, struct scenario **out, struct scn_error *err)
{
    char name[GEN_NAME_MAX];
    char *text = gen_text(w);
    int ret = scenario_parse(NULL, text, strlen(text), out, err);
    free(text);
    if (ret)
        return ret;
    free((*out)->name);
    (*out)->name = xalloc_check(strdup(gen_name(w, name, sizeof(name))));
    return 0;
}

int gen_parse(const char *name, struct scenario **out, struct scn_error *err)
{
    struct gen_workload w;
    *out = NULL;
    int ret = gen_parse_name(name, &w, err);
    return ret ? ret : gen_scenario(&w, out, err);
}
