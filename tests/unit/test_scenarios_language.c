/* The scenario language: what it accepts, what it says about what it does not, and that printing loses nothing. */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/design_text.h"
#include "scenarios/scenario.h"
#include "scenarios/words.h"
#include "simdisk/sim_loop.h"
#include "tests/unit/test_scenarios_random.h"

#define IMAGE "image size=1M cluster=4K table=2\n"

static struct scenario *parse_ok(const char *text)
{
    struct scenario *s;
    struct scn_error err = {""};
    int ret = scenario_parse("dir/t.scn", text, strlen(text), &s, &err);

    if (ret)
        fail_msg("not accepted: %s\n%s", err.text, text);
    return s;
}

/* The text is refused, with exactly this message. */
static void expect_error(const char *text, const char *message)
{
    struct scenario *s = (struct scenario *)1;
    struct scn_error err = {""};
    int ret = scenario_parse("t.scn", text, strlen(text), &s, &err);

    assert_string_equal(err.text, message);
    assert_int_equal(ret, -EINVAL);
    assert_null(s);
}

static char *print_to_string(const struct scenario *s)
{
    char *text;
    size_t size;
    FILE *f = open_memstream(&text, &size);

    scenario_print(s, f);
    fclose(f);
    return text;
}

static void assert_stmt_equal(const struct scn_stmt *a, const struct scn_stmt *b)
{
    struct scn_stmt x = *a, y = *b;

    x.line = y.line = 0;
    assert_memory_equal(&x, &y, sizeof(x));
}

static void assert_scenario_equal(const struct scenario *a, const struct scenario *b)
{
    assert_string_equal(a->name, b->name);
    assert_string_equal(a->title, b->title);
    assert_int_equal(a->image_bytes, b->image_bytes);
    assert_int_equal(a->cluster_bytes, b->cluster_bytes);
    assert_int_equal(a->table_clusters, b->table_clusters);
    assert_int_equal(a->tail_bytes, b->tail_bytes);
    assert_int_equal(a->backing, b->backing);
    assert_int_equal(a->backing_bytes, b->backing_bytes);
    assert_int_equal(a->stmt_count, b->stmt_count);
    for (size_t i = 0; i < a->stmt_count; i++)
        assert_stmt_equal(&a->stmts[i], &b->stmts[i]);
    assert_int_equal(a->ledger_count, b->ledger_count);
    assert_memory_equal(a->ledger, b->ledger, sizeof(a->ledger));
    assert_int_equal(a->all_schedules, b->all_schedules);
    assert_int_equal(a->schedules, b->schedules);
    assert_int_equal(a->expect_count, b->expect_count);
    for (size_t i = 0; i < a->expect_count; i++) {
        struct scn_expect x = a->expects[i], y = b->expects[i];

        x.line = y.line = 0;
        assert_memory_equal(&x, &y, sizeof(x));
    }
}

/* Printing is canonical: what is printed parses to the same scenario, which prints as the same text. */
static void assert_round_trip(const struct scenario *s)
{
    char *once = print_to_string(s), *twice;
    struct scenario *again;
    struct scn_error err = {""};

    if (scenario_parse(s->path, once, strlen(once), &again, &err))
        fail_msg("printed text is not accepted: %s\n%s", err.text, once);
    assert_scenario_equal(s, again);
    twice = print_to_string(again);
    assert_string_equal(once, twice);
    free(once);
    free(twice);
    scenario_free(again);
}

/* ---- what is accepted ---- */

/* The example of the contract, as it stands. */
static const char contract[] =
    "title    partial write into an unallocated cluster over a backing file\n"
    "image    size=1M cluster=4K table=2\n"
    "backing  size=1M                       # every sector tagged; or fill=zero, or none\n"
    "prepare  write 0 4K                    # done, flushed and closed before recording starts\n"
    "write    4608 512                      # waits for completion\n"
    "aio      a write 8K 512                # starts, does not wait; when exactly a request is submitted,\n"
    "aio      b write 9K 512                # after the statement before it, is a choice of the schedule\n"
    "aio      f flush\n"
    "wait     a b f                         # or: wait all\n"
    "flush\n"
    "zero     16K 4K\n"
    "discard  0 4K\n"
    "truncate 2M\n"
    "sleep    6s                            # virtual time: timers fire\n"
    "cancel   a\n"
    "inject   l2_update EIO once            # blkdebug's events and words: once, always, after=N\n"
    "rebase   none                          # change the backing file name\n"
    "close\n"
    "open     rw                            # rw, ro, check; reopen rw|ro switches mode without closing\n"
    "kill                                   # the process dies, the disk's cache lives on\n"
    "crash                                  # the power fails anywhere above\n"
    "expect   design=v2 disk=ssd unsafe lost-cow\n"
    "expect   design=cow-flush safe\n";

static void test_contract(void **state)
{
    struct scenario *s = parse_ok(contract);
    char *text;
    (void)state;

    assert_string_equal(s->name, "t");
    assert_string_equal(s->path, "dir/t.scn");
    assert_string_equal(s->title, "partial write into an unallocated cluster over a backing file");
    assert_int_equal(s->image_bytes, 1 << 20);
    assert_int_equal(s->cluster_bytes, 4096);
    assert_int_equal(s->table_clusters, 2);
    assert_int_equal(s->backing, SCN_BACKING_TAGGED);
    assert_int_equal(s->backing_bytes, 1 << 20);
    assert_int_equal(s->stmt_count, 18);
    assert_true(s->stmts[0].prepare);
    assert_string_equal(s->stmts[0].text, "prepare write 0 4K");
    assert_int_equal(s->stmts[1].offset, 4608);
    assert_int_equal(s->stmts[1].line, 5);
    assert_string_equal(s->stmts[2].name, "a");
    assert_true(s->stmts[4].aio);
    assert_int_equal(s->stmts[4].op, SCN_FLUSH);
    assert_int_equal(s->stmts[5].wait_count, 3);
    assert_string_equal(s->stmts[5].wait_names[2], "f");
    assert_int_equal(s->stmts[10].length, 6000000000);
    assert_int_equal(s->stmts[12].event, BLK_EVENT_L2_UPDATE);
    assert_int_equal(s->stmts[12].error, -EIO);
    assert_true(s->stmts[12].once);
    assert_int_equal(s->stmts[17].op, SCN_CRASH);
    assert_int_equal(s->expect_count, 2);
    assert_true(s->expects[0].unsafe);
    assert_int_equal(s->expects[0].classes[0], VERDICT_LOST_COW);
    assert_int_equal(s->expects[1].disks, 0);
    text = print_to_string(s);
    assert_non_null(strstr(text, "\ninject l2_update EIO once\n"));
    assert_non_null(strstr(text, "\naio b write 9K 512\n"));
    free(text);
    assert_round_trip(s);
    scenario_free(s);
}

static void test_defaults_and_spellings(void **state)
{
    struct scenario *s;
    (void)state;

    s = parse_ok("image size=0x100000\n");
    assert_string_equal(s->title, "t");
    assert_int_equal(s->cluster_bytes, 65536);
    assert_int_equal(s->table_clusters, 4);
    assert_int_equal(s->backing, SCN_BACKING_NONE);
    assert_round_trip(s);
    scenario_free(s);

    /* No newline at the end, CRLF, tabs, indentation, comments in every place, a byte order mark, lower case units. */
    s = parse_ok("\xef\xbb\xbf# start\r\n\t title\ta  b\tc#no\r\n\r\nimage\ttable=2 size=1m cluster=4k#x\r\n"
                 "  #\r\nbacking fill=zero\r\nread 0x200 0x200");
    assert_string_equal(s->title, "a  b\tc");
    assert_int_equal(s->backing, SCN_BACKING_ZERO);
    assert_int_equal(s->backing_bytes, 1 << 20);
    assert_int_equal(s->stmts[0].line, 7);
    assert_round_trip(s);
    scenario_free(s);

    s = parse_ok(IMAGE
                 "backing none\nopen check\nreopen ro\nsleep 1500us\ninject flush EIO\n"
                 "inject read_backing ENOMEM after=3 always\nexpect disk=liar unsafe\nexpect unsafe corrupt torn\n");
    assert_int_equal(s->stmts[0].mode, SCN_MODE_CHECK);
    assert_int_equal(s->stmts[1].mode, SCN_MODE_RO);
    assert_false(s->stmts[3].once);
    assert_int_equal(s->stmts[4].event, BLK_EVENT_READ_BACKING_AIO);
    assert_int_equal(s->stmts[4].after, 3);
    assert_int_equal(s->expects[1].class_count, 2);
    assert_round_trip(s);
    scenario_free(s);
}

static void test_tail(void **state)
{
    struct scenario *s = parse_ok("image size=1M cluster=4K table=2 tail=3584\nwrite 0 512\n");
    (void)state;
    assert_int_equal(s->tail_bytes, 3584);
    assert_round_trip(s);
    scenario_free(s);
}

/* A name is free again once it was waited for, cancelled, closed or killed; and in a second life all are. */
static void test_names(void **state)
{
    (void)state;
    scenario_free(parse_ok(IMAGE "aio a flush\nwait a\naio a flush\ncancel a\nwait a\naio a flush\nwait all\n"
                                 "aio a flush\nclose\nopen rw\naio a flush\nkill\nopen rw\naio a read 0 512\n"
                                 "crash\naio a write 0 512\nwait a\n"));
    expect_error(
        IMAGE "aio a flush\ncrash\nwait a\n",
        "t.scn:4:6: no aio is named 'a'; expected a name started above by aio (after crash, names begin anew)");
    expect_error(IMAGE "aio first flush\nwait frist\n", "t.scn:3:6: no aio is named 'frist'; did you mean 'first'?");
    expect_error(IMAGE "aio a flush\naio a flush\n",
                 "t.scn:3:5: 'a' is still in flight; expected wait a first, or another name");
    expect_error(IMAGE "aio write 8K 512\n", "t.scn:2:5: 'write' cannot be a name; expected: aio NAME "
                                             "write|read|zero|discard OFFSET LENGTH, or aio NAME flush");
    expect_error(IMAGE "aio 9 flush\n",
                 "t.scn:2:5: '9' is no name; expected at most 31 letters, digits, _ and -, a letter first");
    expect_error(IMAGE "aio a truncate 2M\n",
                 "t.scn:2:7: unknown request behind aio 'truncate'; expected write, read, flush, zero or discard");
}

/* ---- what is refused ---- */

static void test_words(void **state)
{
    (void)state;
    expect_error(IMAGE "wriet 0 512\n", "t.scn:2:1: unknown word 'wriet'; did you mean 'write'?");
    expect_error(IMAGE "  \tFLUSH\n", "t.scn:2:4: unknown word 'FLUSH'; did you mean 'flush'?");
    expect_error("image size=1M clutser=4K\n",
                 "t.scn:1:15: unknown option of image 'clutser='; did you mean 'cluster='?");
    expect_error(IMAGE "backing 1M\n", "t.scn:2:9: unknown option of backing '1M'; expected size=, fill= or none");
    expect_error(IMAGE "backing fill=zeros\n", "t.scn:2:14: unknown fill 'zeros'; did you mean 'zero'?");
    expect_error(IMAGE "prepare flush\n",
                 "t.scn:2:9: unknown request behind prepare 'flush'; expected write, zero, discard or truncate");
    expect_error(IMAGE "inject l2_updat EIO once\n", "t.scn:2:8: unknown event 'l2_updat'; did you mean 'l2_update'?");
    expect_error(IMAGE "inject l2_update EOI\n", "t.scn:2:18: unknown error 'EOI'; did you mean 'EIO'?");
    expect_error(IMAGE "inject l2_update EIO twice\n",
                 "t.scn:2:22: unknown option of inject 'twice'; expected once, always or after=");
    expect_error(IMAGE "open rx\n", "t.scn:2:6: unknown mode 'rx'; did you mean 'rw'?");
    expect_error(IMAGE "close\nopen ro\nreopen check\n", "t.scn:4:8: unknown mode 'check'; expected rw or ro");
    expect_error(IMAGE "rebase other\n", "t.scn:2:8: unknown backing file 'other'; expected none");
    expect_error(IMAGE "expect design=cowflush safe\n",
                 "t.scn:2:15: unknown design 'cowflush'; did you mean 'cow-flush'?");
    expect_error(IMAGE "expect disk=sdd safe\n", "t.scn:2:13: unknown disk 'sdd'; did you mean 'ssd'?");
    expect_error(IMAGE "expect design=v2 unsaef\n", "t.scn:2:18: unknown verdict 'unsaef'; did you mean 'unsafe'?");
    expect_error(IMAGE "expect unsafe lost-cwo\n", "t.scn:2:15: unknown class 'lost-cwo'; did you mean 'lost-cow'?");
    expect_error(IMAGE "expect safe lost-cow\n",
                 "t.scn:2:13: unexpected 'lost-cow'; expected the end of the line (expect [design=NAME] "
                 "[FIELD=VALUE...] [disk=NAME] safe, or ... unsafe [CLASS...])");
    expect_error(IMAGE "expect data_fulsh=never safe\n",
                 "t.scn:2:8: unknown field of a design 'data_fulsh'; did you mean 'data_flush'?");
    expect_error(IMAGE "expect data_flush=never|cwo safe\n",
                 "t.scn:2:25: unknown value of data_flush 'cwo'; did you mean 'cow'?");
    expect_error(IMAGE "expect clear_on=close|tmier safe\n",
                 "t.scn:2:23: unknown value of clear_on 'tmier'; did you mean 'timer'?");
    expect_error(IMAGE "expect tail=round-up| safe\n",
                 "t.scn:2:22: unknown value of tail ''; expected round-down, truncate or round-up");
    expect_error(IMAGE "expect design=v2|cowflush safe\n",
                 "t.scn:2:18: unknown design 'cowflush'; did you mean 'cow-flush'?");
    expect_error(IMAGE "expect disk=ssd|sdd safe\n", "t.scn:2:17: unknown disk 'sdd'; did you mean 'ssd'?");
    expect_error(IMAGE "expect lock= safe\n", "t.scn:2:13: no value after '='; expected one or more, separated by |");
    expect_error(IMAGE "ledger\n", "t.scn:2:7: ledger of which claims? expected their numbers, such as A7 A10");
    expect_error(IMAGE "ledger A7 7\n", "t.scn:2:11: '7' is no claim; expected a letter and a number, such as A7");
    expect_error(IMAGE "ledger A100\n", "t.scn:2:8: 'A100' is no claim; expected a letter and a number, such as A7");
    expect_error(IMAGE "ledger A7 A7\n", "t.scn:2:11: A7 is given twice; expected it once");
    expect_error(IMAGE "schedules every\n",
                 "t.scn:2:11: 'every' is no number of schedules; expected 1 or more, or all");
    expect_error(IMAGE "schedules 0\n", "t.scn:2:11: '0' is no number of schedules; expected 1 or more, or all");
    expect_error(IMAGE "open rw as=cowflush\n", "t.scn:2:12: unknown design 'cowflush'; did you mean 'cow-flush'?");
    expect_error(IMAGE "open rw as=v2,lokc=none\n",
                 "t.scn:2:12: a design has no field 'lokc'; `qedcrash designs --fields' lists them");
    expect_error(IMAGE "open rw v2\n", "t.scn:2:9: unknown option of open 'v2'; expected as=");
    expect_error(IMAGE "flush now\n", "t.scn:2:7: unexpected 'now'; expected the end of the line (flush)");
    expect_error(IMAGE "write 512\n", "t.scn:2:10: something is missing after '512'; expected: write OFFSET LENGTH");
}

static void test_numbers(void **state)
{
    (void)state;
    expect_error(IMAGE "write 4K5 512\n",
                 "t.scn:2:7: '4K5' is no size; expected an offset such as 512, 4K, 1M or 0x200");
    expect_error(IMAGE "write -1 512\n", "t.scn:2:7: '-1' is no size; expected an offset such as 512, 4K, 1M or 0x200");
    expect_error(IMAGE "write 100 512\n", "t.scn:2:7: offset 100 is no multiple of 512; expected whole sectors");
    expect_error(IMAGE "write 0 100\n", "t.scn:2:9: length 100 is no multiple of 512; expected whole sectors");
    expect_error(IMAGE "write 0 0\n", "t.scn:2:9: the range is empty; expected a length of at least 512");
    expect_error(IMAGE "write 1M 512\n", "t.scn:2:7: the range ends at 1049088, beyond the image's end at 1M");
    expect_error(IMAGE "write 0xfffffffffffffe00 1K\n",
                 "t.scn:2:7: the range ends at no number, beyond the image's end at 1M");
    expect_error(IMAGE "write 99999999999999999999 512\n",
                 "t.scn:2:7: '99999999999999999999' is no size; expected an offset such as 512, 4K, 1M or 0x200");
    expect_error("image size=4G cluster=4K table=2\nwrite 0 65M\n",
                 "t.scn:2:9: the request is too large; expected at most 64M at a time");
    expect_error(IMAGE "sleep 6\n",
                 "t.scn:2:7: '6' is no duration; expected a number with its unit: ns, us, ms, s or m");
    expect_error(IMAGE "sleep 0s\n", "t.scn:2:7: '0s' is out of range; expected more than nothing and at most a year");
    expect_error(IMAGE "inject l2_update EIO after=x\n",
                 "t.scn:2:28: 'x' is no count; expected after=N, the I/Os to let pass first");
    expect_error("image size=1M cluster=4K tail=4K\n", "t.scn:1:1: a tail is part of a cluster; expected less than 4K");
    expect_error("image size=1M tail=100\n",
                 "t.scn:1:20: tail size 100 is not valid; expected a multiple of 512, not 0");
    expect_error("image size=1M tail=1K tail=1K\n", "t.scn:1:23: tail= is given twice; expected it once");
    expect_error("image size=1M cluster=5000\n",
                 "t.scn:1:23: cluster size 5000 is not valid; expected a power of two from 4K to 64M");
    expect_error("image size=1M table=3\n",
                 "t.scn:1:21: table size '3' is not valid; expected 1, 2, 4, 8 or 16 clusters");
    expect_error("image size=8G cluster=4K table=2\n",
                 "t.scn:1:12: image size 8G is too large; this cluster and table size hold at most 4G");
    expect_error("image size=1000\n", "t.scn:1:12: image size 1000 is not valid; expected a multiple of 512, not 0");
    expect_error(IMAGE "backing size=1000\n",
                 "t.scn:2:14: the backing file's size is not valid; expected a multiple of "
                 "512, not 0 (or: backing none)");
    expect_error("image size=1T cluster=64K\nbacking size=1T\n",
                 "t.scn:2:1: a tagged backing file is held in memory; expected at most 256M (or fill=zero)");
}

/* A truncate moves the end for what follows it, in prepare too. */
static void test_growth(void **state)
{
    (void)state;
    scenario_free(parse_ok(IMAGE "prepare truncate 2M\nwrite 1M 512\ntruncate 3M\nwrite 2M 1M\ntruncate 3M\n"));
    expect_error(IMAGE "write 1M 512\ntruncate 2M\n",
                 "t.scn:2:7: the range ends at 1049088, beyond the image's end at 1M");
    expect_error(IMAGE "truncate 512K\n", "t.scn:2:10: an image can only grow; expected at least its present size, 1M");
    expect_error(IMAGE "truncate 5G\n", "t.scn:2:10: too large for this cluster and table size; expected at most 4G");
    expect_error(IMAGE "truncate 1000000001\n",
                 "t.scn:2:10: size 1000000001 is no multiple of 512; expected whole sectors");
}

static void test_places(void **state)
{
    (void)state;
    expect_error("",
                 "t.scn:1:1: the scenario has no image; expected image size=SIZE [cluster=SIZE] [table=N] [tail=SIZE]");
    expect_error("flush\n" IMAGE, "t.scn:1:1: 'flush' before any image; expected image size=SIZE first");
    expect_error(IMAGE IMAGE, "t.scn:2:1: image is given twice; expected it once");
    expect_error(IMAGE "backing none\nbacking none\n", "t.scn:3:1: backing is given twice; expected it once");
    expect_error(IMAGE "flush\nbacking size=1M\n",
                 "t.scn:3:1: backing comes too late; expected it before the first statement");
    expect_error("title a\ntitle b\n" IMAGE, "t.scn:2:1: title is given twice; expected it once");
    expect_error(IMAGE "flush\nprepare write 0 4K\n",
                 "t.scn:3:1: 'prepare' comes too late; expected it before all other statements");
    expect_error(IMAGE "close\nwrite 0 512\n", "t.scn:3:1: 'write' while the image is closed; expected open rw first");
    expect_error(IMAGE "close\naio a flush\n", "t.scn:3:1: 'flush' while the image is closed; expected open rw first");
    expect_error(IMAGE "flush\nopen rw\n",
                 "t.scn:3:1: 'open' while the image is open; expected close or kill first, or reopen");
    expect_error(IMAGE "crash\nkill\n",
                 "t.scn:3:1: 'kill' after crash; expected it before: a second life has no such statement");
    expect_error(IMAGE "expect design=v2 design=v2 safe\n", "t.scn:2:18: design= is given twice; expected it once");
    expect_error(IMAGE "expect lock=none lock=gate safe\n", "t.scn:2:18: lock= is given twice; expected it once");
    expect_error(IMAGE "ledger A1\nledger A2\n", "t.scn:3:1: ledger is given twice; expected it once");
    expect_error(IMAGE "schedules 2\nschedules all\n", "t.scn:3:1: schedules is given twice; expected it once");
    /* A second life starts with the image open, or opens it itself. */
    scenario_free(parse_ok(IMAGE "close\ncrash\nwrite 0 512\nclose\nopen ro\nread 0 512\n"));
    scenario_free(parse_ok(IMAGE "crash\nopen rw\nwrite 0 512\n"));
}

static void test_no_text(void **state)
{
    static const char nul[] = IMAGE "flush\0\n";
    char line[1200];
    struct scenario *s;
    struct scn_error err;
    (void)state;

    assert_int_equal(scenario_parse("t.scn", nul, sizeof(nul) - 1, &s, &err), -EINVAL);
    assert_string_equal(err.text, "t.scn:2:6: byte 0x00 is no text; expected a scenario in plain UTF-8");
    expect_error("\x7f"
                 "ELF\x02\x01",
                 "t.scn:1:1: byte 0x7f is no text; expected a scenario in plain UTF-8");
    expect_error(IMAGE "# \xff\n", "t.scn:2:3: byte 0xff is no text; expected a scenario in plain UTF-8");
    expect_error(IMAGE "# \xed", "t.scn:2:3: byte 0xed is no text; expected a scenario in plain UTF-8");
    expect_error("a\rb\n", "t.scn:1:2: byte 0x0d is no text; expected a scenario in plain UTF-8");
    memset(line, 'x', sizeof(line));
    line[sizeof(line) - 1] = '\0';
    expect_error(line, "t.scn:1:1001: the line is too long; expected at most 1000 characters");
    line[900] = '\0';
    expect_error(line, "t.scn:1:1: unknown word 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...'; expected title, image, "
                       "backing, ledger, schedules, prepare, aio, write, read, flush, zero, discard, truncate, wait, "
                       "sleep, cancel, inject, rebase, close, ...");
    for (size_t i = 0; i < 900; i += 2)
        line[i] = ' ';
    expect_error(line, "t.scn:1:130: too many words; expected at most 64 on a line");
}

/* A long path loses its head, never the sentence. */
static void test_long_path(void **state)
{
    char path[500];
    struct scenario *s;
    struct scn_error err;
    (void)state;

    memset(path, 'd', sizeof(path));
    strcpy(path + sizeof(path) - 7, "/t.scn");
    assert_int_equal(scenario_parse(path, "wriet\n", 6, &s, &err), -EINVAL);
    assert_non_null(strstr(err.text, "dd/t.scn:1:1: unknown word 'wriet'; did you mean 'write'?"));
}

/* ---- files ---- */

static char *write_temp(const char *text, size_t length)
{
    char *path = strdup("/tmp/qedcrash-scn-XXXXXX");
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, length), (ssize_t)length);
    close(fd);
    return path;
}

static void test_load(void **state)
{
    struct scenario *s;
    struct scn_error err;
    char *big = malloc((1 << 20) + 1), *path;
    (void)state;

    assert_int_equal(scenario_load("/nonexistent/x.scn", &s, &err), -ENOENT);
    assert_string_equal(err.text, "/nonexistent/x.scn: No such file or directory");
    assert_int_equal(scenario_load("/tmp", &s, &err), -EISDIR);
    for (size_t i = 0; i < (1 << 20) + 1; i++)
        big[i] = i % 100 ? '#' : '\n';
    path = write_temp(big, (1 << 20) + 1);
    assert_int_equal(scenario_load(path, &s, &err), -EFBIG);
    assert_non_null(strstr(err.text, "too large for a scenario; expected at most 1 MiB"));
    unlink(path);
    free(path);
    memcpy(big, "\n" IMAGE, strlen("\n" IMAGE));
    path = write_temp(big, 1 << 20);
    assert_int_equal(scenario_load(path, &s, &err), 0);
    assert_string_equal(s->path, path);
    scenario_free(s);
    unlink(path);
    free(path);
    free(big);
}

static void test_library(void **state)
{
    DIR *dir = opendir("scenarios");
    struct dirent *entry;
    unsigned count = 0;
    (void)state;

    assert_non_null(dir);
    while ((entry = readdir(dir))) {
        size_t n = strlen(entry->d_name);
        char path[300];
        struct scenario *s;
        struct scn_error err;

        if (n < 5 || strcmp(entry->d_name + n - 4, ".scn") != 0)
            continue;
        snprintf(path, sizeof(path), "scenarios/%s", entry->d_name);
        if (scenario_load(path, &s, &err))
            fail_msg("%s", err.text);
        assert_string_not_equal(s->title, s->name);
        assert_round_trip(s);
        scenario_free(s);
        count++;
    }
    closedir(dir);
    assert_true(count >= 11);
}

/* Every example of the manual that has an image is a scenario. */
static void test_manual(void **state)
{
    FILE *f = fopen("docs/scenarios.md", "r");
    char line[300], block[4000] = "";
    unsigned count = 0;
    bool more = true;
    (void)state;

    assert_non_null(f);
    while (more) {
        more = fgets(line, sizeof(line), f);
        if (more && strncmp(line, "    ", 4) == 0) {
            strncat(block, line, sizeof(block) - strlen(block) - 1);
            continue;
        }
        if (strstr(block, "image   size=1M")) {
            scenario_free(parse_ok(block));
            count++;
        }
        block[0] = '\0';
    }
    fclose(f);
    assert_int_equal(count, 5);
}

static void test_expectation(void **state)
{
    struct scenario *s = parse_ok(IMAGE "expect safe\nexpect design=v2 unsafe\nexpect design=v2 disk=ordered safe\n"
                                        "expect disk=liar unsafe lost-flushed\n");
    const struct qed_design *v2 = qed_design_find("v2"), *careful = qed_design_find("careful");
    (void)state;

    assert_int_equal(scenario_expectation(s, careful, sim_disk_model_find("ssd"))->line, 2);
    assert_int_equal(scenario_expectation(s, v2, sim_disk_model_find("ssd"))->line, 3);
    assert_int_equal(scenario_expectation(s, v2, sim_disk_model_find("ordered"))->line, 4);
    assert_int_equal(scenario_expectation(s, v2, sim_disk_model_find("liar"))->line, 5);
    s->expect_count = 3;
    assert_null(scenario_expectation(s, v2, sim_disk_model_find("liar")));
    scenario_free(s);
}

static unsigned line_for(const struct scenario *s, const char *design, const char *disk)
{
    struct qed_design d;
    const struct scn_expect *e;

    assert_int_equal(qed_design_parse(design, &d, NULL), 0);
    e = scenario_expectation(s, &d, sim_disk_model_find(disk));
    return e ? e->line : 0;
}

/* What a design does decides, whatever it is called. */
static void test_expectation_by_field(void **state)
{
    struct scenario *s = parse_ok(IMAGE "expect safe\nexpect data_flush=never|cow need_check=off unsafe\n"
                                        "expect clear_on=timer disk=ssd|own-length unsafe corrupt\n"
                                        "expect clear_on=never disk=ordered unsafe\n"
                                        "expect design=v2|upstream disk=hostdev unsafe disclosure\n");
    (void)state;

    assert_int_equal(line_for(s, "careful", "ssd"), 2);
    assert_int_equal(line_for(s, "careful,data_flush=never", "ssd"), 2);
    assert_int_equal(line_for(s, "careful,data_flush=never,need_check=off", "ssd"), 3);
    assert_int_equal(line_for(s, "careful,data_flush=reuse,need_check=off", "ssd"), 2);
    assert_int_equal(line_for(s, "upstream", "ssd"), 4);
    assert_int_equal(line_for(s, "careful,clear_on=close+timer", "own-length"), 4);
    assert_int_equal(line_for(s, "careful,clear_on=close+timer", "ordered"), 2);
    assert_int_equal(line_for(s, "careful,clear_on=never", "ordered"), 5);
    assert_int_equal(line_for(s, "v2", "hostdev"), 6);
    assert_int_equal(line_for(s, "upstream", "hostdev"), 6);
    /* A changed v2 is not v2 any more, even where the change is none. */
    assert_int_equal(line_for(s, "v2,l1_flush=off", "hostdev"), 3);
    assert_int_equal(line_for(s, "v2", "liar"), 0);
    assert_round_trip(s);
    scenario_free(s);
}

/* A set of words: one of them is enough, joined by + all of them are. */
static void test_expectation_of_a_set(void **state)
{
    struct scenario *s = parse_ok(IMAGE "expect clear_on=close+timer|guest-flush|never safe\n");
    char *text = print_to_string(s);
    (void)state;

    assert_non_null(strstr(text, "expect clear_on=never|guest-flush|close+timer safe\n"));
    free(text);
    assert_int_equal(line_for(s, "careful,clear_on=close", "ssd"), 0);
    assert_int_equal(line_for(s, "careful,clear_on=timer", "ssd"), 0);
    assert_int_equal(line_for(s, "careful,clear_on=never", "ssd"), 2);
    assert_int_equal(line_for(s, "careful,clear_on=close+l1-update+timer", "ssd"), 2);
    assert_int_equal(line_for(s, "careful,clear_on=guest-flush", "ssd"), 2);
    assert_round_trip(s);
    scenario_free(s);
}

/* What shrink writes down: this design, and none that differs where it matters. */
static void test_expect_only(void **state)
{
    struct scenario *s = parse_ok(IMAGE "expect unsafe corrupt\n");
    struct qed_design d;
    (void)state;

    scn_expect_only(&s->expects[0], qed_design_find("v2"), sim_disk_model_find("ssd"));
    assert_int_equal(line_for(s, "v2", "ssd"), 2);
    assert_int_equal(line_for(s, "v2", "ordered"), 0);
    assert_int_equal(line_for(s, "cow-flush", "ssd"), 0);
    assert_round_trip(s);
    assert_int_equal(qed_design_parse("upstream,l1_flush=off", &d, NULL), 0);
    scn_expect_only(&s->expects[0], &d, sim_disk_model_find("ssd"));
    assert_int_equal(line_for(s, "upstream,l1_flush=off", "ssd"), 2);
    assert_int_equal(line_for(s, "upstream", "ssd"), 0);
    assert_int_equal(line_for(s, "upstream,l1_flush=off,reuse=at-once", "ssd"), 0);
    assert_round_trip(s);
    scenario_free(s);
}

static void test_header(void **state)
{
    struct scenario *s = parse_ok(IMAGE "ledger A7 A10 A3b B12\nschedules all\n");
    (void)state;

    assert_int_equal(s->ledger_count, 4);
    assert_string_equal(s->ledger[2], "A3b");
    assert_true(s->all_schedules);
    assert_round_trip(s);
    scenario_free(s);
    s = parse_ok(IMAGE "schedules 20\n");
    assert_false(s->all_schedules);
    assert_int_equal(s->schedules, 20);
    assert_round_trip(s);
    scenario_free(s);
}

static void test_program(void **state)
{
    struct scenario *s = parse_ok(IMAGE "open rw as=v2\nclose\nopen check as=upstream,reuse=at-once,lock=none\n"
                                        "close\nopen rw\ncrash\nopen ro as=careful\n");
    (void)state;

    assert_string_equal(s->stmts[0].program, "v2");
    assert_string_equal(s->stmts[2].program, "upstream,reuse=at-once,lock=none");
    assert_string_equal(s->stmts[4].program, "");
    assert_string_equal(s->stmts[6].text, "open ro as=careful");
    assert_round_trip(s);
    scenario_free(s);
}

/* ---- properties ---- */

static void test_random_round_trip(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 2000; seed++) {
        char *text = scn_random_text(seed);
        struct scenario *s = parse_ok(text);

        assert_round_trip(s);
        scenario_free(s);
        free(text);
    }
}

/* Whatever is done to a text, the parser accepts it or says one sentence with a place; what it accepts round-trips. */
static void test_mutations(void **state)
{
    static const char bytes[] = "\n\r\t #=019KMx-\xff\xc3\x80wait a";
    uint64_t rng = 7;
    (void)state;

    for (int round = 0; round < 20000; round++) {
        char text[sizeof(contract)];
        size_t length = sizeof(contract) - 1;
        struct scenario *s;
        struct scn_error err = {""};

        memcpy(text, contract, sizeof(contract));
        for (uint64_t n = 1 + scn_random_below(&rng, 3); n > 0; n--) {
            size_t at = scn_random_below(&rng, length - 8);

            if (scn_random_below(&rng, 2)) {
                text[at] = bytes[scn_random_below(&rng, sizeof(bytes))];
            } else {
                memmove(text + at, text + at + 4, length - at - 4);
                length -= 4;
            }
        }
        if (scenario_parse("t.scn", text, length, &s, &err) == 0) {
            assert_round_trip(s);
            scenario_free(s);
        } else {
            assert_int_equal(strncmp(err.text, "t.scn:", 6), 0);
            assert_true(strlen(err.text) > 20);
        }
    }
}

/* ---- words ---- */

static void test_sizes(void **state)
{
    static const uint64_t sizes[] = {0,       1,          512,        1023,       1024,      4608,
                                     1 << 20, 3ull << 30, 1ull << 40, 5ull << 50, UINT64_MAX};
    uint64_t bytes;
    char buf[24];
    (void)state;

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        scn_format_size(sizes[i], buf, sizeof(buf));
        assert_true(scn_parse_size(buf, strlen(buf), &bytes));
        assert_int_equal(bytes, sizes[i]);
    }
    assert_string_equal(scn_format_size(4608, buf, sizeof(buf)), "4608");
    assert_string_equal(scn_format_size(4096, buf, sizeof(buf)), "4K");
    assert_false(scn_parse_size("", 0, &bytes));
    assert_false(scn_parse_size("K", 1, &bytes));
    assert_false(scn_parse_size("0x", 2, &bytes));
    assert_false(scn_parse_size("4KK", 3, &bytes));
    assert_false(scn_parse_size("1.5M", 4, &bytes));
    assert_false(scn_parse_size("99999999T", 9, &bytes));
    assert_true(scn_parse_size("4K and more", 2, &bytes));
}

static void test_nearest(void **state)
{
    static const char *const words[] = {"write", "read", "flush", NULL};
    (void)state;

    assert_string_equal(scn_nearest_word("wirte", words), "write");
    assert_string_equal(scn_nearest_word("flsh", words), "flush");
    assert_null(scn_nearest_word("", words));
    assert_null(scn_nearest_word("truncate", words));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_contract),
        cmocka_unit_test(test_defaults_and_spellings),
        cmocka_unit_test(test_tail),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_growth),
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_no_text),
        cmocka_unit_test(test_long_path),
        cmocka_unit_test(test_load),
        cmocka_unit_test(test_library),
        cmocka_unit_test(test_manual),
        cmocka_unit_test(test_expectation),
        cmocka_unit_test(test_expectation_by_field),
        cmocka_unit_test(test_expectation_of_a_set),
        cmocka_unit_test(test_expect_only),
        cmocka_unit_test(test_header),
        cmocka_unit_test(test_program),
        cmocka_unit_test(test_random_round_trip),
        cmocka_unit_test(test_mutations),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_nearest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
