/* workers.c: see workers.h. A stream socket per worker.
 *
 * To a worker:   index, length, request.     From it: kind, length, bytes; a beat's bytes are its progress.
 */
#include "harness/workers.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { KIND_BEAT, KIND_RESULT };

#define HEAD_BYTES 16u
#define TICK_MS    1000
#define PAUSE_S    5.0 /* longer than a tick, and than the parent has to do at once */

struct worker {
    pid_t pid; /* 0: none */
    int fd;
    bool busy;
    size_t job;
    double last_sign; /* seconds */
    struct bytes in;
};

struct pool {
    const struct workers_options *options;
    struct worker *workers;
    struct pollfd *polls;
    unsigned busy;
    bool none_left; /* next() said so */
    bool waiting;   /* next() said: not before another one is done */
    struct bytes request;
    double looked; /* when last */
};

struct workers_self {
    int fd;
    time_t last;
};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

unsigned workers_default_count(void)
{
    cpu_set_t set;
    /* A set has room for 1024; where there are more, this process may use them all. */
    long count = sched_getaffinity(0, sizeof(set), &set) ? sysconf(_SC_NPROCESSORS_ONLN) : CPU_COUNT(&set);
    return count > 0 ? (unsigned)count : 1;
}

/* --- in the worker ------------------------------------------------------------------------------------------------- */

static bool send_all(int fd, const void *data, size_t size)
{
    const uint8_t *at = data;
    while (size) {
        ssize_t n = send(fd, at, size, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        at += n;
        size -= (size_t)n;
    }
    return true;
}

static bool receive_all(int fd, void *data, size_t size)
{
    uint8_t *at = data;
    while (size) {
        ssize_t n = recv(fd, at, size, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        at += n;
        size -= (size_t)n;
    }
    return true;
}

static bool send_frame(int fd, uint64_t first, const void *data, size_t size)
{
    struct bytes head = {0};
    bytes_put_u64(&head, first);
    bytes_put_u64(&head, size);
    bool sent = send_all(fd, head.data, head.size) && send_all(fd, data, size);
    bytes_free(&head);
    return sent;
}

void workers_beat(struct workers_self *self, uint64_t progress)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
    if (t.tv_sec == self->last)
        return;
    self->last = t.tv_sec;
    struct bytes b = {0};
    bytes_put_u64(&b, progress);
    if (!send_frame(self->fd, KIND_BEAT, b.data, b.size))
        _exit(0); /* nobody is there to take the result */
    bytes_free(&b);
}

/* The terminal's Ctrl-C and a scheduler's SIGTERM reach the whole group. It is for the parent to say what follows: a
 * worker that died of it would be taken for one that crashed. */
static void leave_signals_to_parent(pid_t parent)
{
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(0); /* it was gone before */
}

static _Noreturn void serve(const struct workers_options *o, int fd)
{
    struct workers_self self = {.fd = fd};
    uint8_t head[HEAD_BYTES];
    while (receive_all(fd, head, sizeof(head))) {
        struct bytes_reader r = {head, sizeof(head), false};
        size_t job = (size_t)bytes_take_u64(&r), size = (size_t)bytes_take_u64(&r);
        uint8_t *request = xmalloc(size);
        struct bytes result = {0};
        if (!receive_all(fd, request, size))
            break;
        o->job(o->opaque, &self, job, request, size, &result);
        free(request);
        if (!send_frame(fd, KIND_RESULT, result.data, result.size))
            break;
        bytes_free(&result);
    }
    _exit(0);
}

/* --- in the parent ------------------------------------------------------------------------------------------------- */

static int start_worker(struct pool *p, struct worker *w)
{
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds))
        return -errno;
    fflush(NULL); /* or both would print it */
    pid_t parent = getpid(), pid = fork();
    if (pid < 0) {
        int ret = -errno;
        close(fds[0]);
        close(fds[1]);
        return ret;
    }
    if (pid == 0) {
        leave_signals_to_parent(parent);
        close(fds[0]);
        for (unsigned i = 0; i < p->options->count; i++)
            if (p->workers[i].pid)
                close(p->workers[i].fd);
        serve(p->options, fds[1]);
    }
    close(fds[1]);
    w->pid = pid;
    w->fd = fds[0];
    w->in.size = 0;
    return 0;
}

/* Reaps a worker that has ended, or is ended here. */
static int end_worker(struct worker *w, bool killing)
{
    int status = 0;
    if (killing)
        kill(w->pid, SIGKILL);
    close(w->fd); /* one that waits for work ends by itself */
    while (waitpid(w->pid, &status, 0) < 0 && errno == EINTR)
        ;
    w->pid = 0;
    return status;
}

static void end_all(struct pool *p)
{
    for (unsigned i = 0; i < p->options->count; i++) {
        if (p->workers[i].pid)
            end_worker(&p->workers[i], p->workers[i].busy);
        bytes_free(&p->workers[i].in);
    }
}

static int finish_job(struct pool *p, struct worker *w, struct workers_result *result)
{
    w->busy = false;
    p->busy--;
    p->waiting = false;
    result->job = w->job;
    return p->options->done(p->options->opaque, result);
}

static int worker_died(struct pool *p, struct worker *w)
{
    struct workers_result result = {.end = WORKERS_DIED};
    int status = end_worker(w, false);
    if (!w->busy)
        return 0;
    if (WIFSIGNALED(status))
        snprintf(result.why, sizeof(result.why), "was killed by signal %d (%s)", WTERMSIG(status),
                 strsignal(WTERMSIG(status)));
    else
        snprintf(result.why, sizeof(result.why), "ended with exit status %d", WEXITSTATUS(status));
    return finish_job(p, w, &result);
}

static int worker_hung(struct pool *p, struct worker *w)
{
    struct workers_result result = {.end = WORKERS_HUNG};
    end_worker(w, true);
    snprintf(result.why, sizeof(result.why), "gave no sign of life for %u s and was killed", p->options->timeout_s);
    return finish_job(p, w, &result);
}

/* One frame, if it is there as a whole. */
static int take_frame(struct pool *p, struct worker *w, bool *taken)
{
    struct bytes_reader r = {w->in.data, w->in.size, false};
    uint64_t kind = bytes_take_u64(&r), size = bytes_take_u64(&r);
    const uint8_t *data = bytes_take(&r, size);
    int ret = 0;
    *taken = data != NULL;
    if (!data)
        return 0;
    if (kind == KIND_RESULT) {
        struct workers_result result = {.end = WORKERS_DONE, .data = data, .size = (size_t)size};
        ret = finish_job(p, w, &result);
    } else if (p->options->beat) {
        struct bytes_reader beat = {data, (size_t)size, false};
        p->options->beat(p->options->opaque, w->job, bytes_take_u64(&beat));
    }
    memmove(w->in.data, r.at, r.left);
    w->in.size = r.left;
    return ret;
}

static int hear(struct pool *p, struct worker *w)
{
    uint8_t buffer[65536];
    ssize_t n = recv(w->fd, buffer, sizeof(buffer), MSG_DONTWAIT);
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return 0;
    if (n <= 0)
        return worker_died(p, w);
    bytes_put(&w->in, buffer, (size_t)n);
    w->last_sign = now();
    bool taken = true;
    int ret = 0;
    while (!ret && taken)
        ret = take_frame(p, w, &taken);
    return ret;
}

/* An idle worker that was killed is replaced; one that dies later fails the job. */
static int give(struct pool *p, struct worker *w, size_t job)
{
    int ret = w->pid ? 0 : start_worker(p, w);
    if (!ret && !send_frame(w->fd, job, p->request.data, p->request.size)) {
        end_worker(w, true);
        ret = start_worker(p, w);
        if (!ret && !send_frame(w->fd, job, p->request.data, p->request.size))
            ret = -ECHILD;
    }
    if (ret)
        return ret;
    w->busy = true;
    w->job = job;
    w->last_sign = now();
    p->busy++;
    return 0;
}

static int hand_out(struct pool *p)
{
    int ret = 0;
    for (unsigned i = 0; i < p->options->count && !ret && !p->none_left && !p->waiting; i++) {
        size_t job = 0;
        if (p->workers[i].busy)
            continue;
        p->request.size = 0;
        switch (p->options->next(p->options->opaque, &job, &p->request)) {
        case WORKERS_JOB:
            ret = give(p, &p->workers[i], job);
            break;
        case WORKERS_WAIT:
            p->waiting = true;
            break;
        case WORKERS_NONE:
            p->none_left = true;
            break;
        }
    }
    return ret;
}

/* If the parent itself stood still, stopped by Ctrl-Z for one, nobody could be heard: that time does not count. */
static void forgive_pause(struct pool *p)
{
    double at = now(), pause = p->looked > 0 ? at - p->looked : 0;
    for (unsigned i = 0; i < p->options->count && pause > PAUSE_S; i++)
        p->workers[i].last_sign += pause;
    p->looked = at;
}

static int look_for_hung(struct pool *p)
{
    int ret = 0;
    forgive_pause(p);
    double limit = now() - p->options->timeout_s;
    for (unsigned i = 0; i < p->options->count && !ret && p->options->timeout_s; i++)
        if (p->workers[i].busy && p->workers[i].last_sign < limit)
            ret = worker_hung(p, &p->workers[i]);
    return ret;
}

static int listen_to_all(struct pool *p)
{
    int ret = 0;
    for (unsigned i = 0; i < p->options->count; i++)
        p->polls[i] = (struct pollfd){.fd = p->workers[i].pid ? p->workers[i].fd : -1, .events = POLLIN};
    if (poll(p->polls, p->options->count, TICK_MS) < 0)
        return errno == EINTR ? 0 : -errno;
    for (unsigned i = 0; i < p->options->count && !ret; i++)
        if (p->polls[i].revents)
            ret = hear(p, &p->workers[i]);
    return ret ? ret : look_for_hung(p);
}

int workers_run(const struct workers_options *options)
{
    struct pool p = {.options = options};
    p.workers = xcalloc(options->count, sizeof(*p.workers));
    p.polls = xcalloc(options->count, sizeof(*p.polls));
    int ret = 0;
    while (!ret) {
        if (options->stop && *options->stop)
            ret = -EINTR;
        else
            ret = hand_out(&p);
        if (ret || !p.busy)
            break; /* next() may not wait for nothing: what it waits for is done */
        ret = listen_to_all(&p);
        if (!ret && options->tick)
            options->tick(options->opaque);
    }
    end_all(&p);
    bytes_free(&p.request);
    free(p.workers);
    free(p.polls);
    return ret;
}
