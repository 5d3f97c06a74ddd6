/* campaign.c: see campaign.h.
 *
 * A worker's answer is a number, 0 or an errno, and behind it the cell (cell_wire.h) or the message. Canaries are jobs
 * behind the cells; their answer is 1 where it was caught.
 */
#include "harness/campaign.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "harness/canary.h"
#include "harness/cell_wire.h"
#include "harness/commands.h"
#include "harness/complain.h"
#include "harness/workers.h"
#include "simdisk/xalloc.h"

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static bool of_this_shard(const struct campaign *c, const struct plan_cell *cell)
{
    char *id = plan_id(cell);
    bool mine = shard_has(&c->options->shard, id);
    free(id);
    return mine;
}

size_t campaign_size(const struct campaign *c)
{
    size_t count = 0;
    for (size_t i = 0; i < c->plan->count; i++)
        count += of_this_shard(c, &c->plan->cells[i]);
    return count;
}

/* --- in the worker ------------------------------------------------------------------------------------------------- */

static struct cell_options options_of(const struct campaign *c, size_t index)
{
    struct cell_options o = c->options->cell;
    o.id_scenario = c->plan->cells[index].name;
    o.schedule = c->plan->cells[index].schedule;
    o.twice = index == 0;
    return o;
}

static void judge_cell(const struct campaign *c, struct workers_self *self, size_t index, struct bytes *result)
{
    const struct plan_cell *cell = &c->plan->cells[index];
    struct cell_options o = options_of(c, index);
    cell_wire_judge(cell->scenario, cell->design, cell->disk, &o, self, result);
}

static void job(void *opaque, struct workers_self *self, size_t index, const uint8_t *request, size_t size,
                struct bytes *result)
{
    const struct campaign *c = opaque;
    (void)request;
    (void)size;
    if (index < c->plan->count)
        judge_cell(c, self, index, result);
    else
        bytes_put_u64(result, canary_caught((unsigned)(index - c->plan->count)));
}

/* --- in the parent ------------------------------------------------------------------------------------------------- */

static enum workers_more next(void *opaque, size_t *index, struct bytes *request)
{
    struct campaign *c = opaque;
    size_t last = c->plan->count + (c->canaries ? canary_count() : 0);
    (void)request;
    while (c->next < c->plan->count && c->settled[c->next])
        c->next++;
    if (c->code || c->next >= last)
        return WORKERS_NONE;
    if (c->options->time_limit_s && progress_seconds(&c->progress) >= (double)c->options->time_limit_s) {
        c->out_of_time = true;
        return WORKERS_NONE;
    }
    *index = c->next++;
    return WORKERS_JOB;
}

static int put_cell(void *opaque, const struct store_cell *cell, struct scn_error *err)
{
    struct campaign *c = opaque;
    struct store_error store_err;
    double began = now();
    int ret = store_put_cell(c->store, cell, &store_err);
    c->store_seconds += now() - began;
    if (ret)
        snprintf(err->text, sizeof(err->text), "%s", store_err.text);
    c->done++;
    c->figures.findings += cell->finding_count;
    c->figures.states += cell->executions;
    return ret;
}

static int fail(struct campaign *c, const char *text)
{
    snprintf(c->message, sizeof(c->message), "%s", text);
    c->code = EXIT_INTERNAL;
    c->code_index = 0;
    return -EIO;
}

/* What cannot be judged ends the campaign; the first in order is told of, whoever comes first. */
static void note_error(struct campaign *c, size_t index, int why, const char *text)
{
    if (c->code && c->code_index < index)
        return;
    c->code = why == EINVAL ? EXIT_USAGE : EXIT_INTERNAL;
    c->code_index = index;
    snprintf(c->message, sizeof(c->message), "%s", text ? text : "a cell cannot be judged");
}

static int cell_done(struct campaign *c, const struct workers_result *result)
{
    struct bytes_reader r = {result->data, result->size, false};
    struct scn_error err;
    struct cell_wire w;
    uint64_t why = bytes_take_u64(&r);
    if (why) {
        note_error(c, result->job, (int)why, bytes_take_text(&r));
        return 0;
    }
    if (!cell_wire_take(&r, &w))
        return fail(c, "a worker's answer is no cell: this is a bug");
    w.cell.place = result->job + 1;
    int ret = put_cell(c, &w.cell, &err);
    cell_wire_free(&w);
    return ret ? fail(c, err.text) : 0;
}

static int put_died(void *opaque, const struct store_cell *cell, struct scn_error *err)
{
    struct campaign *c = opaque;
    struct store_cell placed = *cell;
    placed.place = c->died_place;
    return put_cell(c, &placed, err);
}

static int cell_ended(struct campaign *c, size_t index, const char *why)
{
    const struct plan_cell *cell = &c->plan->cells[index];
    struct cell_options o = options_of(c, index);
    struct scn_error err;
    char *id = plan_id(cell);
    progress_end(&c->progress);
    complain(c->verb, 0, "the process that judged %s %s; the others go on", id, why);
    free(id);
    c->died_place = index + 1;
    int ret = cell_died(cell->scenario, cell->design, cell->disk, &o, why, put_died, c, &err);
    return ret ? fail(c, err.text) : 0;
}

static void canary_done(struct campaign *c, unsigned number, const struct workers_result *result)
{
    struct bytes_reader r = {result->data, result->size, false};
    c->canaries_done++;
    if (result->end == WORKERS_DONE && bytes_take_u64(&r))
        c->canaries_caught++;
    else if (!c->canary_missed)
        c->canary_missed = canary_what(number);
}

static int done(void *opaque, const struct workers_result *result)
{
    struct campaign *c = opaque;
    if (result->job >= c->plan->count) {
        canary_done(c, (unsigned)(result->job - c->plan->count), result);
        return 0;
    }
    c->flying -= c->states[result->job];
    c->states[result->job] = 0;
    return result->end == WORKERS_DONE ? cell_done(c, result) : cell_ended(c, result->job, result->why);
}

static void heard(void *opaque, size_t index, uint64_t states)
{
    struct campaign *c = opaque;
    if (index >= c->plan->count)
        return;
    c->flying += states - c->states[index];
    c->states[index] = states;
}

static void tick(void *opaque)
{
    struct campaign *c = opaque;
    struct progress_figures f = c->figures;
    f.done = c->before + c->done;
    f.states += c->flying;
    progress_show(&c->progress, &f);
}

static void note_judged(void *opaque, uint64_t place)
{
    struct campaign *c = opaque;
    if (place >= 1 && place <= c->plan->count && !c->settled[place - 1]) {
        c->settled[place - 1] = true;
        c->before++;
    }
}

int campaign_open(struct campaign *c)
{
    const struct options *o = c->options;
    struct store_error err;
    char *words = plan_options_text(o);
    struct store_campaign campaign = {.version = QEDCRASH_VERSION,
                                      .seed = o->cell.seed,
                                      .command = c->command,
                                      .options = words,
                                      .inputs = c->plan->inputs,
                                      .planned = c->plan->count,
                                      .shard = o->shard.number,
                                      .shards = o->shard.of,
                                      .resume = o->resume};
    int ret = store_open(o->store, &campaign, &c->store, &err);
    free(words);
    if (ret)
        return complain(c->verb, ret == -ESTALE ? EXIT_USAGE : EXIT_INTERNAL, "%s", err.text);
    c->settled = xcalloc(c->plan->count, sizeof(*c->settled));
    c->states = xcalloc(c->plan->count, sizeof(*c->states));
    c->mine = campaign_size(c);
    for (size_t i = 0; i < c->plan->count; i++)
        c->settled[i] = !of_this_shard(c, &c->plan->cells[i]);
    ret = store_each_judged(c->store, note_judged, c, &err);
    return ret ? complain(c->verb, EXIT_INTERNAL, "%s", err.text) : 0;
}

/* One line to paste. */
static int unfinished(const struct campaign *c, const char *why)
{
    fprintf(stderr, "qedcrash %s: %s; %zu of %zu cells are judged", c->verb, why, c->before + c->done, c->mine);
    if (!c->options->store) {
        fputs("; nothing was kept (name a store with --store)\n", stderr);
        return EXIT_INTERRUPTED;
    }
    fprintf(stderr, "; go on with: %s%s\n", c->command, c->options->resume ? "" : " --resume");
    return EXIT_INTERRUPTED;
}

static int finish(struct campaign *c)
{
    struct store_error err;
    int ret = c->canaries ? store_put_canaries(c->store, c->canaries_caught, canary_count(), &err) : 0;
    if (!ret)
        ret = store_finish(c->store, &err);
    if (ret)
        return complain(c->verb, EXIT_INTERNAL, "%s", err.text);
    if (c->canary_missed)
        fprintf(stderr,
                "qedcrash %s: %u of %u planted bugs were NOT caught (first: %s): no verdict of this campaign can be "
                "trusted\n",
                c->verb, canary_count() - c->canaries_caught, canary_count(), c->canary_missed);
    return 0;
}

static unsigned worker_count(const struct campaign *c)
{
    size_t jobs = c->mine - c->before + (c->canaries ? canary_count() : 0);
    unsigned count = c->options->jobs ? c->options->jobs : workers_default_count();
    return jobs && jobs < count ? (unsigned)jobs : count;
}

int campaign_judge(struct campaign *c)
{
    struct workers_options w = {.count = worker_count(c),
                                .timeout_s = c->options->cell_timeout_s,
                                .stop = c->options->cell.stop,
                                .opaque = c,
                                .next = next,
                                .job = job,
                                .done = done,
                                .beat = heard,
                                .tick = tick};
    progress_begin(&c->progress, c->verb, c->mine, c->before, c->options->quiet);
    int ret = workers_run(&w);
    double seconds = progress_seconds(&c->progress);
    progress_end(&c->progress);
    if (c->options->verbose && c->options->store)
        fprintf(stderr, "qedcrash %s: %.2f s, of which %.2f s (%.1f %%) for the store\n", c->verb, seconds,
                c->store_seconds, seconds > 0 ? 100 * c->store_seconds / seconds : 0);
    if (ret == -EINTR)
        return unfinished(c, "interrupted");
    if (c->code)
        return complain(c->verb, c->code, "%s", c->message);
    if (ret) {
        return complain(c->verb, EXIT_INTERNAL, "cannot start a worker: %s", strerror(-ret));
    }
    if (c->out_of_time)
        return unfinished(c, "the time limit is reached");
    return finish(c);
}

void campaign_free(struct campaign *c)
{
    free(c->settled);
    free(c->states);
}
