/* import_text.c: see import_text.h. */
#include "harness/import_text.h"

#include <errno.h>
#include <stdlib.h>

#include "harness/commands.h"
#include "harness/complain.h"

int import_complain(const char *path, unsigned line, const char *why)
{
    return line ? complain("import", EXIT_USAGE, "%s:%u: %s", path, line, why)
                : complain("import", EXIT_USAGE, "%s: %s", path, why);
}

bool import_number(const char *word, uint64_t most, uint64_t *value)
{
    char *end;
    errno = 0;
    *value = strtoull(word, &end, 10);
    return *word >= '0' && *word <= '9' && !*end && !errno && *value <= most;
}
