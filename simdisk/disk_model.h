/* disk_model.h: what a power failure may do to a disk.
 *
 * The model in prose. A disk has a volatile write cache. A write is *pending* from the moment it is submitted until a
 * flush, submitted after the write completed, has itself completed. When the power fails, every atomic unit of the disk
 * holds, independently of all others, one of its versions: what was durable before, or what any pending write put there
 * (so never older than durable, never a mix of two versions inside a unit). That is the default, `ssd`. The other axes
 * only change what a unit is, how units depend on each other, or what surrounds them:
 *
 *   atom         512 | 4096 | whole write: units chosen together. Whole-write: a write persists entirely or not at all.
 *   cache        any-order | ordered (a prefix of the completed writes, then any part of the next) | write-through (a
 *                completed write is durable; one in flight may be torn) | lying (flush completes and does nothing)
 *   length       follows the data (G1: the file ends where the furthest persisted byte ends) | on its own (G2: any
 *                length since the last durable one may persist, independent of the data; what lies beyond is lost)
 *   fresh space  zero | stale (a reused host device: space never written holds old bytes, tagged so the oracle knows)
 *   size         growing file | fixed host device (G3: the length never changes)
 *   failed flush keeps what was pending | drops it (as Linux did: the pages count as clean, their fate is open for
 *                ever, a later successful flush does not cover them)
 *
 * Stricter models only remove outcomes of laxer ones, except fresh space, size and failed flush, which are other
 * worlds.
 */
#ifndef SIMDISK_DISK_MODEL_H
#define SIMDISK_DISK_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum sim_atom { SIM_ATOM_512, SIM_ATOM_4096, SIM_ATOM_WRITE };
enum sim_cache { SIM_CACHE_ANY_ORDER, SIM_CACHE_ORDERED, SIM_CACHE_WRITE_THROUGH, SIM_CACHE_LYING };
enum sim_length { SIM_LENGTH_FOLLOWS_DATA, SIM_LENGTH_OWN };
enum sim_fresh { SIM_FRESH_ZERO, SIM_FRESH_STALE };
enum sim_size { SIM_SIZE_GROWING, SIM_SIZE_FIXED };
enum sim_failed_flush { SIM_FAILED_FLUSH_KEEPS, SIM_FAILED_FLUSH_DROPS };

struct sim_disk_model {
    const char *name;
    const char *summary; /* one sentence */
    enum sim_atom atom;
    enum sim_cache cache;
    enum sim_length length;
    enum sim_fresh fresh;
    enum sim_size size;
    enum sim_failed_flush failed_flush;
    bool keeps_its_word; /* false only for disks whose flush lies: canaries */
};

extern const struct sim_disk_model sim_disk_models[]; /* ssd first */
extern const size_t sim_disk_model_count;
const struct sim_disk_model *sim_disk_model_find(const char *name);

#endif
