/* mutate_image.c: an image's choices and records changed one at a time, as image_bytes.h has them. Numbers stay near those
 * that tables and file have, so that most entries stay plausible.
 */
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/image_bytes.h"
#include "tests/fuzz/mutate_kit.h"

#include <string.h>

#define MOST_CLUSTERS 24u

static size_t records_in(size_t size)
{
    return size < IMAGE_HEAD_BYTES ? 0 : (size - IMAGE_HEAD_BYTES) / IMAGE_RECORD_BYTES;
}

static uint8_t *record_at(uint8_t *data, size_t number)
{
    return data + IMAGE_HEAD_BYTES + number * IMAGE_RECORD_BYTES;
}

static uint8_t some_cluster(struct mutate_rng *rng)
{
    return (uint8_t)mutate_below(rng, mutate_below(rng, 16) ? MOST_CLUSTERS : 256);
}

/* Ends of tables and of their sectors, more often than what lies between. */
static void choose_index(struct mutate_rng *rng, uint8_t *record)
{
    static const uint8_t edges[] = {0, 1, 2, 62, 63, 64, 65, 127, 128};
    record[2] = mutate_below(rng, 4) ? edges[mutate_below(rng, sizeof(edges))] : (uint8_t)mutate_below(rng, 256);
    record[3] = (uint8_t)(mutate_below(rng, 4) ? 0 : IMAGE_INDEX_FROM_END);
    if (!mutate_below(rng, 8))
        record[3] = (uint8_t)mutate_below(rng, 256);
}

static void new_record(struct mutate_rng *rng, uint8_t *record)
{
    record[0] = (uint8_t)mutate_below(rng, IMAGE_WHAT_COUNT);
    record[1] = some_cluster(rng);
    choose_index(rng, record);
    record[4] = some_cluster(rng);
    record[5] = (uint8_t)(mutate_below(rng, 3) ? 0 : mutate_below(rng, 16));
}

static void change_record(struct mutate_rng *rng, uint8_t *record)
{
    switch (mutate_below(rng, 6)) {
    case 0:
        record[0] = (uint8_t)mutate_below(rng, IMAGE_WHAT_COUNT);
        break;
    case 1:
        record[1] = some_cluster(rng);
        break;
    case 2:
        choose_index(rng, record);
        break;
    case 3:
        record[4] = some_cluster(rng);
        break;
    case 4:
        record[5] = (uint8_t)mutate_below(rng, 16);
        break;
    default:
        record[1 + 3 * mutate_below(rng, 2)] += (uint8_t)(mutate_below(rng, 2) ? 1 : -1);
    }
}

/* Two records that name the same: what cross-links are made of. */
static void retarget(struct mutate_rng *rng, uint8_t *data, size_t records)
{
    uint8_t *a = record_at(data, mutate_below(rng, (uint32_t)records));
    const uint8_t *b = record_at(data, mutate_below(rng, (uint32_t)records));
    a[mutate_below(rng, 2) ? 4 : 1] = b[mutate_below(rng, 2) ? 4 : 1];
}

static void change_choice(struct mutate_rng *rng, uint8_t *data)
{
    unsigned at = IMAGE_AT_CLUSTER + mutate_below(rng, IMAGE_HEAD_BYTES - IMAGE_AT_CLUSTER);
    uint8_t *c = &data[at];
    switch ((enum image_at)at) {
    case IMAGE_AT_L1:
        *c = (uint8_t)(mutate_below(rng, 6) ? 1 + mutate_below(rng, 4) : mutate_below(rng, 256));
        return;
    case IMAGE_AT_FEATURES:
        *c = (uint8_t)mutate_below(rng, mutate_below(rng, 8) ? 8 : 256);
        return;
    case IMAGE_AT_LENGTH:
        *c = mutate_below(rng, 3) ? (uint8_t)(*c + (mutate_below(rng, 2) ? 1 : -1)) : some_cluster(rng);
        return;
    case IMAGE_AT_E:
        *c = mutate_below(rng, 2) ? data[IMAGE_AT_LENGTH] : some_cluster(rng);
        return;
    case IMAGE_AT_BITS:
    case IMAGE_AT_HEADER:
    case IMAGE_AT_NAME:
        *c = (uint8_t)mutate_below(rng, 16);
        return;
    case IMAGE_AT_USE_MORE:
        *c ^= (uint8_t)(1u << mutate_below(rng, 6));
        return;
    case IMAGE_AT_USE:
        *c = (uint8_t)mutate_below(rng, 64);
        return;
    case IMAGE_AT_KIND:
    case IMAGE_AT_CLUSTER:
    case IMAGE_AT_TABLE:
    case IMAGE_AT_SIZE:
    case IMAGE_AT_TAIL:
    case IMAGE_AT_FILL:
    case IMAGE_HEAD_BYTES:
        break;
    }
    *c = (uint8_t)mutate_below(rng, mutate_below(rng, 4) ? 16 : 256);
}

/* A raw file: a byte, or eight in a row that look like an entry. */
static size_t mutate_raw(struct mutate_rng *rng, uint8_t *data, size_t size, size_t max)
{
    size_t at = 1 + mutate_below(rng, (uint32_t)(size > 1 ? size - 1 : 1));
    if (size < 4 || mutate_below(rng, 8) == 0) {
        if (mutate_open_gap(data, &size, max, size, 1))
            data[size - 1] = (uint8_t)mutate_below(rng, 256);
        return size;
    }
    if (mutate_below(rng, 2) || size < 24) {
        data[at] = (uint8_t)mutate_below(rng, 256);
        return size;
    }
    at = 3 + mutate_below(rng, (uint32_t)(size - 11) / 8) * 8;
    memset(data + at, 0, 8);
    data[at + 1] = (uint8_t)(mutate_below(rng, 16) << 4);
    return size;
}

size_t fuzz_mutate(uint8_t *data, size_t size, size_t max, uint32_t seed)
{
    struct mutate_rng rng = mutate_rng(seed);
    if (size && data[0] >= IMAGE_BYTES_RAW)
        return mutate_raw(&rng, data, size, max);
    if (max < IMAGE_HEAD_BYTES)
        return size ? size : 1;
    if (size < IMAGE_HEAD_BYTES) {
        static const uint8_t plain[IMAGE_HEAD_BYTES] = {[IMAGE_AT_L1] = 1, [IMAGE_AT_LENGTH] = 8, [IMAGE_AT_USE] = 3};
        memcpy(data + size, plain + size, IMAGE_HEAD_BYTES - size);
        size = IMAGE_HEAD_BYTES;
    }
    size = IMAGE_HEAD_BYTES + records_in(size) * IMAGE_RECORD_BYTES;
    for (unsigned changes = 1 + mutate_below(&rng, 4); changes; changes--) {
        size_t records = records_in(size);
        uint32_t which = mutate_below(&rng, (uint32_t)records);
        switch (mutate_below(&rng, records ? 8 : 2)) {
        case 0:
            change_choice(&rng, data);
            break;
        case 1:
        case 2:
            if (mutate_open_gap(data, &size, max, IMAGE_HEAD_BYTES + which * IMAGE_RECORD_BYTES, IMAGE_RECORD_BYTES))
                new_record(&rng, record_at(data, which));
            break;
        case 3:
            mutate_close_gap(data, &size, IMAGE_HEAD_BYTES + which * IMAGE_RECORD_BYTES, IMAGE_RECORD_BYTES);
            break;
        case 4:
            retarget(&rng, data, records);
            break;
        default:
            change_record(&rng, record_at(data, which));
        }
    }
    return size;
}

/* One's choices, the other's records behind its own. */
size_t fuzz_crossover(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size, uint8_t *out, size_t max,
                      uint32_t seed)
{
    struct mutate_rng rng = mutate_rng(seed);
    size_t mine = records_in(a_size), theirs = records_in(b_size);
    size_t size = a_size < max ? a_size : max;
    memcpy(out, a, size);
    if (size < IMAGE_HEAD_BYTES || a[0] >= IMAGE_BYTES_RAW || !theirs || b[0] >= IMAGE_BYTES_RAW)
        return size ? size : 1;
    size = IMAGE_HEAD_BYTES + mutate_below(&rng, (uint32_t)mine + 1) * IMAGE_RECORD_BYTES;
    size = size < max ? size : IMAGE_HEAD_BYTES;
    for (size_t from = mutate_below(&rng, (uint32_t)theirs); from < theirs && size + IMAGE_RECORD_BYTES <= max;
         from++) {
        memcpy(out + size, b + IMAGE_HEAD_BYTES + from * IMAGE_RECORD_BYTES, IMAGE_RECORD_BYTES);
        size += IMAGE_RECORD_BYTES;
    }
    return size;
}
