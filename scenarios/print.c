/* print.c: a scenario as canonical text: one order, one spelling, everything said that differs from a default. */
#include <inttypes.h>
#include <string.h>

#include "engine/design_text.h"
#include "scenarios/words.h"

static void print_backing(const struct scenario *s, FILE *out)
{
    char size[24];

    switch (s->backing) {
    case SCN_BACKING_NONE:
        return;
    case SCN_BACKING_TAGGED:
        fprintf(out, "backing size=%s\n", scn_format_size(s->backing_bytes, size, sizeof(size)));
        return;
    case SCN_BACKING_ZERO:
        fprintf(out, "backing size=%s fill=zero\n", scn_format_size(s->backing_bytes, size, sizeof(size)));
        return;
    }
}

static void print_names(const char *key, uint64_t mask, const char *(*name)(unsigned), FILE *out)
{
    const char *joint = "";

    fprintf(out, " %s=", key);
    for (unsigned i = 0; i < 64; i++) {
        if (mask >> i & 1) {
            fprintf(out, "%s%s", joint, name(i));
            joint = "|";
        }
    }
}

static const char *design_name(unsigned i)
{
    return qed_designs[i].name;
}

static const char *disk_name(unsigned i)
{
    return sim_disk_models[i].name;
}

/* Is there a part of this set of words, not all of it, that is allowed as well? Then the set need not be said. */
static bool part_allowed(uint64_t allowed, unsigned value)
{
    for (unsigned part = (value - 1) & value; part; part = (part - 1) & value) {
        if (allowed >> part & 1)
            return true;
    }
    return false;
}

static void print_field(enum qed_design_field field, uint64_t allowed, FILE *out)
{
    bool set = qed_design_field_is_set(field);
    const char *joint = "";

    fprintf(out, " %s=", qed_design_field_name(field));
    for (unsigned v = 0; v < qed_design_field_values(field); v++) {
        char word[64];

        if (!(allowed >> v & 1) || (set && part_allowed(allowed, v)))
            continue;
        fprintf(out, "%s%s", joint, qed_design_value_name(field, v, word));
        joint = "|";
    }
}

static void print_expect(const struct scn_expect *e, FILE *out)
{
    fputs("expect", out);
    if (e->designs)
        print_names("design", e->designs, design_name, out);
    for (unsigned f = 0; f < QED_FIELD_COUNT; f++) {
        if (e->fields.allowed[f] != UINT64_MAX)
            print_field((enum qed_design_field)f, e->fields.allowed[f], out);
    }
    if (e->disks)
        print_names("disk", e->disks, disk_name, out);
    fputs(e->unsafe ? " unsafe" : " safe", out);
    for (unsigned i = 0; i < e->class_count; i++)
        fprintf(out, " %s", verdict_class_name(e->classes[i]));
    fputc('\n', out);
}

static void print_header(const struct scenario *s, FILE *out)
{
    if (s->ledger_count)
        fputs("ledger", out);
    for (unsigned i = 0; i < s->ledger_count; i++)
        fprintf(out, " %s%s", s->ledger[i], i + 1 == s->ledger_count ? "\n" : "");
    if (s->all_schedules)
        fputs("schedules all\n", out);
    else if (s->schedules)
        fprintf(out, "schedules %" PRIu64 "\n", s->schedules);
}

void scenario_print(const struct scenario *s, FILE *out)
{
    char size[24], cluster[24], text[SCN_STMT_TEXT_MAX];

    /* The default title is the file's name, which need not be valid text. */
    if (strcmp(s->title, s->name) != 0)
        fprintf(out, "title %s\n", s->title);
    fprintf(out, "image size=%s cluster=%s table=%u", scn_format_size(s->image_bytes, size, sizeof(size)),
            scn_format_size(s->cluster_bytes, cluster, sizeof(cluster)), s->table_clusters);
    if (s->tail_bytes)
        fprintf(out, " tail=%s", scn_format_size(s->tail_bytes, size, sizeof(size)));
    fputc('\n', out);
    print_backing(s, out);
    print_header(s, out);
    for (size_t i = 0; i < s->stmt_count; i++)
        fprintf(out, "%s\n", scn_format_stmt(&s->stmts[i], text, sizeof(text)));
    for (size_t i = 0; i < s->expect_count; i++)
        print_expect(&s->expects[i], out);
}
