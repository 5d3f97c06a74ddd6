/* watched_disk.h: a disk in memory that stops the fuzzer when an engine does with it what it must never do.
 *
 * It completes inline, and aborts with a sentence on: a transfer of anything but whole sectors; a write where none is allowed,
 * far beyond the file's end, or of guest data into the header; more transfers than any bounded work needs (a hang).
 */
#ifndef TESTS_FUZZ_WATCHED_DISK_H
#define TESTS_FUZZ_WATCHED_DISK_H

#include "engine/blockdev.h"
#include "simdisk/pages.h"

struct watched_disk {
    struct blockdev blk; /* first */
    struct blk_loop loop;
    struct blk_timer *timer; /* armed ones */
    struct sim_pages *pages; /* somebody else's */
    uint64_t length_bytes;
    bool read_only;         /* from now on: any write, flush or resize aborts */
    uint64_t header_bytes;  /* guest data lies behind it */
    enum blk_event event;   /* announced last */
    unsigned writes, steps; /* steps: transfers of all kinds */
};

struct watched_kind {
    bool fixed;  /* of fixed size: no resize */
    bool sparse; /* tells where its holes are */
    bool timed;  /* has a loop, and so timers */
};

void watched_disk_init(struct watched_disk *d, struct sim_pages *pages, uint64_t length_bytes,
                       struct watched_kind kind);
/* Time passes: whatever timer is armed fires. */
void watched_disk_sleep(struct watched_disk *d);

/* Says the sentence and aborts. */
void fuzz_violation(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));

#endif
