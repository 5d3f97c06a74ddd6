#include "simdisk/disk_model.h"

#include <string.h>

/* The default of every axis is its zero; each model names only where it departs from `ssd`. */
const struct sim_disk_model sim_disk_models[] = {
    {
        .name = "ssd",
        .summary =
            "a volatile cache that persists any subset of the unflushed 512-byte sectors, in any order; the file "
            "ends with its last persisted byte",
        .keeps_its_word = true,
    },
    {
        .name = "ordered",
        .summary = "a volatile cache that persists completed writes in their order, so that a power failure leaves a "
                   "prefix of them and any part of the next",
        .cache = SIM_CACHE_ORDERED,
        .keeps_its_word = true,
    },
    {
        .name = "writethrough",
        .summary = "no volatile cache: a completed write is durable, and only writes in flight may be torn or lost",
        .cache = SIM_CACHE_WRITE_THROUGH,
        .keeps_its_word = true,
    },
    {
        .name = "atomic-writes",
        .summary = "like ssd, but every write persists entirely or not at all, whatever its size",
        .atom = SIM_ATOM_WRITE,
        .keeps_its_word = true,
    },
    {
        .name = "atom-4k",
        .summary = "like ssd, but the eight sectors of an aligned 4 KiB block persist together",
        .atom = SIM_ATOM_4096,
        .keeps_its_word = true,
    },
    {
        .name = "own-length",
        .summary = "like ssd, but the file's length persists on its own: data may survive without the length that "
                   "covers it, and a length without its data, which then reads zeros",
        .length = SIM_LENGTH_OWN,
        .keeps_its_word = true,
    },
    {
        .name = "hostdev",
        .summary = "like ssd, on a host device of fixed size whose never-written blocks hold stale bytes",
        .fresh = SIM_FRESH_STALE,
        .size = SIM_SIZE_FIXED,
        .keeps_its_word = true,
    },
    {
        .name = "fsync-drop",
        .summary = "like ssd, but a failed flush forgets what was pending, as Linux did: no later flush covers it",
        .failed_flush = SIM_FAILED_FLUSH_DROPS,
        .keeps_its_word = true,
    },
    {
        .name = "liar",
        .summary = "a disk whose flush completes and does nothing, so that anything ever written may be lost: a canary",
        .cache = SIM_CACHE_LYING,
        .keeps_its_word = false,
    },
};

const size_t sim_disk_model_count = sizeof(sim_disk_models) / sizeof(sim_disk_models[0]);

const struct sim_disk_model *sim_disk_model_find(const char *name)
{
    for (size_t i = 0; i < sim_disk_model_count; i++) {
        if (strcmp(sim_disk_models[i].name, name) == 0)
            return &sim_disk_models[i];
    }
    return NULL;
}
