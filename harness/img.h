/* img.h: what the `img` verbs share. One verb is one file: img_create.c, img_info.c, img_check.c, img_map.c, img_io.c,
 * img_convert.c. Each gets its arguments parsed, prints its result on stdout, and says on stderr, in one line, what is
 * wrong:
 *
 *   qedcrash: img check: disk.qed: <what is wrong; what was expected; what to do>
 *
 *   cmd_img ──img_parse──▶ struct img_args ──verb->run──▶ exit code
 *                                               └─ img_open: file, backing chain, engine
 */
#ifndef HARNESS_IMG_H
#define HARNESS_IMG_H

#include <argp.h>
#include <stdio.h>

#include "engine/qed.h"
#include "simdisk/file_disk.h"

struct img_args;

struct img_verb {
    const char *name; /* "check" */
    int (*run)(const struct img_args *args);
    const struct argp_option *options;
    const char *operands;        /* "FILE [SIZE]" */
    unsigned min_operands;       /* including FILE */
    unsigned max_operands;       /* 1 or 2 */
    const char *what;            /* for --help: what it does and how it exits */
    const char *const *examples; /* three, NULL-terminated */
};

extern const struct img_verb img_create_verb, img_info_verb, img_check_verb, img_map_verb, img_io_verb,
    img_convert_verb;

enum img_backing_format { IMG_FORMAT_PROBE, IMG_FORMAT_RAW, IMG_FORMAT_QED };

/* One verb's command line. */
struct img_args {
    const struct img_verb *verb;
    const char *file;
    const char *operand; /* the second one: create's SIZE, convert's OUT; or NULL */
    const struct qed_design *design;
    uint32_t cluster_bytes, table_clusters; /* 0: default */
    const char *backing;
    enum img_backing_format backing_format;
    bool json, repair, force, read_only, quiet;
    const char **commands; /* -c, in order */
    size_t command_count;
    unsigned operand_count;
    bool help, refused; /* while parsing */
};

/* Keys of options without a short letter. */
enum { IMG_KEY_JSON = 256, IMG_KEY_DESIGN, IMG_KEY_CLUSTER, IMG_KEY_TABLE, IMG_KEY_BACKING_FORMAT };

#define IMG_OPTION_HELP                                                                                                \
    {                                                                                                                  \
        "help", 'h', NULL, 0, "this text", -1                                                                          \
    }
#define IMG_OPTION_JSON                                                                                                \
    {                                                                                                                  \
        "json", IMG_KEY_JSON, NULL, 0, "one JSON object on stdout", 0                                                  \
    }
#define IMG_OPTION_DESIGN                                                                                              \
    {                                                                                                                  \
        "design", IMG_KEY_DESIGN, "NAME", 0, "the engine's ordering policy (default: careful)", 0                      \
    }
#define IMG_OPTION_FORCE                                                                                               \
    {                                                                                                                  \
        "force", 'f', NULL, 0, "overwrite a file that holds something", 0                                              \
    }

/* Fills *args from argv (argv[0] is skipped). Returns -1 to go on, or the exit code: --help was printed, or an error. */
int img_parse(const struct img_verb *verb, int argc, char **argv, struct img_args *args);
void img_args_free(struct img_args *args);

/* ---- img_say.c ---- */

/* The one line on stderr. Control characters, which hostile images may hold, become '?'. */
void img_error(const struct img_args *args, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* What it means that a file could not be opened, and what to do. */
const char *img_open_words(int error);
/* EXIT_USAGE for what is the input's fault, EXIT_INTERNAL for what is not. */
int img_exit_code(int error);

/* ---- img_chain.c ---- */

/* Opens backing files by name, relative to the directory of the image that names them, as QEMU does. A file already in
 * the chain (same device and inode) is refused with -ELOOP before it is locked or read. */
struct img_host {
    struct qed_backing_host host; /* first */
    struct img_link {
        struct file_disk_id id;
        struct blockdev *dev; /* the parent of what is opened next; NULL: none yet */
    } * links;
    size_t link_count, link_cap;
    char *path; /* of the newest link: relative names start from its directory */
};

/* A chain that starts with the image at `path`; dev NULL: not open (it may not even exist). */
void img_host_init(struct img_host *host, const char *path, struct blockdev *dev);
void img_host_free(struct img_host *host);
/* Is the file at `path` in the chain? */
bool img_host_has(const struct img_host *host, const char *path);
/* Opens the next file of the chain. raw: its content is not looked at; else one in a format we do not know is refused. */
int img_host_open_next(struct img_host *host, const char *name, bool raw, struct blockdev **dev, struct qed_error *err);

/* How many bytes the guest sees of the device just opened; its own chain must open too. *raw false: its content decides,
 * and *raw becomes true if it is no QED image, unless must_be_qed: then that is an error. */
int img_host_measure(struct img_host *host, struct blockdev *dev, bool must_be_qed, bool *raw, uint64_t *bytes,
                     struct qed_error *err);

enum img_open_how {
    IMG_READ_ONLY = 1,
    IMG_CHECK_MODE = 2, /* a marked image is not repaired at open */
    IMG_NO_BACKING = 4,
};

/* An open image. */
struct img_image {
    struct img_host host;
    struct blockdev *dev;
    struct qed *q; /* NULL: not open */
};

/* 0, or -errno after one line on stderr. how: enum img_open_how, or-ed. */
int img_open(const struct img_args *args, unsigned how, struct img_image *image);
/* The device alone, for a caller that opens the engine later; img_open_engine() completes it. */
int img_open_file(const struct img_args *args, bool read_only, struct img_image *image);
int img_open_engine(const struct img_args *args, unsigned how, struct img_image *image);
/* 0, or -errno after one line on stderr. Fine on an image that did not open. */
int img_close(const struct img_args *args, struct img_image *image);

/* Reads from a device that completes inline. */
int img_dev_read(struct blockdev *dev, uint64_t offset, void *buf, size_t length);

/* ---- img_request.c: guest requests that wait, of any byte range ---- */

int img_guest_read(struct qed *q, uint64_t offset, void *buf, size_t length);
int img_guest_fill(struct qed *q, uint64_t offset, uint64_t length, uint8_t pattern);
int img_guest_zero(struct qed *q, uint64_t offset, uint64_t length);
int img_guest_discard(struct qed *q, uint64_t offset, uint64_t length);
int img_guest_flush(struct qed *q);

/* ---- img_target.c: a file to be written ---- */

struct img_target {
    const char *path;
    struct blockdev *dev;
    bool made; /* by us: goes again if the work fails */
};

/* Opens `path` for writing, making it if need be; refuses (-EEXIST) one that holds something unless args->force. An
 * existing file is not emptied. 0, or -errno after one line on stderr. */
int img_target_open(const struct img_args *args, const char *path, struct img_target *target);
/* keep false: a file that was made is removed again. */
void img_target_close(struct img_target *target, bool keep);

/* ---- img_io_parse.c ---- */

enum img_io_op { IMG_IO_WRITE, IMG_IO_ZERO, IMG_IO_READ, IMG_IO_FLUSH, IMG_IO_DISCARD, IMG_IO_TRUNCATE, IMG_IO_LENGTH };

struct img_io_command {
    enum img_io_op op;
    const char *text; /* as given */
    uint64_t offset, length;
    bool has_pattern, dump;
    uint8_t pattern;
};

/* All of args->commands, or an exit code after one line on stderr. *commands is the caller's. */
int img_io_parse(const struct img_args *args, struct img_io_command **commands);

#endif
