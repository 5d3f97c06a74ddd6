/* test_engine_kit.h: an image on a test device, and a guest that reads and writes constant bytes.
 *
 * kit_begin, kit_create, kit_open, guest calls, kit_end. The synchronous guest calls turn the loop; the kit_start_*
 * calls return an operation to look at later. kit_log() checks what the engine wrote since the last look.
 */
#ifndef TEST_ENGINE_KIT_H
#define TEST_ENGINE_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>

#include "engine/qed.h"
#include "tests/unit/test_engine_dev.h"

#define KIT_FILES_MAX 4

/* Names to devices; each open clones. Unknown names: -ENOENT. */
struct kit_host {
    struct qed_backing_host host; /* first member */
    struct test_world *world;
    struct {
        const char *name;
        struct test_dev *dev;
        int error;
    } files[KIT_FILES_MAX];
    size_t count;
    unsigned opens;
};

struct kit_op {
    struct kit *kit;
    bool done;
    int ret;
    unsigned finished_as; /* 1: the first operation of this kit to finish */
    struct qed_req *req;
    uint8_t *buf;
    size_t length;
    struct kit_op *next;
};

struct kit {
    struct test_world *world;
    struct test_dev *file;
    struct qed_design design; /* change it before kit_open */
    struct kit_host host;
    struct qed_open_options options;
    struct qed *q;
    struct qed_error err;
    struct kit_op *ops;
    unsigned finished;
};

void kit_begin(struct kit *k, const char *design);
/* Closes the image if open; nothing may be pending, no buffer may have changed in flight. */
void kit_end(struct kit *k);
/* An empty image; backing NULL: none, else its name, raw. */
void kit_create(struct kit *k, uint64_t image_bytes, uint32_t cluster_bytes, uint32_t table_clusters,
                const char *backing);
/* A raw backing file of `length` bytes of `byte`. */
struct test_dev *kit_backing(struct kit *k, const char *name, uint64_t length, uint8_t byte);
int kit_try_open(struct kit *k);
void kit_open(struct kit *k);
void kit_open_read_only(struct kit *k);
void kit_close(struct kit *k);
void kit_reopen(struct kit *k);
/* The process dies. */
void kit_abandon(struct kit *k);

struct kit_op *kit_start_write(struct kit *k, uint64_t pos, size_t length, uint8_t byte);
struct kit_op *kit_start_read(struct kit *k, uint64_t pos, size_t length);
struct kit_op *kit_start_zero(struct kit *k, uint64_t pos, uint64_t length);
struct kit_op *kit_start_discard(struct kit *k, uint64_t pos, uint64_t length);
struct kit_op *kit_start_flush(struct kit *k);
int kit_wait(struct kit_op *op);

int kit_write(struct kit *k, uint64_t pos, size_t length, uint8_t byte);
int kit_read(struct kit *k, uint64_t pos, size_t length, uint8_t *into);
int kit_zero(struct kit *k, uint64_t pos, uint64_t length);
int kit_discard(struct kit *k, uint64_t pos, uint64_t length);
int kit_flush(struct kit *k);

/* The guest reads `byte` all over. */
#define kit_expect(k, pos, length, byte) kit_expect_at(k, pos, length, byte, __FILE__, __LINE__)
void kit_expect_at(struct kit *k, uint64_t pos, size_t length, uint8_t byte, const char *file, int line);
/* The engine's writes, flushes and resizes since the last look are exactly these. */
#define kit_log(k, expected) kit_log_at(k, expected, __FILE__, __LINE__)
void kit_log_at(struct kit *k, const char *expected, const char *file, int line);
void kit_log_clear(struct kit *k);

/* On disk. */
bool kit_marked(const struct kit *k);
/* A read-only check finds these. */
#define kit_check_is(k, corruptions, leaks) kit_check_is_at(k, corruptions, leaks, __FILE__, __LINE__)
void kit_check_is_at(struct kit *k, uint64_t corruptions, uint64_t leaks, const char *file, int line);

#define ok(call) assert_int_equal(call, 0)

#endif
