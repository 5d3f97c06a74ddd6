/* cmd_explain.c: explain: a finding as a story, drawn from a store in memory that holds this one state (or cell). */
#include <errno.h>
#include <string.h>

#include "harness/commands.h"
#include "harness/complain.h"
#include "harness/id.h"
#include "harness/options.h"
#include "harness/target.h"

static const char explain_doc[] =
    "A finding as a story: what was written and in which order, what survived, what recovery did, what the guest "
    "sees, and why.\n\nExamples:\n"
    "  qedcrash explain 'cow-partial:v2:ssd:@10+L2'\n"
    "  qedcrash explain 'cow-partial:v2:ssd' -v        (every finding of the cell)\n"
    "  qedcrash explain ID --json | jq .findings[0].timeline\n\v"
    "Exit status: 1 the finding, explained; 0 there is none in this state; 2 the id names nothing, or usage; 3 I/O "
    "error; 130 interrupted.";

static int judge(struct options *o, const struct finding_id *id, struct store *store, bool *unsafe)
{
    struct target t;
    struct scn_error err;
    if (target_load(id, &t, &err))
        return complain("explain", EXIT_USAGE, "%s", err.text);
    o->cell.id_scenario = t.name;
    o->cell.schedule = id->schedule;
    o->cell.script = id->script;
    o->cell.script_len = id->script_len;
    o->cell.seed = id->seed;
    int ret = id->has_point
                  ? cell_repro(t.scenario, t.design, t.disk, &o->cell, id->point, id->survivors, store, unsafe, &err)
                  : cell_run(t.scenario, t.design, t.disk, &o->cell, store, unsafe, &err);
    target_free(&t);
    if (ret == -EINTR)
        return complain("explain", EXIT_INTERRUPTED, "interrupted");
    return ret ? complain("explain", ret == -ENOENT || ret == -EINVAL ? EXIT_USAGE : EXIT_INTERNAL, "%s", err.text) : 0;
}

static int explain(struct options *o, const struct finding_id *id)
{
    struct store_campaign campaign = {.version = QEDCRASH_VERSION, .seed = id->seed, .command = "qedcrash explain"};
    struct store_error err;
    struct render_options r;
    struct store *store;
    bool unsafe = false;
    if (store_open(o->store, &campaign, &store, &err))
        return complain("explain", EXIT_INTERNAL, "%s", err.text);
    int code = judge(o, id, store, &unsafe);
    options_render(o, &r);
    if (!code && (o->json ? render_explain_json(store, stdout, &err) : render_explain(store, stdout, &r, &err)))
        code = complain("explain", EXIT_INTERNAL, "%s", err.text);
    else if (!code)
        code = unsafe ? EXIT_FINDINGS : EXIT_CLEAN;
    if (store_close(store, &err))
        return complain("explain", EXIT_INTERNAL, "%s", err.text);
    return code;
}

int cmd_explain(int argc, char **argv)
{
    struct options o;
    struct finding_id id;
    bool help;
    char why[320] = "takes one id; findings print theirs as 'repro: qedcrash repro ...'";
    int ret = options_parse(argc, argv, "ID", explain_doc, &o, &help);
    if (ret || help)
        return ret;
    if (o.argument_count != 1 || !id_parse(o.arguments[0], &id, why, sizeof(why))) {
        options_free(&o);
        return complain("explain", EXIT_USAGE, "%s", why);
    }
    options_catch_signals();
    ret = explain(&o, &id);
    id_free(&id);
    options_free(&o);
    return ret;
}
