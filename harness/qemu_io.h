/* qemu_io.h: the installed QEMU's programs, from here.
 *
 *   qemu_program()   qemu-img, started, heard to its end
 *   qemu_io_*        one qemu-io that is kept: a command in, its answer out, as often as wanted
 *
 *                        "read -v 0 512\n" ──▶ qemu-io ──▶ hex dump, "qemu-io> " (the prompt ends an answer)
 *
 * Several threads may use this at the same time, each with a qemu-io of its own.
 */
#ifndef HARNESS_QEMU_IO_H
#define HARNESS_QEMU_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Is there an executable file of that name in $PATH? */
bool qemu_have(const char *program);

/* Runs it in dir (NULL: the current directory), stdin empty, and takes what it says on stdout and stderr (the first size-1 bytes).
 * 0 and *status as of waitpid(); -ETIMEDOUT after a minute, when it is killed; or -errno. */
int qemu_program(const char *dir, char *const argv[], char *out, size_t size, int *status);

struct qemu_io {
    pid_t child; /* 0: none */
    int to, from;
    char *answer; /* to the last command, without the prompt */
    size_t size, cap;
};

/* Starts one, in dir (NULL: the current directory); argv NULL: without an image. 0 or -errno; -EPIPE: it died before it
 * asked for a command (answer: what it said). Before the first start *io is all zero. */
int qemu_io_start(struct qemu_io *io, const char *dir, char *const argv[]);
/* 0; -EPIPE: it died (answer: its last words); -ETIMEDOUT: it came to no end. Then it is gone. */
int qemu_io_ask(struct qemu_io *io, const char *command);
/* Kills it. */
void qemu_io_stop(struct qemu_io *io);
/* Ends its input, so that it closes its image and goes. */
void qemu_io_end(struct qemu_io *io);

#endif
