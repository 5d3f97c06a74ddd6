/* log_bytes.h: a few bytes as a recording: base image, write log, and what the guest did.
 *
 *     | flags | image: size | log: size, size >> 8 | image ... | log ... | guest.jsonl ... |
 *
 *     the image     as image_bytes.h has it
 *     the log       flag LOG_RAW: as it is; else a super block's choices and records of 5 bytes, an entry each
 *     guest.jsonl   text
 */
#ifndef TESTS_FUZZ_LOG_BYTES_H
#define TESTS_FUZZ_LOG_BYTES_H

#include <stddef.h>
#include <stdint.h>

enum log_flag {
    LOG_GUEST = 1,   /* there is a guest.jsonl */
    LOG_BACKING = 2, /* there is a backing.raw */
    LOG_DEVICE = 4,  /* it is judged as one of a device of fixed size */
    LOG_MANY = 8,    /* in the base image, L1 and its first table are full of what their first entries say */
    LOG_OTHER = 16,  /* the base image is of another format than QED (raw) */
    LOG_RAW = 128,
};
#define LOG_HEAD_BYTES 4u

/* Of a log that is not raw: | sector size | entries | patch at | patch | records ... */
enum log_at {
    LOG_AT_SECTOR,  /* & 7: 512 512 512 512 1K 4K, then bad ones */
    LOG_AT_ENTRIES, /* 0: as many as there are; else that many, 0xff: 2^64 - 1 */
    LOG_AT_PATCH,   /* byte of the super block */
    LOG_AT_BYTE,    /* what it becomes; 0: nothing is changed */
    LOG_CHOICES
};
#define LOG_RECORD_BYTES 5u
/* A record: | flags | sector | sector >> 8 | sectors | fill |. Of the flags 1, 2, 4, 8, 16 are the log's; and: */
#define LOG_WHAT_TABLE 32u  /* the data are table entries, the first naming cluster `fill` */
#define LOG_WHAT_FAR   64u  /* the sector lies far off */
#define LOG_WHAT_ODD   128u /* an unknown flag; or with FAR, a length beyond the file */

#endif
