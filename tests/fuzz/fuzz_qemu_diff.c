/* fuzz_qemu_diff.c: our check and `qemu-img check` on the same file must say the same: that it cannot be opened, or how many
 * corruptions and how many leaks there are.
 *
 * Where they may differ, with the reasons (none from looking at outputs):
 *
 *   tables of one cluster          the format allows them; QEMU's overflow test wants last > first, so it opens none
 *   a header of no clusters        the format has cluster 0 for the header; QEMU multiplies, gets 0 bytes, and opens it
 *   large clusters                 QEMU computes the largest image in 64 bits that wrap
 *   a length of part of a sector   QEMU rounds it up to a sector before it rounds it down to a cluster
 *   a backing file's name          QEMU opens what it says, wherever that is: not compared at all
 *   many clusters                  QEMU's bitmap counts a false leak per cluster_size - 1 clusters of file
 *
 * QEMU is a process per input, some 10 ms: this is no target for many executions. Without qemu-img it exits with 77, which
 * is a skipped test.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/qed.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/image_bytes.h"
#include "tests/fuzz/watched_disk.h"

extern char **environ;

static char path[64]; /* of the image's file; "" without QEMU */

enum outcome { OUTCOME_REFUSED, OUTCOME_CHECKED };

struct answer {
    enum outcome outcome;
    uint64_t corruptions, leaks;
    char text[2048]; /* what was said */
};

/* --- ours ---------------------------------------------------------------------------------------------------------- */

static struct answer ask_us(const struct image_bytes *image, struct qed_header *header)
{
    struct watched_disk disk;
    struct qed_open_options options = {.design = qed_design_find("upstream"), .read_only = true, .no_backing = true};
    struct qed_check_result check;
    struct answer a = {.outcome = OUTCOME_REFUSED};
    struct qed_error err = {""};
    struct qed *q;
    uint8_t bytes[QED_HEADER_BYTES];
    sim_pages_read(image->pages, 0, bytes, sizeof(bytes));
    qed_header_decode(bytes, header);
    watched_disk_init(&disk, image->pages, image->length_bytes, (struct watched_kind){.sparse = true});
    disk.read_only = true;
    if (!qed_open(&disk.blk, &options, &q, &err)) {
        if (qed_check(q, false, &check))
            fuzz_violation("check of a readable image failed");
        a = (struct answer){OUTCOME_CHECKED, check.corruptions, check.leaks, ""};
        qed_close(q);
    }
    snprintf(a.text, sizeof(a.text), "%s", err.text);
    return a;
}

/* --- QEMU ---------------------------------------------------------------------------------------------------------- */

static void write_file(const struct image_bytes *image)
{
    int fd = open(path, O_WRONLY | O_TRUNC | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, (off_t)image->length_bytes))
        fuzz_violation("%s: %s", path, strerror(errno));
    uint64_t end = image->length_bytes;
    for (uint64_t at = 0; (at = sim_pages_next_data(image->pages, at, end)) < end; at += SIM_PAGE_BYTES) {
        size_t bytes = end - at < SIM_PAGE_BYTES ? (size_t)(end - at) : SIM_PAGE_BYTES;
        if (pwrite(fd, sim_pages_at(image->pages, at / SIM_PAGE_BYTES), bytes, (off_t)at) != (ssize_t)bytes)
            fuzz_violation("%s: %s", path, strerror(errno));
    }
    close(fd);
}

/* Exit code and all that was printed. */
static int run_qemu(char *text, size_t size)
{
    char *argv[] = {"qemu-img", "check", "--output=json", "-f", "qed", path, NULL};
    posix_spawn_file_actions_t actions;
    int ends[2], status;
    size_t used = 0;
    ssize_t got;
    pid_t pid;
    if (pipe2(ends, O_CLOEXEC))
        fuzz_violation("pipe: %s", strerror(errno));
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
    posix_spawn_file_actions_adddup2(&actions, ends[1], 2);
    int ret = posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    if (ret)
        fuzz_violation("qemu-img: %s", strerror(ret));
    /* libFuzzer's clock sends signals. */
    while (used + 1 < size && (got = TEMP_FAILURE_RETRY(read(ends[0], text + used, size - 1 - used))) > 0)
        used += (size_t)got;
    text[used] = 0;
    close(ends[0]);
    if (TEMP_FAILURE_RETRY(waitpid(pid, &status, 0)) != pid || !WIFEXITED(status))
        fuzz_violation("qemu-img died: %s", text);
    return WEXITSTATUS(status);
}

/* A number of QEMU's JSON; 0 where it leaves it out. */
static uint64_t member(const char *json, const char *name)
{
    char key[40];
    snprintf(key, sizeof(key), "\"%s\": ", name);
    const char *at = strstr(json, key);
    return at ? strtoull(at + strlen(key), NULL, 10) : 0;
}

static struct answer ask_qemu(void)
{
    struct answer a = {.outcome = OUTCOME_CHECKED};
    int code = run_qemu(a.text, sizeof(a.text));
    a.corruptions = member(a.text, "corruptions");
    a.leaks = member(a.text, "leaks");
    if (code == 1 && !strstr(a.text, "\"filename\""))
        a.outcome = OUTCOME_REFUSED;
    else if (code != (a.corruptions ? 2 : a.leaks ? 3 : 0))
        fuzz_violation("qemu-img exits %d and says: %s", code, a.text);
    return a;
}

/* --- both ---------------------------------------------------------------------------------------------------------- */

/* May their answers differ? See above. */
static bool excused(const struct qed_header *h, const struct image_bytes *image)
{
    uint64_t clusters = h->cluster_size ? image->length_bytes / h->cluster_size : 0;
    bool named = h->features & QED_F_BACKING_FILE && h->backing_filename_size;
    return h->table_size == 1 || !h->header_size || h->cluster_size >= 4u << 20 || image->length_bytes % 512 || named ||
           clusters + 1 >= h->cluster_size;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    if (system("qemu-img create --help 2>/dev/null | grep -q '\\bqed\\b'") != 0) {
        fputs("qemu-img with the QED driver is not installed (Debian: qemu-utils)\n", stderr);
        exit(77);
    }
    snprintf(path, sizeof(path), "%s/qedcrash-fuzz-qemu.%d", access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm",
             (int)getpid());
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct image_bytes image = image_bytes_make(data, size);
    struct qed_header header;
    struct answer ours = ask_us(&image, &header);
    if (path[0] && !excused(&header, &image)) {
        write_file(&image);
        struct answer qemu = ask_qemu();
        unlink(path);
        if (ours.outcome != qemu.outcome || ours.corruptions != qemu.corruptions || ours.leaks != qemu.leaks)
            fuzz_violation("we: %s%" PRIu64 " corruptions, %" PRIu64 " leaks %s\nQEMU: %s%" PRIu64
                           " corruptions, %" PRIu64 " leaks\n%s",
                           ours.outcome == OUTCOME_REFUSED ? "refused; " : "", ours.corruptions, ours.leaks, ours.text,
                           qemu.outcome == OUTCOME_REFUSED ? "refused; " : "", qemu.corruptions, qemu.leaks, qemu.text);
    }
    sim_pages_destroy(image.pages);
    return 0;
}
