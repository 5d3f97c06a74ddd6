/* cmd_import.c: import: a fio I/O log (version 2 or 3) as a scenario.
 *
 *     fio version 2 iolog              image    size=1M cluster=4K table=2
 *     /dev/vdb add
 *     /dev/vdb open              ─▶
 *     /dev/vdb write 0 4096            write    0 4096
 *     /dev/vdb sync 0 0                flush
 *     /dev/vdb trim 4096 4096          discard  4096 4096
 *
 * Each request waits for the one before. Waiting, and the times of version 3, are left out: a crash asks for order alone.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "engine/blockdev.h"
#include "harness/commands.h"
#include "harness/complain.h"
#include "harness/import_bench.h"
#include "harness/import_text.h"
#include "harness/options.h"
#include "scenarios/scenario.h"
#include "simdisk/xalloc.h"

static const char import_doc[] =
    "A fio I/O log as a scenario; or, with --store, the fuzzers' benchmark into a store.\n\nExamples:\n"
    "  fio job.fio --write_iolog=fio.log && qedcrash import fio.log >fio.scn\n"
    "  qedcrash import fio.log >fio.scn && qedcrash run ./fio.scn --design all\n"
    "  qedcrash import fio.log >fio.scn && qedcrash record ./fio.scn rec && qedcrash replay rec\n"
    "  qedcrash import --store night.db build/fuzz/bench.tsv && qedcrash report night.db -o report\n\v"
    "With --store, each line that `make bench-fuzz' wrote becomes a row beside the newest campaign.\n\n"
    "Of fio: versions 2 and 3, of one file. Requests run one at a time; waiting and times are left out. Exit status: 0 "
    "the "
    "scenario "
    "is on standard output; 2 usage, or what is no such log, by its line.";

#define LINE_BYTES 4400 /* a path and two numbers */
#define SIZE_STEP  (UINT64_C(1) << 20)
#define DISK_MAX   (UINT64_C(1) << 40)
#define STATEMENTS 10000u /* of a scenario */

struct import {
    const char *path;
    unsigned line, version;
    char file[4096]; /* the one that the log is about */
    FILE *out;       /* statements */
    uint64_t end;    /* of the furthest request */
    unsigned statements;
};

/* read, write, trim: with a place; sync, datasync: without. */
static int take_request(struct import *m, const char *action, char *const *rest, unsigned count)
{
    static const char *const verbs[][2] = {{"write", "write"}, {"read", "read"}, {"trim", "discard"}};
    uint64_t offset = 0, length = 0;
    if (!strcmp(action, "sync") || !strcmp(action, "datasync")) {
        fputs("flush\n", m->out);
        m->statements++;
        return 0;
    }
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        if (strcmp(action, verbs[i][0]) != 0)
            continue;
        if (count != 2 || !import_number(rest[0], UINT64_MAX, &offset) || !import_number(rest[1], UINT64_MAX, &length))
            return import_complain(m->path, m->line, "an offset and a length were expected behind the action");
        if (offset % BLK_SECTOR_BYTES || length % BLK_SECTOR_BYTES || !length)
            return import_complain(m->path, m->line, "offset and length must be whole sectors of 512 bytes");
        if (offset > DISK_MAX || length > DISK_MAX - offset)
            return import_complain(m->path, m->line, "this lies beyond 1T, and no image here is so large");
        fprintf(m->out, "%s %" PRIu64 " %" PRIu64 "\n", verbs[i][1], offset, length);
        m->statements++;
        m->end = offset + length > m->end ? offset + length : m->end;
        return 0;
    }
    return import_complain(m->path, m->line,
                           "unknown action; expected add, open, close, wait, read, write, trim, sync or datasync");
}

static int take_line(struct import *m, char *text)
{
    char *words[6], *save = NULL;
    unsigned count = 0, at = m->version == 3;
    uint64_t ignored;
    for (char *w = strtok_r(text, " \t\r\n", &save); w && count < 6; w = strtok_r(NULL, " \t\r\n", &save))
        words[count++] = w;
    if (!count)
        return 0;
    if (at && !import_number(words[0], UINT64_MAX, &ignored))
        return import_complain(m->path, m->line, "a time was expected first, as version 3 has it");
    if (count < at + 2)
        return import_complain(m->path, m->line, "a file and an action were expected");
    if (!m->file[0])
        snprintf(m->file, sizeof(m->file), "%s", words[at]);
    if (strcmp(words[at], m->file) != 0)
        return import_complain(m->path, m->line, "a second file; a scenario has one disk");
    const char *action = words[at + 1];
    if (!strcmp(action, "add") || !strcmp(action, "open") || !strcmp(action, "close") || !strcmp(action, "wait"))
        return 0;
    if (m->statements >= STATEMENTS)
        return import_complain(m->path, m->line, "more requests than a scenario has statements");
    return take_request(m, action, words + at + 2, count - at - 2);
}

static int take_lines(struct import *m, FILE *in)
{
    char line[LINE_BYTES];
    for (m->line = 1; fgets(line, sizeof(line), in); m->line++) {
        size_t length = strlen(line);
        if (length + 1 == sizeof(line) && line[length - 1] != '\n')
            return import_complain(m->path, m->line, "the line is too long for any log of fio's");
        if (m->line == 1) {
            if (sscanf(line, "fio version %u iolog", &m->version) != 1 || (m->version != 2 && m->version != 3))
                return import_complain(m->path, m->line,
                                       "no log of fio's: expected 'fio version 2 iolog' or 'fio version 3 iolog'");
            continue;
        }
        int code = take_line(m, line);
        if (code)
            return code;
    }
    m->line = 0;
    if (!m->version)
        return import_complain(m->path, m->line, "no log of fio's: it is empty");
    return m->statements ? 0 : import_complain(m->path, m->line, "no request is in it");
}

static int import(const char *path)
{
    struct import m = {.path = path};
    char *text = NULL;
    size_t size = 0;
    FILE *in = fopen(path, "re");
    if (!in)
        return import_complain(m.path, m.line, strerror(errno));
    m.out = xalloc_check(open_memstream(&text, &size));
    int code = take_lines(&m, in);
    fclose(in);
    fclose(m.out);
    if (!code) {
        uint64_t image = (m.end + SIZE_STEP - 1) / SIZE_STEP;
        printf("# imported from a log of fio's, of %s\nimage size=%" PRIu64 "M cluster=4K table=2\n%s", m.file,
               image ? image : 1, text);
    }
    free(text);
    return code;
}

int cmd_import(int argc, char **argv)
{
    struct options o;
    bool help;
    int code = options_parse(argc, argv, "IOLOG\n--store STORE BENCH.tsv", import_doc, &o, &help);
    if (!code && !help && o.argument_count != 1)
        code = complain("import", EXIT_USAGE,
                        "takes the log that fio wrote with --write_iolog, or with --store the fuzzers' benchmark");
    if (!code && !help)
        code = o.store ? import_bench(o.arguments[0], o.store) : import(o.arguments[0]);
    options_free(&o);
    return code;
}
