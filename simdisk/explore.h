/* explore.h: the complete explorer: every answer a recovery can give, without going through every state.
 *
 * A *script* is something deterministic done on the crashed disk: open the image, read one guest sector, write, close,
 * open again. The disk asks for a version only when the script reads an open unit, so a run of the script stands for all
 * states that agree on what was asked. The explorer runs the script again and again, each time with other answers, until
 * no answer is left: depth first, the answers as plain numbers on a stack.
 *
 * Four things keep that small, each of them sound for a reason stated here and held against plain enumeration by
 * tests/unit/test_explore_differential.c:
 *
 *   not asked      what no run reads multiplies nothing.
 *   not used       (prune) a run says which bytes of a table sector it looked at, and with what it compared the file's
 *                  length. An answer that agrees with an explored one in all that was used below it would lead to the
 *                  same runs, so it is skipped. Answers are tried in the order in which they can first exist: the one
 *                  that stands for others is the one with the tightest promise.
 *   not together   (tables apart) a script that reads *all* tables (the structural walk) uses every byte of them. But what
 *                  one table sector says, and what another says, meet only in the clusters that both name. Sectors that
 *                  name no cluster in common, in any of their versions, are varied one at a time; those that do (and all
 *                  that is not an L2 sector) in all combinations.
 *   side by side   (data apart) a script that hands what it reads for the guest to a judge who looks at each sector by
 *                  itself, and does the same whatever was read. A unit that decides nothing but such bytes
 *                  (crash_disk_decides_bytes_alone()) meets no other such unit anywhere: so a run in which several of
 *                  them are not durable shows of each what a run shows in which the others are. Only the promise is that
 *                  of the latest. So versions that can exist from the same moment on are taken in the same run, and
 *                  those of another moment in another: each version is seen with all that is not such data, by the
 *                  promise it has by itself. Pruning leaves these choices alone, for one stands for several units.
 */
#ifndef SIMDISK_EXPLORE_H
#define SIMDISK_EXPLORE_H

#include "simdisk/crash_disk.h"

struct explorer;
struct explorer *explorer_create(void);
void explorer_destroy(struct explorer *x);

/* Gets ready for a space, which must be loaded on the disk with explorer_chooser(x). granule_bytes: offsets in tables
 * are told apart no finer than this (the cluster size). */
void explorer_load(struct explorer *x, struct crash_disk *disk, uint64_t granule_bytes);
struct crash_chooser *explorer_chooser(struct explorer *x);

struct explore_mode {
    bool prune;
    bool tables_apart;
    bool data_apart;
};

/* Runs the script once per set of answers that matters. The script finds the disk as the power failure left it; it returns
 * false to stop. Returns the number of runs, and whether it was stopped. */
typedef bool explore_script(void *opaque, struct crash_disk *disk);
uint64_t explorer_run(struct explorer *x, struct explore_mode mode, explore_script *script, void *opaque,
                      bool *stopped);
/* Called by a script: the disk is rewound, and what is asked from here on gets the answers of this run once more. */
void explorer_again(struct explorer *x);
/* Times the explorer had to ask malloc since it was created. */
uint64_t explorer_allocations(const struct explorer *x);

#endif
