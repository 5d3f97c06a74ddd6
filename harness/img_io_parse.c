/* img_io_parse.c: the commands of `qedcrash img io`: qemu-io's words. All are parsed before the first one runs. */
#include <string.h>

#include "harness/commands.h"
#include "harness/img.h"
#include "scenarios/scenario.h"
#include "simdisk/xalloc.h"

#define WORDS_MAX  8
#define WORD_BYTES 64

static const struct word {
    const char *name;
    enum img_io_op op;
    unsigned numbers; /* 2: offset and length; 1: length; 0: none */
    const char *usage;
} words[] = {
    {"write", IMG_IO_WRITE, 2, "write [-P PATTERN] OFFSET LENGTH, or write -z OFFSET LENGTH"},
    {"read", IMG_IO_READ, 2, "read [-P PATTERN] [-v] OFFSET LENGTH"},
    {"flush", IMG_IO_FLUSH, 0, "flush"},
    {"discard", IMG_IO_DISCARD, 2, "discard OFFSET LENGTH"},
    {"truncate", IMG_IO_TRUNCATE, 1, "truncate LENGTH"},
    {"length", IMG_IO_LENGTH, 0, "length"},
};

#define WORD_COUNT (sizeof(words) / sizeof(words[0]))

/* One command being taken apart. */
struct parse {
    const struct img_args *args;
    struct img_io_command *command;
    char word[WORDS_MAX][WORD_BYTES];
    unsigned count;
    bool zero;
};

static int refuse_usage(const struct parse *p, const char *what, const char *word, const struct word *w)
{
    img_error(p->args, "-c '%s': %s%s%s%s; expected: %s", p->command->text, what, word ? " '" : "", word ? word : "",
              word ? "'" : "", w->usage);
    return EXIT_USAGE;
}

static int split(struct parse *p)
{
    const char *s = p->command->text;

    for (;;) {
        size_t length;

        s += strspn(s, " \t");
        length = strcspn(s, " \t");
        if (length == 0)
            break;
        if (p->count == WORDS_MAX || length >= WORD_BYTES) {
            img_error(p->args, "-c '%.100s': too long; expected one command such as 'write -P 0x11 4k 4k'",
                      p->command->text);
            return EXIT_USAGE;
        }
        memcpy(p->word[p->count], s, length);
        p->word[p->count++][length] = '\0';
        s += length;
    }
    if (p->count)
        return 0;
    img_error(p->args, "-c '%s': empty; expected one command such as 'write -P 0x11 4k 4k'", p->command->text);
    return EXIT_USAGE;
}

static const struct word *find_word(const struct parse *p)
{
    const char *names[WORD_COUNT + 1] = {NULL};
    const char *near;

    for (size_t i = 0; i < WORD_COUNT; i++) {
        if (!strcmp(words[i].name, p->word[0]))
            return &words[i];
        names[i] = words[i].name;
    }
    near = scn_nearest_word(p->word[0], names);
    if (near)
        img_error(p->args, "-c '%s': unknown command '%s'; did you mean '%s'?", p->command->text, p->word[0], near);
    else
        img_error(p->args, "-c '%s': unknown command '%s'; expected write, read, flush, discard, truncate or length",
                  p->command->text, p->word[0]);
    return NULL;
}

/* "-P", "-z" and "-v" where they belong. Steps over an option's value. */
static int take_option(struct parse *p, const struct word *w, unsigned *i)
{
    struct img_io_command *c = p->command;
    bool reads = w->op == IMG_IO_READ, writes = w->op == IMG_IO_WRITE;
    const char *option = p->word[*i];
    uint64_t pattern;

    if (!strcmp(option, "-z") && writes) {
        p->zero = true;
    } else if (!strcmp(option, "-v") && reads) {
        c->dump = true;
    } else if (!strcmp(option, "-P") && (reads || writes)) {
        const char *value = *i + 1 < p->count ? p->word[++*i] : "";

        if (!scn_parse_size(value, strlen(value), &pattern) || pattern > 255)
            return refuse_usage(p, "a pattern is a number from 0 to 255, not", value, w);
        c->has_pattern = true;
        c->pattern = (uint8_t)pattern;
    } else {
        return refuse_usage(p, "unknown option", option, w);
    }
    return 0;
}

static int take_numbers(struct parse *p, const struct word *w)
{
    struct img_io_command *c = p->command;
    uint64_t number[2] = {0};
    unsigned have = 0;

    for (unsigned i = 1; i < p->count; i++) {
        const char *word = p->word[i];

        if (word[0] == '-') {
            int code = take_option(p, w, &i);

            if (code)
                return code;
            continue;
        }
        if (have == w->numbers)
            return refuse_usage(p, "one word too many:", word, w);
        if (!scn_parse_size(word, strlen(word), &number[have++]))
            return refuse_usage(p, "not a number:", word, w);
    }
    if (have < w->numbers)
        return refuse_usage(p, "something is missing", NULL, w);
    c->offset = w->numbers == 2 ? number[0] : 0;
    c->length = w->numbers == 2 ? number[1] : number[0];
    if (p->zero && c->has_pattern)
        return refuse_usage(p, "-z and -P together", NULL, w);
    return 0;
}

static int parse_one(const struct img_args *args, const char *text, struct img_io_command *command)
{
    struct parse p = {.args = args, .command = command};
    const struct word *w;
    int code;

    *command = (struct img_io_command){.text = text, .pattern = 0xcd};
    code = split(&p);
    if (code)
        return code;
    w = find_word(&p);
    if (!w)
        return EXIT_USAGE;
    command->op = w->op;
    code = take_numbers(&p, w);
    if (!code && p.zero)
        command->op = IMG_IO_ZERO;
    return code;
}

int img_io_parse(const struct img_args *args, struct img_io_command **commands)
{
    struct img_io_command *list = xcalloc(args->command_count, sizeof(*list));

    for (size_t i = 0; i < args->command_count; i++) {
        int code = parse_one(args, args->commands[i], &list[i]);

        if (code) {
            free(list);
            return code;
        }
    }
    *commands = list;
    return 0;
}
