/* print.c: a scenario as canonical text: one order, one spelling, everything said that differs from a default. */
#include <string.h>

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

static void print_expect(const struct scn_expect *e, FILE *out)
{
    fputs("expect", out);
    if (e->design)
        fprintf(out, " design=%s", e->design->name);
    if (e->disk)
        fprintf(out, " disk=%s", e->disk->name);
    fputs(e->unsafe ? " unsafe" : " safe", out);
    for (unsigned i = 0; i < e->class_count; i++)
        fprintf(out, " %s", verdict_class_name(e->classes[i]));
    fputc('\n', out);
}

void scenario_print(const struct scenario *s, FILE *out)
{
    char size[24], cluster[24], text[SCN_STMT_TEXT_MAX];

    /* The default title is the file's name, which need not be valid text. */
    if (strcmp(s->title, s->name) != 0)
        fprintf(out, "title %s\n", s->title);
    fprintf(out, "image size=%s cluster=%s table=%u\n", scn_format_size(s->image_bytes, size, sizeof(size)),
            scn_format_size(s->cluster_bytes, cluster, sizeof(cluster)), s->table_clusters);
    print_backing(s, out);
    for (size_t i = 0; i < s->stmt_count; i++)
        fprintf(out, "%s\n", scn_format_stmt(&s->stmts[i], text, sizeof(text)));
    for (size_t i = 0; i < s->expect_count; i++)
        print_expect(&s->expects[i], out);
}
