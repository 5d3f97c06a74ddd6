/* id.c: see id.h. */
#include "harness/id.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "simdisk/xalloc.h"

static void print_schedule(FILE *out, const struct sim_schedule *schedule)
{
    if (schedule->script) {
        size_t length = schedule->script_len;
        while (length && !schedule->script[length - 1])
            length--;
        for (size_t i = 0; i < length; i++)
            fprintf(out, "%s%02x", i ? "" : ":x", schedule->script[i]);
    } else if (schedule->number == ID_ALL_SCHEDULES) {
        fputs(":sall", out);
    } else if (schedule->number != 1) {
        fprintf(out, ":s%" PRIu64, schedule->number);
    }
    if (schedule->seed != 1)
        fprintf(out, ":seed=%" PRIu64, schedule->seed);
}

static void print_encoded(FILE *out, const char *name)
{
    for (const unsigned char *c = (const unsigned char *)name; *c; c++)
        if (*c == ':' || *c == '%' || isspace(*c) || *c < 0x20)
            fprintf(out, "%%%02X", *c);
        else
            fputc(*c, out);
}

char *id_format_schedule(const char *scenario, const char *design, const char *disk,
                         const struct sim_schedule *schedule, bool has_point, uint32_t point, const char *survivors)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = xalloc_check(open_memstream(&text, &size));
    print_encoded(out, scenario);
    fputc(':', out);
    print_encoded(out, design);
    fprintf(out, ":%s", disk);
    print_schedule(out, schedule);
    if (has_point)
        fprintf(out, ":@%" PRIu32 "%s", point, survivors);
    fclose(out);
    return text;
}

char *id_format(const char *scenario, const char *design, const char *disk, uint64_t schedule, uint64_t seed,
                bool has_point, uint32_t point, const char *survivors)
{
    const struct sim_schedule numbered = {.number = schedule, .seed = seed};
    return id_format_schedule(scenario, design, disk, &numbered, has_point, point, survivors);
}

/* False too if it does not fit into size bytes: what counts is its length decoded. */
static bool decode(const char *from, size_t length, char *to, size_t size)
{
    const char *last = to + size - 1;
    for (size_t i = 0; i < length; i++) {
        unsigned value;
        if (to == last)
            return false;
        if (from[i] != '%') {
            *to++ = from[i];
            continue;
        }
        if (length - i < 3 || !isxdigit((unsigned char)from[i + 1]) || !isxdigit((unsigned char)from[i + 2]) ||
            sscanf(from + i + 1, "%2x", &value) != 1 || !value)
            return false;
        *to++ = (char)value;
        i += 2;
    }
    *to = 0;
    return true;
}

static bool number(const char *text, size_t length, uint64_t *value)
{
    *value = 0;
    for (size_t i = 0; i < length; i++)
        if (!isdigit((unsigned char)text[i]) || __builtin_mul_overflow(*value, UINT64_C(10), value) ||
            __builtin_add_overflow(*value, (uint64_t)(text[i] - '0'), value))
            return false;
    return length > 0;
}

static bool parse_point(const char *text, struct finding_id *id)
{
    size_t digits = strspn(text, "0123456789");
    uint64_t point;
    if (!number(text, digits, &point) || point > UINT32_MAX ||
        (text[digits] && text[digits] != '+' && text[digits] != '/'))
        return false;
    id->has_point = true;
    id->point = (uint32_t)point;
    id->survivors = xalloc_check(strdup(text + digits));
    return true;
}

static bool parse_script(const char *text, size_t length, struct finding_id *id)
{
    if (id->script || !length || length % 2)
        return false;
    id->script_len = length / 2;
    id->script = xmalloc(id->script_len);
    for (size_t i = 0; i < length; i += 2) {
        unsigned value;
        if (!isxdigit((unsigned char)text[i]) || !isxdigit((unsigned char)text[i + 1]) ||
            sscanf(text + i, "%2x", &value) != 1)
            return false;
        id->script[i / 2] = (uint8_t)value;
    }
    return true;
}

static bool parse_field(unsigned index, const char *field, size_t length, struct finding_id *id)
{
    if (index == 1)
        return length && decode(field, length, id->design, sizeof(id->design));
    if (index == 2) {
        if (!length || length >= sizeof(id->disk))
            return false;
        memcpy(id->disk, field, length);
        id->disk[length] = 0;
        return true;
    }
    if (length > 1 && field[0] == 's' && isdigit((unsigned char)field[1]))
        return number(field + 1, length - 1, &id->schedule) && id->schedule != ID_ALL_SCHEDULES;
    if (length == 4 && !memcmp(field, "sall", 4)) {
        id->schedule = ID_ALL_SCHEDULES;
        return true;
    }
    if (length > 1 && field[0] == 'x')
        return parse_script(field + 1, length - 1, id);
    if (length > 5 && !memcmp(field, "seed=", 5))
        return number(field + 5, length - 5, &id->seed);
    return false;
}

static bool parse_fields(const char *text, struct finding_id *id)
{
    unsigned index = 0;
    for (const char *at = text; at;) {
        if (index >= 3 && *at == '@')
            return parse_point(at + 1, id);
        const char *colon = strchr(at, ':');
        size_t length = colon ? (size_t)(colon - at) : strlen(at);
        if (index == 0) {
            id->scenario = xmalloc(length + 1);
            if (!length || !decode(at, length, id->scenario, length + 1))
                return false;
        } else if (!parse_field(index, at, length, id)) {
            return false;
        }
        index++;
        at = colon ? colon + 1 : NULL;
    }
    return index >= 3;
}

/* A state belongs to one schedule. */
static bool is_sound(const struct finding_id *id)
{
    return !id->has_point || id->script || id->schedule != ID_ALL_SCHEDULES;
}

bool id_parse(const char *text, struct finding_id *id, char *why, size_t why_size)
{
    *id = (struct finding_id){.schedule = 1, .seed = 1};
    if (parse_fields(text, id) && is_sound(id)) {
        if (!id->survivors)
            id->survivors = xalloc_check(strdup(""));
        return true;
    }
    id_free(id);
    snprintf(why, why_size,
             "'%.80s' is no id; expected scenario:design:disk[:sN|:xHEX][:seed=N]:@point[+survivors], such as "
             "cow-partial:v2:ssd:@14+L2",
             text);
    return false;
}

void id_free(struct finding_id *id)
{
    free(id->scenario);
    free(id->survivors);
    free(id->script);
    *id = (struct finding_id){0};
}
