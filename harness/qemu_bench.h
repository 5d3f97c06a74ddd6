/* qemu_bench.h: what the installed QEMU makes of an image, found out for many images at the same time.
 *
 *     image ─▶ qemu-img check                          before: as it lies there (a check does not act on a mark)
 *           ─▶ qemu-io open, read every place, close   the first life: QEMU repairs a marked image when it is opened
 *           ─▶ qemu-img check                          after
 *           ─▶ a copy each: open, write, close, check  second lives: beside alone; then over each place and beside it
 *           ─▶ a copy: qemu-img check -r all, read     only where the first check found something broken
 *
 * Everything is asked of every image, whatever the answers: what they mean is the judge's business, and depends on when
 * the power failed, which an image does not know. So a *look* belongs to an image's bytes, and equal images are looked at
 * once. The files lie in one scratch directory, which is gone when this process ends.
 */
#ifndef HARNESS_QEMU_BENCH_H
#define HARNESS_QEMU_BENCH_H

#include <limits.h>

#include "engine/blockdev.h"
#include "simdisk/pages.h"

#define QEMU_NO_SECTOR   UINT64_MAX
#define QEMU_OPTIONS_MAX (2 * PATH_MAX + 256)

/* A guest cluster that is read; and the sector of it that a second life writes over. */
struct qemu_place {
    uint64_t first, count, over;
    bool is_beside; /* it has the sector written beside: its life does not write that one */
};

struct qemu_questions {
    const char *format;              /* QEMU's driver */
    const struct sim_pages *backing; /* NULL: none */
    uint64_t backing_bytes;
    const struct qemu_place *places;
    size_t place_count;
    uint64_t beside;                                              /* sector, or QEMU_NO_SECTOR */
    void (*fresh)(void *opaque, uint64_t sector, uint8_t *bytes); /* what a second life writes there */
    void *opaque;
    bool lives;
    unsigned jobs;
    volatile const int *stop; /* may be NULL */
};

/* qemu-img check. */
struct qemu_check {
    int exit; /* as it said: 0 clean, 2 corruptions, 3 leaks only, else it failed; -1: not asked */
    uint64_t corruptions, leaks, errors;
    char words[160]; /* of a check that failed */
};

/* One read: NULL and why, or `count` sectors, each 512 bytes that live as long as the bench. */
struct qemu_reading {
    const uint8_t **sectors;
    char error[80];
};

struct qemu_life {
    char open_error[160], close_error[80]; /* of the open after the writes */
    bool wrote_over, wrote_beside;
    struct qemu_reading place, beside;
};

struct qemu_look {
    char died[160];       /* QEMU crashed or hung: how, and at which command; nothing behind that was asked */
    char open_error[160]; /* it did not open */
    uint64_t image_bytes; /* as the guest sees it */
    bool marked;          /* dirty, to QEMU: its next read-write open repairs it */
    bool rewritten;       /* opening and closing it changed the file */
    struct qemu_check before, after;
    struct qemu_reading *readings;  /* per place; of a place beyond the image's end: neither sectors nor error */
    struct qemu_check beside_check; /* the life that writes beside alone */
    char beside_open_error[160];
    struct qemu_life *lives;                /* per place */
    struct qemu_check repair, repaired;     /* check -r all, and a check behind it */
    struct qemu_reading *repaired_readings; /* NULL where nothing was to be repaired */
};

/* A directory for this process and those it forks; removed when it ends by exit(). NULL with errno. */
const char *qemu_scratch(void);
/* "" or one sentence: what of QEMU is missing. */
const char *qemu_missing(void);

struct qemu_bench;
/* NULL with a sentence. */
struct qemu_bench *qemu_bench_create(const struct qemu_questions *q, char *why, size_t why_size);
void qemu_bench_destroy(struct qemu_bench *b);

/* Takes up the image, unless it was looked at before or is waiting: it is looked at when enough others wait, or when
 * qemu_bench_work() or qemu_bench_look() is called. */
void qemu_bench_add(struct qemu_bench *b, struct blockdev *image);
void qemu_bench_work(struct qemu_bench *b);
/* NULL if that failed: see qemu_bench_error(). */
const struct qemu_look *qemu_bench_look(struct qemu_bench *b, struct blockdev *image);
/* "" or why there are no more looks: no room for files, no QEMU. Then everything else is idle. */
const char *qemu_bench_error(const struct qemu_bench *b);
uint64_t qemu_bench_images(const struct qemu_bench *b);
/* Writes the image to a file of its own. 0, or why in qemu_bench_error(). path of PATH_MAX bytes; options: QEMU's, for
 * --image-opts, of QEMU_OPTIONS_MAX bytes. */
int qemu_bench_file(struct qemu_bench *b, struct blockdev *image, char *path, char *options);
/* "00000200:  74 61 67 47 ..  tagG" of a qemu-io's answer: the bytes, at most `size`. How many. */
size_t qemu_take_dump(const char *text, uint8_t *bytes, size_t size);
/* Where in the file QEMU finds this guest sector once it has opened the image; QEMU_NO_SECTOR: nowhere. */
uint64_t qemu_bench_place(struct qemu_bench *b, struct blockdev *image, uint64_t sector);

#endif
