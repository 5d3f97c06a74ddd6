/* render_explain.c: a finding as a story: what was written, what survived, what recovery did, what the guest sees, why. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "reports/render_timeline.h"
#include "reports/timeline.h"

static const char findings_sql[] =
    "SELECT cell, seq, id, class, crash_point, guest_sector, expected, found, why, because, recovery, missing_order, "
    "story"
    " FROM v_findings WHERE campaign = ?1 ORDER BY class_rank, guest_sector IS NULL, survivors, id, seq";

enum column { CELL, SEQ, ID, CLASS, POINT, SECTOR, EXPECTED, FOUND, WHY, BECAUSE, RECOVERY, MISSING, STORY };

/* Words, from column `indent` on, no line longer than the terminal. The first line begins with `title`. */
static void print_prose(FILE *out, const struct render_options *o, unsigned indent, const char *title, const char *text)
{
    unsigned width = o->width ? o->width : 100, column = indent;
    render_padded(out, o, title, indent, RENDER_BOLD);
    while (*text) {
        size_t length = strcspn(text, " \n");
        char word[256];
        snprintf(word, sizeof(word), "%.*s", (int)(length < 255 ? length : 255), text);
        unsigned columns = render_columns(word);
        if (column > indent && column + 1 + columns > width) {
            fprintf(out, "\n%*s", (int)indent, "");
            column = indent;
        }
        if (column > indent)
            fputc(' ', out);
        fputs(word, out);
        column += columns + (column > indent);
        text += length < 255 ? length : 255;
        text += strspn(text, " \n");
    }
    fputc('\n', out);
}

/* "L2; C#2 in part" */
static void list_fates(FILE *out, const struct timeline *t, bool survived)
{
    bool any = false;
    for (size_t i = 0; i < t->count; i++) {
        const struct store_event *e = &t->events[i];
        bool in =
            survived ? e->fate == STORE_FATE_SURVIVED || e->fate == STORE_FATE_PARTLY : e->fate == STORE_FATE_LOST;
        if (!in)
            continue;
        fprintf(out, "%s%s", any ? ", " : "", e->name);
        if (e->fate == STORE_FATE_PARTLY)
            fprintf(out, " (only sector%s %s)", e->survived == 1 ? "" : "s", e->sectors);
        any = true;
    }
    if (!any)
        fputs("nothing", out);
}

static int print_survivors(FILE *out, const struct render_options *o, const struct timeline *t, struct store_error *err)
{
    char *text = NULL;
    size_t size;
    FILE *words = open_memstream(&text, &size);
    if (!words) {
        snprintf(err->text, sizeof(err->text), "out of memory");
        return -ENOMEM;
    }
    fputs("Of what was pending, ", words);
    list_fates(words, t, true);
    fputs(" reached the disk; lost: ", words);
    list_fates(words, t, false);
    fputc('.', words);
    fclose(words);
    print_prose(out, o, 11, "survived", text);
    free(text);
    return 0;
}

static void print_guest(FILE *out, const struct render_options *o, sqlite3_stmt *row)
{
    char text[320];
    if (sqlite3_column_type(row, SECTOR) == SQLITE_NULL)
        snprintf(text, sizeof(text), "It shows in the image as a whole, at no single sector.");
    else if (*render_text(row, EXPECTED))
        snprintf(text, sizeof(text), "Guest sector %s holds %s; it was promised %s.", render_text(row, SECTOR),
                 render_text(row, FOUND), render_text(row, EXPECTED));
    else
        snprintf(text, sizeof(text), "It shows at guest sector %s.", render_text(row, SECTOR));
    print_prose(out, o, 11, "the guest", text);
}

static void print_command(FILE *out, const char *verb, const char *id, const char *rest)
{
    fprintf(out, "  qedcrash %s '", verb);
    for (; *id; id++)
        fputs(*id == '\'' ? "'\\''" : (char[]){*id, 0}, out);
    fprintf(out, "'%s\n", rest);
}

/* What came after the first failure is told in words alone. */
static bool fails_again(const char *id)
{
    const char *point = strrchr(id, '@');
    return point && strchr(point, '/');
}

static int explain(struct store *s, FILE *out, const struct render_options *o, sqlite3_stmt *row,
                   struct store_error *err)
{
    struct timeline t;
    char why[1400];
    int ret = store_read_timeline(s, sqlite3_column_int64(row, CELL), sqlite3_column_int64(row, SEQ), &t, err);
    if (ret)
        return ret;
    render_padded(out, o, render_text(row, CLASS), 0, RENDER_RED);
    fprintf(out, ": %s\n%s\n\n", verdict_class_meaning(verdict_class_parse(render_text(row, CLASS))),
            render_text(row, ID));
    if (t.count) {
        bool crash = timeline_has_crash(render_text(row, ID));
        render_timeline(out, o, &t, (uint32_t)sqlite3_column_int64(row, POINT), crash, render_text(row, MISSING));
        fputc('\n', out);
        if (crash)
            ret = print_survivors(out, o, &t, err);
    }
    if (*render_text(row, RECOVERY))
        print_prose(out, o, 11, "recovery", render_text(row, RECOVERY));
    print_guest(out, o, row);
    snprintf(why, sizeof(why), "%s %s", render_text(row, WHY), render_text(row, BECAUSE));
    print_prose(out, o, 11, "why", why);
    if (o->verbose || fails_again(render_text(row, ID)))
        fprintf(out, "\n%s", render_text(row, STORY));
    free(t.events);
    return ret;
}

static void print_also(FILE *out, const struct render_options *o, sqlite3_stmt *row, unsigned n)
{
    char text[1400];
    if (n == 1)
        fputs("\nAlso found here:\n", out);
    snprintf(text, sizeof(text), "%s%s%s: %s", render_text(row, CLASS), *render_text(row, MISSING) ? ", missing " : "",
             render_text(row, MISSING), render_text(row, WHY));
    print_prose(out, o, 4, "  -", text);
}

int render_explain(struct store *s, FILE *out, const struct render_options *o, struct store_error *err)
{
    sqlite3_stmt *row;
    char *id = NULL;
    unsigned n = 0;
    int rc, ret = store_query(s, findings_sql, &row, err);
    if (ret)
        return ret;
    while (!ret && (rc = sqlite3_step(row)) == SQLITE_ROW) {
        if (!n)
            id = strdup(render_text(row, ID));
        if (!n || o->verbose) {
            if (n)
                fputc('\n', out);
            ret = explain(s, out, o, row, err);
        } else {
            print_also(out, o, row, n);
        }
        n++;
    }
    ret = ret ? (sqlite3_finalize(row), ret) : store_query_end(s, row, rc, err);
    if (!ret && !n)
        fputs("nothing wrong was found\n", out);
    if (!ret && id) {
        fputs("\nAgain; a smaller workload; a bundle for others:\n", out);
        print_command(out, "repro", id, "");
        print_command(out, "shrink", id, "");
        print_command(out, "export", id, " DIR");
    }
    free(id);
    return ret ? ret : render_flush(out, err);
}

static const char json_sql[] =
    "SELECT json_object('qedcrash', (SELECT version FROM v_campaigns WHERE campaign = ?1), 'findings',"
    " coalesce((SELECT json_group_array(json(finding)) FROM ("
    "  SELECT json_object('id', f.id, 'class', f.class, 'crash_point', f.crash_point, 'guest_sector', f.guest_sector,"
    "   'expected', f.expected, 'found', f.found, 'why', f.why, 'because', f.because, 'recovery', f.recovery,"
    "   'missing_order', f.missing_order, 'survivors', f.survivors, 'timeline',"
    "   coalesce((SELECT json_group_array(json(event)) FROM ("
    "    SELECT json_object('lane', t.lane, 'name', t.name, 'begin', t.begin, 'end', t.end, 'offset', t.offset_bytes,"
    "     'length', t.length_bytes, 'fate', t.fate, 'pending', t.pending, 'survived', t.survived, 'sectors', t.sectors,"
    "     'missing', t.missing) AS event"
    "    FROM v_timeline t WHERE t.cell = f.cell AND t.finding = f.seq ORDER BY t.seq)), json('[]'))) AS finding"
    "  FROM v_findings f WHERE f.campaign = ?1"
    "  ORDER BY f.class_rank, f.guest_sector IS NULL, f.survivors, f.id, f.seq)), json('[]')))";

int render_explain_json(struct store *s, FILE *out, struct store_error *err)
{
    sqlite3_stmt *row;
    int ret = store_query(s, json_sql, &row, err);
    if (ret)
        return ret;
    int rc = sqlite3_step(row);
    if (rc == SQLITE_ROW) {
        fprintf(out, "%s\n", render_text(row, 0));
        rc = SQLITE_DONE;
    }
    ret = store_query_end(s, row, rc, err);
    return ret ? ret : render_flush(out, err);
}
