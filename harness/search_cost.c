/* search_cost.c: see search_cost.h. */
#include "harness/search_cost.h"

#include <stdio.h>
#include <string.h>

#include "simdisk/xalloc.h"

#define IMAGE "image size=1M cluster=4K table=2\n"

static const struct {
    const char *name, *text;
} workloads[] = {
    {"cost/backing", IMAGE "backing size=64K\nprepare write 0 4K\n"
                           "write 8704 512\nwrite 16K 4K\nwrite 25088 512\nwrite 32K 4K\nflush\n"},
    {"cost/no-backing", IMAGE "prepare write 0 4K\n"
                              "write 8704 512\nwrite 16K 4K\nwrite 25088 512\nwrite 32K 4K\nflush\n"},
    {"cost/new-table", "image size=16M cluster=4K table=2\n"
                       "write 0 4K\nwrite 8M 512\nflush\n"},
    {"cost/bursts", IMAGE "prepare write 0 4K\n"
                          "write 8K 4K\nflush\nsleep 10m\nwrite 16K 4K\nflush\nsleep 10m\nwrite 24K 4K\nflush\n"},
    {"cost/close", IMAGE "backing size=64K\nprepare write 0 4K\n"
                         "write 8K 4K\nclose\nopen rw\nwrite 16K 512\nclose\n"},
};

int search_cost_bound(struct bound *b, struct scn_error *err)
{
    for (size_t i = 0; i < sizeof(workloads) / sizeof(workloads[0]); i++) {
        struct scenario *s;
        int ret = scenario_parse(workloads[i].name, workloads[i].text, strlen(workloads[i].text), &s, err);
        if (ret)
            return ret;
        bound_add(b, s, xalloc_check(strdup(workloads[i].name)));
    }
    return 0;
}
