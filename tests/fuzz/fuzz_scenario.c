/* fuzz_scenario.c: every text that people give us: scenarios, ids, survivors, designs, design files, names of generated
 * workloads. What parses is printed and parsed again: it must be the same, and printed again the same text. What does not
 * parse gets one sentence.
 *
 *     | kind | text ... |       kind: s scenario, i id, w survivors, d design, f design file, g generated workload
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/design_text.h"
#include "harness/finding.h"
#include "harness/id.h"
#include "scenarios/generate.h"
#include "scenarios/runner.h"
#include "simdisk/crash_space.h"
#include "simdisk/crash_state.h"
#include "simdisk/xalloc.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/watched_disk.h"

/* A name given on a command line is repeated as it is, newlines and all; of a file only what is text. */
static void one_sentence(const char *text, const char *of, bool one_line)
{
    if (!text[0] || (one_line && strchr(text, '\n')))
        fuzz_violation("%s refused with no sentence, or several lines: '%s'", of, text);
}

/* --- scenarios ----------------------------------------------------------------------------------------------------- */

static char *printed(const struct scenario *s)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = xalloc_check(open_memstream(&text, &size));
    scenario_print(s, out);
    fclose(out);
    return text;
}

static bool same_stmt(const struct scn_stmt *a, const struct scn_stmt *b)
{
    if (a->op != b->op || a->prepare != b->prepare || a->aio != b->aio || strcmp(a->name, b->name) != 0 ||
        a->offset != b->offset || a->length != b->length || a->mode != b->mode || strcmp(a->program, b->program) != 0 ||
        a->wait_all != b->wait_all || a->wait_count != b->wait_count || a->event != b->event || a->error != b->error ||
        a->once != b->once || a->after != b->after)
        return false;
    for (unsigned i = 0; i < a->wait_count; i++)
        if (strcmp(a->wait_names[i], b->wait_names[i]) != 0)
            return false;
    return strcmp(a->text, b->text) == 0;
}

static bool same_expect(const struct scn_expect *a, const struct scn_expect *b)
{
    if (a->designs != b->designs || a->disks != b->disks || a->unsafe != b->unsafe ||
        a->class_count != b->class_count || memcmp(&a->fields, &b->fields, sizeof(a->fields)) != 0)
        return false;
    for (unsigned i = 0; i < a->class_count; i++)
        if (a->classes[i] != b->classes[i])
            return false;
    return true;
}

static bool same_image(const struct scenario *a, const struct scenario *b)
{
    return a->image_bytes == b->image_bytes && a->tail_bytes == b->tail_bytes && a->cluster_bytes == b->cluster_bytes &&
           a->table_clusters == b->table_clusters && a->backing == b->backing && a->backing_bytes == b->backing_bytes;
}

/* What is different; NULL if nothing is. */
static const char *difference(const struct scenario *a, const struct scenario *b)
{
    /* A title that is the name is not printed: there the file's name has it. */
    if (strcmp(a->title, a->name) != 0 && strcmp(a->title, b->title) != 0)
        return "the title";
    if (!same_image(a, b))
        return "the image or its backing file";
    if (a->all_schedules != b->all_schedules || a->schedules != b->schedules)
        return "the schedules";
    if (a->ledger_count != b->ledger_count || memcmp(a->ledger, b->ledger, sizeof(a->ledger)) != 0)
        return "the claims";
    if (a->stmt_count != b->stmt_count || a->expect_count != b->expect_count)
        return "the number of statements";
    for (size_t i = 0; i < a->stmt_count; i++)
        if (!same_stmt(&a->stmts[i], &b->stmts[i]))
            return "a statement";
    for (size_t i = 0; i < a->expect_count; i++)
        if (!same_expect(&a->expects[i], &b->expects[i]))
            return "an expectation";
    return NULL;
}

static void print_and_parse(const struct scenario *s, const char *path)
{
    struct scenario *again;
    struct scn_error err = {""};
    char *text = printed(s);
    if (scenario_parse(path, text, strlen(text), &again, &err))
        fuzz_violation("what was printed does not parse: %s\n%s", err.text, text);
    const char *what = difference(s, again);
    if (what)
        fuzz_violation("printing changed %s:\n%s", what, text);
    char *twice = printed(again);
    if (strcmp(text, twice) != 0)
        fuzz_violation("printed twice, two texts:\n%s---\n%s", text, twice);
    free(text);
    free(twice);
    scenario_free(again);
}

static void try_scenario(const char *text, size_t size)
{
    struct scenario *s;
    struct scn_error err = {""};
    if (scenario_parse("fuzz.scn", text, size, &s, &err)) {
        one_sentence(err.text, "a scenario", true);
        if (strncmp(err.text, "fuzz.scn:", 9) != 0)
            fuzz_violation("a scenario refused without its place: %s", err.text);
        return;
    }
    print_and_parse(s, "fuzz.scn");
    for (size_t d = 0; d < qed_design_count; d++)
        scenario_expectation(s, &qed_designs[d], &sim_disk_models[d % sim_disk_model_count]);
    scenario_free(s);
}

/* --- ids ----------------------------------------------------------------------------------------------------------- */

static char *id_text(const struct finding_id *id)
{
    const struct sim_schedule schedule = {
        .number = id->schedule, .seed = id->seed, .script = id->script, .script_len = id->script_len};
    return id_format_schedule(id->scenario, id->design, id->disk, &schedule, id->has_point, id->point,
                              id->survivors ? id->survivors : "");
}

/* The choices of a script, those at the end that are 0 left out. A script of none is schedule 1. */
static size_t choices(const struct finding_id *id)
{
    size_t count = id->script ? id->script_len : 0;
    while (count && !id->script[count - 1])
        count--;
    return count;
}

static bool same_id(const struct finding_id *a, const struct finding_id *b)
{
    size_t count = choices(a);
    if (strcmp(a->scenario, b->scenario) != 0 || strcmp(a->design, b->design) != 0 || strcmp(a->disk, b->disk) != 0 ||
        a->seed != b->seed || a->has_point != b->has_point || a->point != b->point ||
        strcmp(a->survivors, b->survivors) != 0)
        return false;
    if (a->script)
        return choices(b) == count && (!count || memcmp(a->script, b->script, count) == 0);
    return !b->script && a->schedule == b->schedule;
}

static void try_picks(const char *survivors)
{
    uint32_t picks[JUDGE_MAX_PICKS];
    unsigned count = 0;
    size_t length = 0;
    if (finding_parse_picks(survivors, &length, picks, &count) &&
        (length > strlen(survivors) || count > JUDGE_MAX_PICKS))
        fuzz_violation("%u picks behind %zu characters of '%s'", count, length, survivors);
}

static void try_id(const char *text)
{
    struct finding_id id, again;
    char why[320] = "";
    if (!id_parse(text, &id, why, sizeof(why))) {
        if (!why[0])
            fuzz_violation("an id refused with no sentence");
        return;
    }
    char *once = id_text(&id);
    if (!id_parse(once, &again, why, sizeof(why)))
        fuzz_violation("the id '%s' was printed as '%s': %s", text, once, why);
    if (!same_id(&id, &again))
        fuzz_violation("the id '%s' was printed as '%s', which is another", text, once);
    char *twice = id_text(&again);
    if (strcmp(once, twice) != 0)
        fuzz_violation("an id printed twice: '%s' and '%s'", once, twice);
    try_picks(id.survivors);
    free(once);
    free(twice);
    id_free(&id);
    id_free(&again);
}

/* --- survivors ----------------------------------------------------------------------------------------------------- */

#define SPACE_MODELS 4u

/* Spaces that survivors may speak of: one workload, on three disk models. Made once. */
static struct {
    struct scenario *scenario;
    struct recording recording[SPACE_MODELS];
    struct crash_space *space[SPACE_MODELS];
} story;

static const char story_text[] = "image size=64K cluster=4K table=1\nbacking size=16K\naio a write 512 512\n"
                                 "aio b write 8K 8K\naio c zero 4K 4K\nwait all\ntruncate 96K\nwrite 80K 4K\n";

/* The last one with something to choose. */
static struct crash_space *largest_space(const struct history *h, const struct sim_disk_model *model)
{
    struct crash_walk *walk = crash_walk_create(h, model, false);
    struct crash_space *best = NULL, *s;
    while ((s = crash_walk_next(walk))) {
        bool larger = !best || s->unit_count + s->atom_count > best->unit_count + best->atom_count;
        crash_space_free(larger ? best : s);
        best = larger ? s : best;
    }
    crash_walk_destroy(walk);
    return best;
}

static void make_story(void)
{
    static const char *const models[SPACE_MODELS] = {"ssd", "atomic-writes", "hostdev", "ordered"};
    struct scn_error err = {""};
    if (scenario_parse(NULL, story_text, sizeof(story_text) - 1, &story.scenario, &err))
        fuzz_violation("%s", err.text);
    for (unsigned i = 0; i < SPACE_MODELS; i++) {
        struct run_options options = {.design = qed_design_find("v2"),
                                      .disk = sim_disk_model_find(models[i]),
                                      .schedule = {.number = 1, .seed = 1}};
        if (scenario_record(story.scenario, &options, &story.recording[i], &err))
            fuzz_violation("%s", err.text);
        story.space[i] = largest_space(story.recording[i].history, options.disk);
    }
}

static void try_survivors(const char *text, size_t size)
{
    for (unsigned i = 0; i < SPACE_MODELS; i++) {
        struct crash_state state, again;
        if (!crash_state_parse(story.space[i], text, size, &state)) {
            crash_state_free(&state);
            continue;
        }
        char *once = crash_state_text(story.space[i], &state);
        if (!crash_state_parse(story.space[i], once, strlen(once), &again))
            fuzz_violation("survivors '%.*s' were printed as '%s', which says nothing", (int)size, text, once);
        if (crash_state_compare(story.space[i], &state, &again) != 0)
            fuzz_violation("survivors '%.*s' were printed as '%s', which are others", (int)size, text, once);
        free(once);
        crash_state_free(&state);
        crash_state_free(&again);
    }
}

/* --- designs ------------------------------------------------------------------------------------------------------- */

static void print_design(const struct qed_design *d)
{
    char once[QED_DESIGN_TEXT_MAX], twice[QED_DESIGN_TEXT_MAX];
    struct qed_design again;
    struct qed_design_error err = {""};
    qed_design_format(d, once);
    if (qed_design_parse(once, &again, &err))
        fuzz_violation("the design was printed as '%s': %s", once, err.text);
    if (memcmp(d->value, again.value, sizeof(d->value)) != 0 || d->clear_timer_ms != again.clear_timer_ms)
        fuzz_violation("the design was printed as '%s', which is another", once);
    qed_design_format(&again, twice);
    if (strcmp(once, twice) != 0)
        fuzz_violation("a design printed twice: '%s' and '%s'", once, twice);
    for (unsigned f = 0; f < QED_FIELD_COUNT; f++)
        if (d->value[f] >= qed_design_field_values((enum qed_design_field)f))
            fuzz_violation("%s has no value %u", qed_design_field_name((enum qed_design_field)f), d->value[f]);
}

static void try_design(const char *text)
{
    struct qed_design d;
    struct qed_design_error err = {""};
    if (!qed_design_parse(text, &d, &err))
        print_design(&d);
    else if (!err.text[0])
        fuzz_violation("a design refused with no sentence");
}

static void try_design_file(const char *text, size_t size)
{
    struct qed_design d;
    struct qed_design_error err = {""};
    if (!qed_design_parse_file("fuzz.design", text, size, &d, &err))
        print_design(&d);
    else if (strncmp(err.text, "fuzz.design:", 12) != 0)
        fuzz_violation("a design file refused without its place: %s", err.text);
}

/* --- generated workloads ------------------------------------------------------------------------------------------- */

static void try_generated(const char *text)
{
    struct gen_workload w;
    struct scn_error err = {""};
    struct scenario *s;
    char name[GEN_NAME_MAX];
    if (!gen_is_name(text))
        return;
    if (gen_parse_name(text, &w, &err)) {
        one_sentence(err.text, "a workload", false);
        return;
    }
    if (strcmp(gen_name(&w, name, sizeof(name)), text) != 0)
        fuzz_violation("the workload '%s' is called '%s'", text, name);
    if (gen_scenario(&w, &s, &err)) {
        one_sentence(err.text, "a workload", false);
        return;
    }
    print_and_parse(s, NULL);
    scenario_free(s);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    make_story();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size)
        return 0;
    /* Terminated, for what wants a string; and exactly as long, for what does not. */
    char *text = xmalloc(size);
    memcpy(text, data + 1, size - 1);
    text[size - 1] = 0;
    switch (data[0]) {
    case 'i':
        try_id(text);
        break;
    case 'w':
        try_survivors((const char *)data + 1, size - 1);
        break;
    case 'd':
        try_design(text);
        break;
    case 'f':
        try_design_file((const char *)data + 1, size - 1);
        break;
    case 'g':
        try_generated(text);
        break;
    default:
        try_scenario((const char *)data + 1, size - 1);
    }
    free(text);
    return 0;
}
