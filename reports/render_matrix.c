/* render_matrix.c: the matrix at a terminal. One block per disk model, a row per scenario, a column per design; designs
 * that do not fit beside each other continue in a further block.
 *
 *     disk ssd
 *       scenario      v1           v2
 *       cow-partial   LOST-COW +1  LOST-COW!
 *       grow          safe         -
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "reports/render_db.h"

#define DEFAULT_WIDTH 100u
#define GAP           2u

/* A square in a few letters: the first class and how many more, ! unexpected, ? incomplete. */
#define SQUARE_TEXT                                                                                                    \
    "CASE verdict WHEN 'skipped' THEN '-' WHEN 'safe' THEN 'safe' ELSE"                                                \
    " CASE WHEN classes = '' THEN 'UNSAFE' WHEN instr(classes, ',') = 0 THEN upper(classes) ELSE"                      \
    " upper(substr(classes, 1, instr(classes, ',') - 1)) || ' +' ||"                                                   \
    " (length(classes) - length(replace(classes, ',', ''))) END END"                                                   \
    " || iif(unexpected, '!', '') || iif(incomplete, '?', '')"

struct column {
    char *design;
    unsigned width;
};

struct grid {
    const char *disk;
    unsigned label_width;
    struct column *columns;
    size_t count;
};

static void grid_free(struct grid *grid)
{
    for (size_t i = 0; i < grid->count; i++)
        free(grid->columns[i].design);
    free(grid->columns);
}

static int grid_add(struct grid *grid, const char *design, unsigned width, struct store_error *err)
{
    struct column *more = realloc(grid->columns, (grid->count + 1) * sizeof(*more));
    char *copy = strdup(design);
    if (more)
        grid->columns = more;
    if (!more || !copy) {
        free(copy);
        snprintf(err->text, sizeof(err->text), "out of memory");
        return -ENOMEM;
    }
    grid->columns[grid->count].design = copy;
    grid->columns[grid->count].width = width;
    grid->count++;
    return 0;
}

static int grid_load(struct store *s, struct grid *grid, struct store_error *err)
{
    sqlite3_stmt *row;
    int ret = store_query(s,
                          "SELECT design, max(length(design), max(length(" SQUARE_TEXT "))), max(length(scenario))"
                          " FROM v_matrix WHERE campaign = ?1 AND disk = ?2 GROUP BY design ORDER BY design",
                          &row, err);
    if (ret)
        return ret;
    sqlite3_bind_text(row, 2, grid->disk, -1, SQLITE_STATIC);
    int rc;
    grid->label_width = (unsigned)strlen("scenario");
    while ((rc = sqlite3_step(row)) == SQLITE_ROW) {
        unsigned label = (unsigned)sqlite3_column_int(row, 2);
        grid->label_width = label > grid->label_width ? label : grid->label_width;
        ret = grid_add(grid, render_text(row, 0), (unsigned)sqlite3_column_int(row, 1), err);
        if (ret) {
            sqlite3_finalize(row);
            return ret;
        }
    }
    return store_query_end(s, row, rc, err);
}

/* How many columns from `first` fit into the terminal: at least one. */
static size_t columns_that_fit(const struct grid *grid, size_t first, unsigned width)
{
    unsigned used = GAP + grid->label_width;
    size_t n = 0;
    while (first + n < grid->count) {
        used += GAP + grid->columns[first + n].width;
        if (n > 0 && used > width)
            break;
        n++;
    }
    return n;
}

static const char *square_color(const char *text)
{
    if (*text == '-' || !*text)
        return NULL;
    return strncmp(text, "safe", 4) == 0 ? RENDER_GREEN : RENDER_RED;
}

/* Pads before a square, not behind it: no line ends in spaces. */
static void print_square(FILE *out, const struct render_options *o, unsigned *missing, const char *text, unsigned width)
{
    unsigned columns = render_columns(text);
    if (columns) {
        fprintf(out, "%*s", (int)(*missing + GAP), "");
        render_padded(out, o, text, 0, square_color(text));
        *missing = width > columns ? width - columns : 0;
    } else {
        *missing += GAP + width;
    }
}

static void print_header(FILE *out, const struct render_options *o, const struct grid *grid, size_t first, size_t n)
{
    fprintf(out, "disk %s%s\n  scenario", grid->disk, first ? " (further designs)" : "");
    unsigned missing = grid->label_width - (unsigned)strlen("scenario");
    for (size_t i = first; i < first + n; i++) {
        fprintf(out, "%*s", (int)(missing + GAP), "");
        render_padded(out, o, grid->columns[i].design, 0, RENDER_BOLD);
        missing = grid->columns[i].width - render_columns(grid->columns[i].design);
    }
    fputc('\n', out);
}

/* The rows hold one (scenario, design) each, in the order of the grid; a square never judged stays empty. */
static int print_block(struct store *s, FILE *out, const struct render_options *o, const struct grid *grid,
                       size_t first, size_t n, struct store_error *err)
{
    sqlite3_stmt *row;
    int ret = store_query(s,
                          "SELECT scenario, design, " SQUARE_TEXT " FROM v_matrix"
                          " WHERE campaign = ?1 AND disk = ?2 ORDER BY scenario, design",
                          &row, err);
    if (ret)
        return ret;
    sqlite3_bind_text(row, 2, grid->disk, -1, SQLITE_STATIC);
    print_header(out, o, grid, first, n);
    int rc = sqlite3_step(row);
    while (rc == SQLITE_ROW) {
        char *scenario = strdup(render_text(row, 0));
        if (!scenario) {
            rc = SQLITE_NOMEM;
            break;
        }
        unsigned missing = grid->label_width - render_columns(scenario);
        fprintf(out, "  %s", scenario);
        for (size_t i = 0; i < grid->count; i++) {
            bool here = rc == SQLITE_ROW && strcmp(render_text(row, 0), scenario) == 0 &&
                        strcmp(render_text(row, 1), grid->columns[i].design) == 0;
            if (i >= first && i < first + n)
                print_square(out, o, &missing, here ? render_text(row, 2) : "", grid->columns[i].width);
            if (here)
                rc = sqlite3_step(row);
        }
        fputc('\n', out);
        free(scenario);
    }
    fputc('\n', out);
    return store_query_end(s, row, rc, err);
}

static int print_disk(struct store *s, FILE *out, const struct render_options *o, const char *disk,
                      struct store_error *err)
{
    struct grid grid = {.disk = disk};
    int ret = grid_load(s, &grid, err);
    size_t n;
    for (size_t first = 0; !ret && first < grid.count; first += n) {
        n = columns_that_fit(&grid, first, o->width ? o->width : DEFAULT_WIDTH);
        ret = print_block(s, out, o, &grid, first, n, err);
    }
    grid_free(&grid);
    return ret;
}

static int print_disks(struct store *s, FILE *out, const struct render_options *o, struct store_error *err)
{
    sqlite3_stmt *row;
    int ret = store_query(s, "SELECT DISTINCT disk FROM v_matrix WHERE campaign = ?1 ORDER BY disk", &row, err);
    if (ret)
        return ret;
    int rc;
    bool any = false;
    while ((rc = sqlite3_step(row)) == SQLITE_ROW) {
        ret = print_disk(s, out, o, render_text(row, 0), err);
        any = true;
        if (ret) {
            sqlite3_finalize(row);
            return ret;
        }
    }
    if (any)
        fputs("safe: no crash shows the guest anything wrong; CAPITALS: the first class found, +N: classes more;\n"
              "!: not what was expected; ?: incomplete; -: skipped\n\n",
              out);
    return store_query_end(s, row, rc, err);
}

/* One line per (design, class, missing order); unexpected ones first. The witness is the shortest id, and one of the
 * unexpected where there are any. */
static const char groups_sql[] =
    "WITH g AS ("
    "  SELECT design, class, class_rank, iif(missing_order = '', '-', missing_order) AS missing,"
    "    count(*) AS n, count(DISTINCT cell) AS cells, sum(unexpected) AS bad,"
    "    substr(min(printf('%d%09d%s', NOT unexpected, length(id), id)), 11) AS id"
    "  FROM v_findings WHERE campaign = ?1 GROUP BY design, class, missing_order)"
    " SELECT design, class, missing, n, cells, bad, id, max(length(design)) OVER (), max(length(class)) OVER (),"
    "  max(length(missing)) OVER () FROM g ORDER BY bad = 0, design, class_rank, missing";

static int print_groups(struct store *s, FILE *out, const struct render_options *o, struct store_error *err)
{
    sqlite3_stmt *row;
    int ret = store_query(s, groups_sql, &row, err);
    if (ret)
        return ret;
    int rc;
    bool any = false;
    while ((rc = sqlite3_step(row)) == SQLITE_ROW) {
        if (!any)
            fputs("findings: design, class, missing order\n", out);
        any = true;
        fputs("  ", out);
        render_padded(out, o, render_text(row, 0), (unsigned)sqlite3_column_int(row, 7) + GAP, NULL);
        render_padded(out, o, render_text(row, 1), (unsigned)sqlite3_column_int(row, 8) + GAP, RENDER_RED);
        render_padded(out, o, render_text(row, 2), (unsigned)sqlite3_column_int(row, 9) + GAP, NULL);
        fprintf(out, "%s in %s cell%s", render_text(row, 3), render_text(row, 4),
                sqlite3_column_int64(row, 4) == 1 ? "" : "s");
        if (sqlite3_column_int64(row, 5))
            fprintf(out, ", %s UNEXPECTED", render_text(row, 5));
        fputs("  ", out);
        render_repro(out, render_text(row, 6));
    }
    if (any)
        fputc('\n', out);
    return store_query_end(s, row, rc, err);
}

static int print_skipped(struct store *s, FILE *out, struct store_error *err)
{
    sqlite3_stmt *row;
    int ret = store_query(s,
                          "SELECT count(*), skip_reason FROM v_cells WHERE campaign = ?1 AND verdict = 'skipped'"
                          " GROUP BY skip_reason ORDER BY count(*) DESC, skip_reason",
                          &row, err);
    if (ret)
        return ret;
    int rc;
    while ((rc = sqlite3_step(row)) == SQLITE_ROW)
        fprintf(out, "skipped %s: %s\n", render_text(row, 0), render_text(row, 1));
    return store_query_end(s, row, rc, err);
}

/* What each claim's scenarios came to, over all designs and disk models. A3b comes between A3 and A4. */
static const char ledger_sql[] =
    "WITH l AS MATERIALIZED (SELECT claim, scenario, verdict, unexpected FROM v_ledger WHERE campaign = ?1), g AS ("
    "  SELECT claim, count(*) AS cells, sum(verdict = 'safe') AS safe, sum(verdict = 'unsafe') AS unsafe,"
    "    sum(unexpected) AS bad,"
    "    (SELECT group_concat(scenario, ' ') FROM ("
    "      SELECT DISTINCT scenario FROM l m WHERE m.claim = l.claim ORDER BY scenario)) AS names"
    "  FROM l GROUP BY claim)"
    " SELECT claim, names, safe, unsafe, bad, max(length(claim)) OVER (), max(length(safe)) OVER (),"
    "  max(length(unsafe)) OVER () FROM g"
    " ORDER BY substr(claim, 1, 1), CAST(substr(claim, 2) AS INTEGER), claim";

static int print_ledger(struct store *s, FILE *out, const struct render_options *o, struct store_error *err)
{
    sqlite3_stmt *row;
    int ret = store_query(s, ledger_sql, &row, err);
    if (ret)
        return ret;
    int rc;
    bool any = false;
    while ((rc = sqlite3_step(row)) == SQLITE_ROW) {
        if (!any)
            fputs("ledger: claim, cells, scenarios (docs/ledger.md)\n", out);
        any = true;
        fputs("  ", out);
        render_padded(out, o, render_text(row, 0), (unsigned)sqlite3_column_int(row, 5) + GAP, RENDER_BOLD);
        fprintf(out, "%*s safe, %*s unsafe", sqlite3_column_int(row, 6), render_text(row, 2),
                sqlite3_column_int(row, 7), render_text(row, 3));
        if (sqlite3_column_int64(row, 4))
            fprintf(out, ", %s UNEXPECTED", render_text(row, 4));
        fprintf(out, "  %s\n", render_text(row, 1));
    }
    if (any)
        fputc('\n', out);
    return store_query_end(s, row, rc, err);
}

int render_matrix(struct store *s, FILE *out, const struct render_options *o, struct store_error *err)
{
    int ret = o->quiet ? 0 : print_disks(s, out, o, err);
    if (!ret && o->verbose) {
        ret = render_cells(s, out, o, err);
        fputc('\n', out);
    }
    if (!ret && !o->quiet)
        ret = print_ledger(s, out, o, err);
    if (!ret)
        ret = print_groups(s, out, o, err);
    if (!ret && !o->quiet)
        ret = print_skipped(s, out, err);
    if (!ret)
        ret = render_summary(s, out, o, err);
    if (!ret)
        ret = render_closing_repro(s, out, false, err);
    return ret ? ret : render_flush(out, err);
}
