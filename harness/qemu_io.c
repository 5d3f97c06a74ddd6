/* qemu_io.c: see qemu_io.h. */
#include "harness/qemu_io.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "simdisk/xalloc.h"

#define PROMPT    "qemu-io> "
#define TIMEOUT_S 60

bool qemu_have(const char *program)
{
    const char *path = getenv("PATH");
    char *copy = xalloc_check(strdup(path ? path : "")), *save = NULL, full[PATH_MAX];
    bool found = false;
    for (char *dir = strtok_r(copy, ":", &save); dir && !found; dir = strtok_r(NULL, ":", &save)) {
        snprintf(full, sizeof(full), "%s/%s", dir, program);
        found = !access(full, X_OK);
    }
    free(copy);
    return found;
}

/* `in` and `out` become its stdin and, both, stdout and stderr. */
static int start(const char *dir, char *const argv[], int in, int out, pid_t *child)
{
    posix_spawn_file_actions_t actions;
    int ret = posix_spawn_file_actions_init(&actions);
    if (ret)
        return -ret;
    ret = dir ? posix_spawn_file_actions_addchdir_np(&actions, dir) : 0;
    ret = ret ? ret : posix_spawn_file_actions_adddup2(&actions, in, 0);
    ret = ret ? ret : posix_spawn_file_actions_adddup2(&actions, out, 1);
    ret = ret ? ret : posix_spawn_file_actions_adddup2(&actions, out, 2);
    ret = ret ? ret : posix_spawnp(child, argv[0], &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    return -ret;
}

static long now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Some bytes, 0 at the end, or -ETIMEDOUT. */
static ssize_t read_some(int fd, char *buf, size_t size, long until)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    for (;;) {
        long left = until - now_ms();
        int ready = left > 0 ? poll(&p, 1, (int)left) : 0;
        if (ready == 0)
            return -ETIMEDOUT;
        ssize_t n = ready < 0 ? -1 : read(fd, buf, size);
        if (n >= 0)
            return n;
        if (errno != EINTR)
            return -errno;
    }
}

static int wait_for(pid_t child)
{
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    return status;
}

int qemu_program(const char *dir, char *const argv[], char *out, size_t size, int *status)
{
    int pipes[2], null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    pid_t child = 0;
    if (null < 0 || pipe2(pipes, O_CLOEXEC)) {
        int ret = -errno;
        if (null >= 0)
            close(null);
        return ret;
    }
    int ret = start(dir, argv, null, pipes[1], &child);
    close(pipes[1]);
    close(null);
    long until = now_ms() + TIMEOUT_S * 1000L;
    size_t used = 0;
    ssize_t n = ret;
    char rest[512];
    while (!ret && (n = used + 1 < size ? read_some(pipes[0], out + used, size - 1 - used, until)
                                        : read_some(pipes[0], rest, sizeof(rest), until)) > 0)
        used += used + 1 < size ? (size_t)n : 0;
    out[used] = 0;
    close(pipes[0]);
    if (!ret && n < 0)
        kill(child, SIGKILL);
    if (!ret)
        *status = wait_for(child);
    return ret ? ret : (int)n;
}

/* Until the prompt. 1; 0 at the end of the stream; -ETIMEDOUT. */
static int read_answer(struct qemu_io *io)
{
    const size_t prompt = strlen(PROMPT);
    long until = now_ms() + TIMEOUT_S * 1000L;
    io->size = 0;
    for (;;) {
        if (io->cap - io->size < 4096) {
            io->cap = io->cap ? 2 * io->cap : 65536;
            io->answer = xalloc_check(realloc(io->answer, io->cap));
        }
        ssize_t n = read_some(io->from, io->answer + io->size, io->cap - io->size - 1, until);
        io->size += n > 0 ? (size_t)n : 0;
        io->answer[io->size] = 0;
        if (n <= 0)
            return (int)n;
        if (io->size >= prompt && !strcmp(io->answer + io->size - prompt, PROMPT)) {
            io->size -= prompt;
            io->answer[io->size] = 0;
            return 1;
        }
    }
}

/* The answer stays. Killed first: at the end of its input it would close the image, and the log would have that. */
static void bury(struct qemu_io *io)
{
    kill(io->child, SIGKILL);
    wait_for(io->child);
    if (io->to >= 0)
        close(io->to);
    close(io->from);
    io->child = 0;
}

void qemu_io_stop(struct qemu_io *io)
{
    if (io->child)
        bury(io);
    free(io->answer);
    *io = (struct qemu_io){0};
}

void qemu_io_end(struct qemu_io *io)
{
    char rest[512];
    long until = now_ms() + TIMEOUT_S * 1000L;
    if (io->child) {
        close(io->to);
        while (read_some(io->from, rest, sizeof(rest), until) > 0)
            ;
        io->to = -1;
    }
    qemu_io_stop(io);
}

int qemu_io_start(struct qemu_io *io, const char *dir, char *const argv[])
{
    char *alone[] = {"qemu-io", NULL};
    int in[2], out[2];
    qemu_io_stop(io);
    if (pipe2(in, O_CLOEXEC))
        return -errno;
    if (pipe2(out, O_CLOEXEC)) {
        int ret = -errno;
        close(in[0]);
        close(in[1]);
        return ret;
    }
    int ret = start(dir, argv ? argv : alone, in[0], out[1], &io->child);
    close(in[0]);
    close(out[1]);
    io->to = in[1];
    io->from = out[0];
    if (ret) {
        io->child = 0;
        close(in[1]);
        close(out[0]);
        return ret;
    }
    if (read_answer(io) == 1)
        return 0;
    bury(io);
    return -EPIPE;
}

int qemu_io_ask(struct qemu_io *io, const char *command)
{
    size_t length = strlen(command), done = 0;
    while (done < length) {
        ssize_t n = write(io->to, command + done, length - done);
        if (n < 0 && errno != EINTR)
            break;
        done += n > 0 ? (size_t)n : 0;
    }
    int ret = read_answer(io);
    if (ret == 1)
        return 0;
    bury(io);
    return ret == -ETIMEDOUT ? ret : -EPIPE;
}
