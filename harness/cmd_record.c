/* cmd_record.c: record: a scenario's statements on the QEMU that is installed, one at a time.
 *
 *   scenario ─▶ base.qed, backing.raw ─▶ qemu-io, driver qed over blklogwrites ─▶ writes.log
 *                (qemu-img, qemu-io)        │ one command, its answer, the log's length   guest.jsonl
 *
 * qemu-io reads commands from a pipe and prompts when it is done with one; then the log's entries are counted. At the end
 * it is killed, so that nothing is in the log that the scenario did not ask for.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness/commands.h"
#include "harness/complain.h"
#include "harness/options.h"
#include "harness/qemu_io.h"
#include "harness/target.h"
#include "oracle/tag.h"
#include "scenarios/replay.h"
#include "simdisk/dm_log.h"
#include "simdisk/xalloc.h"

#define ANSWER_MAX   4096u
#define LOG_MAX      (UINT64_C(256) << 20)
#define COMMAND_MAX  128
#define PREPARE_BYTE 0x50 /* prepared writes count up from here, recorded ones from 1 */

static const char record_doc[] =
    "Run a scenario on the installed QEMU and record every image write and flush.\n\nExamples:\n"
    "  qedcrash record cow-partial rec && qedcrash replay rec --disk all\n"
    "  qedcrash record cow-partial rec --format qcow2 && qedcrash replay rec --judge qemu\n"
    "  for s in cow-partial tail; do qedcrash record $s rec/$s; done; qedcrash replay rec/*\n\v"
    "--format makes and opens an image of another format than QED (qcow2, vmdk, vdi ..), which replay --judge qemu "
    "judges. Needs qemu-io and qemu-img with the drivers qed and blklogwrites (Debian: qemu-utils). Statements run one "
    "at a "
    "time, except for aio, "
    "with a writeback cache: no cancel, inject, kill, reopen, sleep, rebase or crash. DIR must not exist, "
    "or be "
    "empty. Exit status: 0 recorded; 2 usage, or a statement that QEMU cannot be asked for here; 3 no QEMU, or it "
    "failed.";

/* An aio request that QEMU was asked for; it is over when all are. */
struct under_way {
    const struct scn_stmt *stmt;
    uint8_t byte;
    uint64_t start;
    bool over;
    uint64_t end;
};

struct record {
    const char *dir;
    const struct scenario *scenario;
    const char *format, *format_options; /* QEMU's driver; and what `create -o' gets besides, or NULL */
    char image[32], base[32];            /* what QEMU writes to, and its state before */
    FILE *guest;
    struct qemu_io qemu;
    char answer[ANSWER_MAX];  /* of the last program */
    uint64_t entries, log_at; /* of the log so far; where the next one will be */
    struct under_way *under_way;
    size_t under_way_count, under_way_cap;
    unsigned writes;
};

static void path_of(const struct record *r, const char *name, char path[PATH_MAX])
{
    snprintf(path, PATH_MAX, "%s/%s", r->dir, name);
}

/* --- what can be recorded ------------------------------------------------------------------------------------------ */

static bool is_qed(const struct record *r)
{
    return !strcmp(r->format, "qed");
}

/* A name of a driver, and no option behind it. */
static bool is_format(const char *name)
{
    size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789");
    return n && n < 16 && !name[n];
}

static bool can_record(const struct scn_stmt *s)
{
    if (s->aio && s->op != SCN_WRITE && s->op != SCN_ZERO && s->op != SCN_READ && s->op != SCN_FLUSH)
        return false;
    if (s->program[0] || (s->op == SCN_OPEN && s->mode != SCN_MODE_RW))
        return false;
    switch (s->op) {
    case SCN_WRITE:
    case SCN_READ:
    case SCN_FLUSH:
    case SCN_ZERO:
    case SCN_DISCARD:
    case SCN_TRUNCATE:
    case SCN_CLOSE:
    case SCN_OPEN:
    case SCN_WAIT:
        return true;
    case SCN_SLEEP:
    case SCN_CANCEL:
    case SCN_INJECT:
    case SCN_REBASE:
    case SCN_REOPEN:
    case SCN_KILL:
    case SCN_CRASH:
    case SCN_OP_COUNT:
        break;
    }
    return false;
}

static int check_scenario(const struct record *r)
{
    const struct scenario *s = r->scenario;
    if (s->replay)
        return complain("record", EXIT_USAGE, "%s is a recording already", s->path);
    if (s->table_clusters == 1 && is_qed(r))
        return complain("record", EXIT_USAGE,
                        "%s: QEMU makes images with table=1, and refuses to open them; write table=2",
                        s->path ? s->path : s->name);
    for (size_t i = 0; i < s->stmt_count; i++)
        if (!can_record(&s->stmts[i]))
            return complain("record", EXIT_USAGE,
                            "%s:%u: '%s' cannot be recorded: only write, read, zero, discard, flush, truncate, "
                            "close, open rw, and write, zero, read and flush as aio, with wait",
                            s->path ? s->path : s->name, s->stmts[i].line, s->stmts[i].text);
    return 0;
}

/* 0, or an exit code: nothing there, or an empty directory; then it is there. */
static int make_directory(const char *path)
{
    if (!mkdir(path, 0777))
        return 0;
    if (errno != EEXIST)
        return complain("record", EXIT_USAGE, "cannot make the directory %s: %s", path, strerror(errno));
    DIR *dir = opendir(path);
    bool empty = dir;
    for (struct dirent *e; dir && (e = readdir(dir));)
        empty = empty && (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."));
    if (dir)
        closedir(dir);
    return empty ? 0 : complain("record", EXIT_USAGE, "%s is not an empty directory", path);
}

/* --- programs ------------------------------------------------------------------------------------------------------ */

static char *first_line(char *text)
{
    text[strcspn(text, "\n")] = 0;
    return text;
}

/* In DIR. 0, or an exit code after what it said. */
static int run_program(struct record *r, char *const argv[])
{
    int status = 0, ret = qemu_program(r->dir, argv, r->answer, sizeof(r->answer), &status);
    if (!ret && !status)
        return 0;
    return complain("record", EXIT_INTERNAL, "%s failed: %s", argv[0], ret ? strerror(-ret) : first_line(r->answer));
}

/* Opens the image. logged: over blklogwrites. */
static int start_qemu(struct record *r, bool logged)
{
    /* A log says nothing of discards that can be judged: qcow2 keeps them in its tables. */
    const char *more =
        !strcmp(r->format, "qcow2") ? ",discard=unmap,pass-discard-request=off,pass-discard-snapshot=off" : "";
    char options[512];
    if (logged)
        snprintf(
            options, sizeof(options),
            "driver=%s%s,file.driver=blklogwrites,file.file.driver=file,file.file.filename=%s,file.log.driver=file,"
            "file.log.filename=" REPLAY_LOG "%s",
            r->format, more, r->image, r->entries ? ",file.log-append=on" : ""); /* or nothing to go on with */
    else
        snprintf(options, sizeof(options), "driver=%s%s,file.driver=file,file.filename=%s", r->format, more, r->image);
    char *argv[] = {"qemu-io", "-t", "writeback", "--image-opts", options, NULL};
    int ret = qemu_io_start(&r->qemu, r->dir, argv);
    if (ret == -EPIPE)
        return complain("record", EXIT_INTERNAL, "qemu-io cannot open the image: %s", first_line(r->qemu.answer));
    return ret ? complain("record", EXIT_INTERNAL, "cannot start qemu-io: %s", strerror(-ret)) : 0;
}

/* One command, and its answer. 0, or an exit code: a request that failed ends the recording. */
static int ask(struct record *r, const char *command)
{
    char line[COMMAND_MAX + 1];
    snprintf(line, sizeof(line), "%s\n", command);
    int ret = qemu_io_ask(&r->qemu, line);
    if (ret)
        return complain("record", EXIT_INTERNAL, "qemu-io %s at '%s'", ret == -ETIMEDOUT ? "came to no end" : "died",
                        command);
    char *answer = r->qemu.answer;
    if (!strstr(answer, "failed") && !strstr(answer, "not found") && !strstr(answer, "nvalid"))
        return 0;
    return complain("record", EXIT_INTERNAL, "qemu-io: '%s': %s", command, first_line(answer));
}

/* --- the log ------------------------------------------------------------------------------------------------------- */

/* Counts the entries that the log has got since. A new log has no first sector before its first flush; the entries are
 * behind it all the same. */
static int count_entries(struct record *r)
{
    char path[PATH_MAX];
    uint8_t head[BLK_SECTOR_BYTES];
    path_of(r, REPLAY_LOG, path);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return complain("record", EXIT_INTERNAL, "cannot read %s: %s", path, strerror(errno));
    if (!r->log_at)
        r->log_at = sizeof(head);
    while (r->log_at <= LOG_MAX && pread(fd, head, sizeof(head), (off_t)r->log_at) == sizeof(head)) {
        r->log_at += dm_log_entry_bytes(head);
        r->entries++;
    }
    close(fd);
    return r->log_at <= LOG_MAX ? 0 : complain("record", EXIT_INTERNAL, "%s grows too large", path);
}

/* QEMU notes the number of entries on a flush only; whoever trusts it should see them all. */
static int settle_log(struct record *r)
{
    char path[PATH_MAX];
    uint8_t sector[BLK_SECTOR_BYTES];
    path_of(r, REPLAY_LOG, path);
    dm_log_super(sector, r->entries);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool good = fd >= 0 && pwrite(fd, sector, sizeof(sector), 0) == sizeof(sector);
    good = fd >= 0 && !close(fd) && good;
    return good ? 0 : complain("record", EXIT_INTERNAL, "cannot write %s: %s", path, strerror(errno));
}

/* --- the guest ----------------------------------------------------------------------------------------------------- */

static void command_of(const struct scn_stmt *s, uint8_t byte, char command[COMMAND_MAX])
{
    const char *verb = s->op == SCN_ZERO ? "write -z" : s->op == SCN_DISCARD ? "discard" : "read";
    const char *aio = s->aio ? "aio_" : "";
    if (s->op == SCN_FLUSH)
        snprintf(command, COMMAND_MAX, "flush"); /* its aio_flush only waits */
    else if (s->op == SCN_WAIT)
        snprintf(command, COMMAND_MAX, "aio_flush");
    else if (s->op == SCN_TRUNCATE)
        snprintf(command, COMMAND_MAX, "truncate %" PRIu64, s->length);
    else if (s->op == SCN_WRITE)
        snprintf(command, COMMAND_MAX, "%swrite -P %u %" PRIu64 " %" PRIu64, aio, byte, s->offset, s->length);
    else
        snprintf(command, COMMAND_MAX, "%s%s %" PRIu64 " %" PRIu64, aio, verb, s->offset, s->length);
}

static int play(struct record *r, const struct scn_stmt *s, uint8_t byte, bool logged)
{
    char command[COMMAND_MAX];
    if (s->op == SCN_CLOSE) {
        qemu_io_end(&r->qemu);
        return 0;
    }
    if (s->op == SCN_OPEN)
        return r->qemu.child ? complain("record", EXIT_USAGE, "line %u: 'open' while the image is open", s->line)
                             : start_qemu(r, logged);
    if (!r->qemu.child)
        return complain("record", EXIT_USAGE, "line %u: '%s' while the image is closed", s->line, s->text);
    command_of(s, byte, command);
    return ask(r, command);
}

static void write_line(struct record *r, const struct scn_stmt *s, uint8_t byte, uint64_t start, uint64_t end)
{
    static const char *const words[SCN_OP_COUNT] = {
        [SCN_WRITE] = "write", [SCN_ZERO] = "zero", [SCN_DISCARD] = "discard",  [SCN_FLUSH] = "flush",
        [SCN_CLOSE] = "close", [SCN_OPEN] = "open", [SCN_TRUNCATE] = "truncate"};
    if (!words[s->op])
        return; /* a read leaves nothing on the disk */
    bool place = s->op == SCN_WRITE || s->op == SCN_ZERO || s->op == SCN_DISCARD;
    fprintf(r->guest, "{\"op\":\"%s\",\"offset\":%" PRIu64 ",\"length\":%" PRIu64, words[s->op], place ? s->offset : 0,
            place || s->op == SCN_TRUNCATE ? s->length : 0);
    if (s->op == SCN_WRITE)
        fprintf(r->guest, ",\"byte\":%u", byte);
    fprintf(r->guest, ",\"log_start\":%" PRIu64 ",\"log_end\":%" PRIu64 "}\n", start, end);
}

static uint8_t next_byte(struct record *r, unsigned from)
{
    return (uint8_t)(1 + (from - 1 + r->writes++) % 255);
}

static size_t count_prepare(const struct scenario *s)
{
    size_t n = 0;
    while (n < s->stmt_count && s->stmts[n].prepare)
        n++;
    return n;
}

static int prepare(struct record *r, size_t count)
{
    int code = count ? start_qemu(r, false) : 0;
    for (size_t i = 0; !code && i < count; i++) {
        const struct scn_stmt *s = &r->scenario->stmts[i];
        code = play(r, s, s->op == SCN_WRITE ? next_byte(r, PREPARE_BYTE) : 0, false);
    }
    if (code)
        qemu_io_stop(&r->qemu);
    else
        qemu_io_end(&r->qemu);
    r->writes = 0;
    return code;
}

/* The lines of all that was asked for since the last time nothing was under way, in the order of asking. */
static void write_lines(struct record *r)
{
    for (size_t i = 0; i < r->under_way_count; i++) {
        const struct under_way *u = &r->under_way[i];
        write_line(r, u->stmt, u->byte, u->start, u->over ? u->end : r->entries);
    }
    r->under_way_count = 0;
}

static int record_one(struct record *r, const struct scn_stmt *s)
{
    uint64_t start = r->entries;
    uint8_t byte = s->op == SCN_WRITE ? next_byte(r, 1) : 0;
    bool waits = s->op == SCN_WAIT || s->op == SCN_CLOSE; /* for all: qemu-io knows no other */
    bool over = !s->aio || s->op == SCN_FLUSH;
    int code = play(r, s, byte, true);
    code = code ? code : count_entries(r);
    if (code)
        return code;
    r->under_way = xgrow(r->under_way, r->under_way_count, &r->under_way_cap, sizeof(*r->under_way));
    if (s->op != SCN_WAIT)
        r->under_way[r->under_way_count++] =
            (struct under_way){.stmt = s, .byte = byte, .start = start, .over = over, .end = r->entries};
    bool any = false;
    for (size_t i = 0; i < r->under_way_count; i++)
        any |= !r->under_way[i].over;
    if (waits || !any)
        write_lines(r);
    return 0;
}

static int record_statements(struct record *r, size_t from)
{
    static const struct scn_stmt all = {.op = SCN_WAIT, .text = "wait all"};
    const struct scenario *s = r->scenario;
    bool opens = from < s->stmt_count && s->stmts[from].op == SCN_OPEN;
    int code = opens ? 0 : start_qemu(r, true);
    for (size_t i = from; !code && i < s->stmt_count; i++)
        code = record_one(r, &s->stmts[i]);
    if (!code && r->under_way_count)
        code = record_one(r, &all);
    qemu_io_stop(&r->qemu);
    free(r->under_way);
    return code;
}

/* --- the files ----------------------------------------------------------------------------------------------------- */

static FILE *create_file(struct record *r, const char *name, int *code)
{
    char path[PATH_MAX];
    path_of(r, name, path);
    FILE *f = fopen(path, "wxe");
    if (!f)
        *code = complain("record", EXIT_INTERNAL, "cannot write %s: %s", path, strerror(errno));
    return f;
}

static int close_file(FILE *f, const char *name)
{
    bool bad = ferror(f);
    return fclose(f) || bad ? complain("record", EXIT_INTERNAL, "cannot write %s: %s", name, strerror(errno)) : 0;
}

static int make_backing(struct record *r)
{
    const struct scenario *s = r->scenario;
    int code = 0;
    if (s->backing == SCN_BACKING_NONE)
        return 0;
    FILE *f = create_file(r, REPLAY_BACKING, &code);
    if (!f)
        return code;
    for (uint64_t i = 0; s->backing == SCN_BACKING_TAGGED && i < s->backing_bytes / TAG_SECTOR_BYTES; i++) {
        const struct tag tag = {.kind = TAG_BACKING, .sector = i};
        uint8_t bytes[TAG_SECTOR_BYTES];
        tag_fill(bytes, &tag);
        fwrite(bytes, sizeof(bytes), 1, f);
    }
    if (!fflush(f) && ftruncate(fileno(f), (off_t)s->backing_bytes))
        code = complain("record", EXIT_INTERNAL, "cannot write %s: %s", REPLAY_BACKING, strerror(errno));
    int closed = close_file(f, REPLAY_BACKING);
    return code ? code : closed;
}

/* What of the scenario's geometry this format can be told, and what was asked for besides. */
static void format_options(const struct record *r, char *buf, size_t size)
{
    const struct scenario *s = r->scenario;
    int n = 0;
    buf[0] = 0;
    if (is_qed(r))
        n = snprintf(buf, size, "cluster_size=%" PRIu32 ",table_size=%" PRIu32, s->cluster_bytes, s->table_clusters);
    else if (!strcmp(r->format, "qcow2"))
        n = snprintf(buf, size, "cluster_size=%" PRIu32, s->cluster_bytes);
    if (r->format_options)
        snprintf(buf + n, size - (size_t)n, "%s%.400s", n ? "," : "", r->format_options);
}

static int make_image(struct record *r)
{
    const struct scenario *s = r->scenario;
    char options[512], size[32];
    char *argv[12] = {"qemu-img", "create", "-q", "-f", (char *)r->format};
    size_t n = 5;
    format_options(r, options, sizeof(options));
    if (options[0]) {
        argv[n++] = "-o";
        argv[n++] = options;
    }
    snprintf(size, sizeof(size), "%" PRIu64, s->image_bytes);
    if (s->backing != SCN_BACKING_NONE) {
        argv[n++] = "-b";
        argv[n++] = REPLAY_BACKING;
        argv[n++] = "-F";
        argv[n++] = "raw";
    }
    char *more[14];
    memcpy(more, argv, sizeof(argv));
    more[n++] = r->image;
    more[n++] = size;
    more[n] = NULL;
    return run_program(r, more);
}

/* What an earlier life left behind the last cluster: each sector says where it lies. */
static int add_tail(struct record *r)
{
    char path[PATH_MAX];
    uint64_t end = 0;
    if (!r->scenario->tail_bytes)
        return 0;
    path_of(r, r->image, path);
    FILE *f = fopen(path, "abe");
    if (!f || fseeko(f, 0, SEEK_END))
        return complain("record", EXIT_INTERNAL, "cannot write %s: %s", path, strerror(errno));
    end = (uint64_t)ftello(f);
    for (uint64_t at = 0; at < r->scenario->tail_bytes; at += TAG_SECTOR_BYTES) {
        const struct tag tag = {.kind = TAG_STALE, .sector = (end + at) / TAG_SECTOR_BYTES};
        uint8_t bytes[TAG_SECTOR_BYTES];
        tag_fill(bytes, &tag);
        fwrite(bytes, sizeof(bytes), 1, f);
    }
    return close_file(f, r->image);
}

static int copy_base(struct record *r)
{
    char *argv[] = {"cp", "--sparse=always", r->image, r->base, NULL};
    return run_program(r, argv);
}

/* Of a format that nobody here can read: how large a cluster is, and what the guest sees before the first statement. */
static int describe_base(struct record *r)
{
    char *convert[] = {"qemu-img", "convert", "-f", (char *)r->format, "-O", "raw", r->base, REPLAY_BEFORE, NULL};
    char *info[] = {"qemu-img", "info", "--output=json", "-f", (char *)r->format, r->base, NULL};
    uint64_t cluster = r->scenario->cluster_bytes;
    int code = is_qed(r) ? 0 : run_program(r, convert);
    if (code || is_qed(r))
        return code;
    code = run_program(r, info);
    const char *at = code ? NULL : strstr(r->answer, "\"cluster-size\": ");
    if (at)
        cluster = strtoull(at + strlen("\"cluster-size\": "), NULL, 10);
    FILE *f = code ? NULL : create_file(r, REPLAY_IMAGE, &code);
    if (!f)
        return code;
    fprintf(f, "{\"format\":\"%s\",\"size\":%" PRIu64 ",\"cluster\":%" PRIu64 "}\n", r->format,
            r->scenario->image_bytes, cluster);
    return close_file(f, REPLAY_IMAGE);
}

static int record(struct record *r)
{
    size_t prepared = count_prepare(r->scenario);
    int code = make_backing(r);
    code = code ? code : make_image(r);
    code = code ? code : prepare(r, prepared);
    code = code ? code : add_tail(r);
    code = code ? code : copy_base(r);
    code = code ? code : describe_base(r);
    FILE *log = code ? NULL : create_file(r, REPLAY_LOG, &code); /* blklogwrites wants it there */
    if (log)
        code = close_file(log, REPLAY_LOG);
    if (!code)
        r->guest = create_file(r, REPLAY_GUEST, &code);
    if (!r->guest)
        return code;
    code = record_statements(r, prepared);
    int closed = close_file(r->guest, REPLAY_GUEST);
    code = code ? code : closed;
    code = code ? code : settle_log(r);
    FILE *meta = code ? NULL : create_file(r, REPLAY_META, &code);
    if (!meta)
        return code;
    fputs("{\"log\":\"blklogwrites\"}\n", meta);
    return close_file(meta, REPLAY_META);
}

int cmd_record(int argc, char **argv)
{
    struct options o;
    bool help;
    int code = options_parse(argc, argv, "SCENARIO DIR", record_doc, &o, &help);
    struct record r = {.scenario = NULL};
    struct scenario *scenario = NULL;
    char *name = NULL;
    struct scn_error err;
    if (!code && !help && o.argument_count != 2)
        code = complain("record", EXIT_USAGE, "takes a scenario and a directory for the recording");
    if (code || help) {
        options_free(&o);
        return code;
    }
    if (target_scenario(o.arguments[0], &scenario, &name, &err))
        code = complain("record", EXIT_USAGE, "%s", err.text);
    r.scenario = scenario;
    r.format = o.format ? o.format : "qed";
    r.format_options = o.format_options;
    if (!code && !is_format(r.format))
        code = complain("record", EXIT_USAGE,
                        "--format takes a driver of QEMU's, such as qed, qcow2, vmdk or vdi, not '%s'", r.format);
    snprintf(r.image, sizeof(r.image), "image.%.15s", r.format);
    snprintf(r.base, sizeof(r.base), "base.%.15s", r.format);
    code = code ? code : check_scenario(&r);
    if (!code && (!qemu_have("qemu-io") || !qemu_have("qemu-img")))
        code = complain("record", EXIT_INTERNAL, "there is no qemu-io or no qemu-img in PATH (Debian: qemu-utils)");
    r.dir = o.arguments[1];
    code = code ? code : make_directory(r.dir);
    if (!code) {
        signal(SIGPIPE, SIG_IGN);
        code = record(&r);
    }
    if (!code && !o.quiet)
        printf("%s: %zu statements, %" PRIu64 " entries in the log\n", r.dir, scenario->stmt_count, r.entries);
    scenario_free(scenario);
    free(name);
    options_free(&o);
    return code;
}
