/* progress.c: see progress.h. */
#include "harness/progress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define BAR_PERIOD_S  0.2
#define LINE_PERIOD_S 30.0

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

void progress_begin(struct progress *p, const char *verb, size_t total, size_t before, bool quiet)
{
    const char *term = getenv("TERM");
    *p = (struct progress){.verb = verb, .quiet = quiet, .total = total, .before = before};
    p->terminal = isatty(STDERR_FILENO) && term && strcmp(term, "dumb") != 0;
    p->started = p->last = now();
}

double progress_seconds(const struct progress *p)
{
    return now() - p->started;
}

/* "1.2k", "3.4M" */
static void short_number(double n, char *buf, size_t size)
{
    const char *units = "";
    for (const char *u = "kMGT"; n >= 1000 && *u; u++, units = u - 1)
        n /= 1000;
    if (*units)
        snprintf(buf, size, "%.1f%c", n, *units);
    else
        snprintf(buf, size, "%.0f", n);
}

/* What is left, if the rest is like what was judged by now. */
static void eta_text(const struct progress *p, size_t done, double seconds, char *buf, size_t size)
{
    if (done <= p->before) {
        snprintf(buf, size, "?");
        return;
    }
    double left = seconds * (double)(p->total - done) / (double)(done - p->before);
    unsigned s = left < 1e7 ? (unsigned)left : 9999999;
    if (s >= 3600)
        snprintf(buf, size, "%u:%02u:%02u", s / 3600, s / 60 % 60, s % 60);
    else
        snprintf(buf, size, "%u:%02u", s / 60, s % 60);
}

static void figures_text(const struct progress *p, const struct progress_figures *f, double seconds, char *buf,
                         size_t size)
{
    char rate[32], eta[32];
    short_number(seconds > 0 ? (double)f->states / seconds : 0, rate, sizeof(rate));
    eta_text(p, f->done, seconds, eta, sizeof(eta));
    snprintf(buf, size, "%zu/%zu cells, %s states/s, %llu findings, ETA %s", f->done, p->total, rate,
             (unsigned long long)f->findings, eta);
}

static void show_bar(const struct progress *p, const struct progress_figures *f, const char *text)
{
    struct winsize size = {0};
    unsigned width = !ioctl(STDERR_FILENO, TIOCGWINSZ, &size) && size.ws_col ? size.ws_col : 80;
    unsigned used = strlen(text) < 62 ? 66 : (unsigned)strlen(text) + 4; /* the bar keeps its length */
    unsigned room = width > used + 10 ? width - used : 0, full = 0;
    if (room > 40)
        room = 40;
    if (p->total)
        full = (unsigned)((double)room * (double)f->done / (double)p->total);
    fputc('\r', stderr);
    if (room)
        fputc('[', stderr);
    for (unsigned i = 0; i < room; i++)
        fputc(i < full ? '#' : '.', stderr);
    fprintf(stderr, "%s%.*s\033[K", room ? "] " : "", (int)width - 1, text);
    fflush(stderr);
}

void progress_show(struct progress *p, const struct progress_figures *f)
{
    char text[160];
    double at = now();
    if (p->quiet || at - p->last < (p->terminal ? BAR_PERIOD_S : LINE_PERIOD_S))
        return;
    p->last = at;
    figures_text(p, f, at - p->started, text, sizeof(text));
    if (p->terminal)
        show_bar(p, f, text);
    else
        fprintf(stderr, "qedcrash %s: %s\n", p->verb, text);
    p->shown = true;
}

void progress_end(struct progress *p)
{
    if (p->terminal && p->shown)
        fputs("\r\033[K", stderr);
    p->shown = false;
}
