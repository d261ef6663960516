#include "meaning.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { UNKNOWN, EDGE, SIZES, SIZE_COUNT = 12, BEGINNING = 5, ENDING = 4 };

static const uint64_t NEAR = 0x9E3779B97F4A7C15u;
static const uint64_t NEXT = 0xC2B2AE3D27D4EB4Fu;
static const uint64_t FAR = 0x165667B19E3779F9u;

/* Byte to byte: letters small, digits one digit, marks of code one mark, other punctuation a blank. */
static uint8_t plain(uint8_t byte) {
    if (byte >= 128) return byte;
    if (byte >= 'a' && byte <= 'z') return byte;
    if (byte >= 'A' && byte <= 'Z') return (uint8_t)(byte + 32);
    if (byte >= '0' && byte <= '9') return '0';
    switch (byte) {
    case '{': case '}': case '(': case ')': case '[': case ']': case ';': case '=': case '<': case '>': case '|': case '\\':
        return '{';
    case '?': case ':': case '$': case '%': case '@': case '#':
        return byte;
    default:
        return ' ';
    }
}

static int stands_alone(uint8_t byte) {
    return byte == '?' || byte == ':' || byte == '$' || byte == '%' || byte == '@' || byte == '#' || byte == '{';
}

/* How many bytes of typographic marks, which are blanks, stand here. */
static size_t typography(const uint8_t *at, size_t left) {
    if (left >= 2 && at[0] == 0xC2 && at[1] == 0xA0) return 2;
    if (left < 3 || at[0] != 0xE2 || at[1] != 0x80) return 0;
    return at[2] == 0x98 || at[2] == 0x99 || at[2] == 0x9C || at[2] == 0x9D || at[2] == 0x93 || at[2] == 0x94 ? 3 : 0;
}

enum { WAITING = 64 };

typedef struct {
    const Meaning *model;
    uint64_t *seen;
    int32_t *sums;
    size_t count;
    const int8_t *waiting[WAITING]; /* rows that are on their way from memory */
    size_t rows;
} Gathered;

static void add_waiting(Gathered *to) {
    const size_t hidden = to->model->hidden;
    for (size_t each = 0; each < to->rows; each++)
        for (size_t at = 0; at < hidden; at++) to->sums[at] += to->waiting[each][at];
    to->rows = 0;
}

static void gather(Gathered *to, size_t number) {
    const uint64_t bit = (uint64_t)1 << (number & 63);
    if (to->seen[number >> 6] & bit) return;
    to->seen[number >> 6] |= bit;
    to->count++;
    const size_t hidden = to->model->hidden;
    const int8_t *row = to->model->rows + number * hidden;
    for (size_t at = 0; at < hidden; at += 64) __builtin_prefetch(row + at);
    if (to->rows == WAITING) add_waiting(to);
    to->waiting[to->rows++] = row;
}

static void gather_pair(Gathered *to, uint64_t mixed) {
    /* An arithmetic shift, written out: the reference hashes signed numbers. */
    mixed ^= mixed >> 29 | (mixed >> 63 ? ~(uint64_t)0 << 35 : 0);
    mixed *= FAR;
    gather(to, to->model->words->distinct + MEANING_RESERVED + (size_t)(mixed >> 48));
}

static size_t number_of(const Words *words, const uint8_t *word, size_t size) {
    const int32_t found = words_find(words, word, size);
    return found < 0 ? UNKNOWN : (size_t)found + MEANING_RESERVED;
}

/* What stands for an unknown word: its beginning and its end, where they are known. */
static void gather_parts(Gathered *to, const uint8_t *word, size_t size) {
    uint8_t part[BEGINNING + 1];
    const size_t first = size < BEGINNING ? size : BEGINNING, last = size < ENDING ? size : ENDING;
    part[0] = '^';
    memcpy(part + 1, word, first);
    gather(to, number_of(to->model->words, part, first + 1));
    part[0] = '~';
    memcpy(part + 1, word + size - last, last);
    gather(to, number_of(to->model->words, part, last + 1));
}

typedef struct {
    Gathered to;
    size_t before, last; /* the two words before this one */
    size_t count;
} Reading;

static void follow(Reading *reading, size_t number) {
    gather_pair(&reading->to, reading->last * NEAR + number * NEXT);
    if (reading->count > 0) gather_pair(&reading->to, reading->before * NEAR + number * NEXT + FAR);
    reading->before = reading->last;
    reading->last = number;
}

static void read_word(Reading *reading, const uint8_t *word, size_t size) {
    const size_t number = number_of(reading->to.model->words, word, size);
    gather(&reading->to, number);
    if (number == UNKNOWN) gather_parts(&reading->to, word, size);
    follow(reading, number);
    reading->count++;
}

static void read_all(Reading *reading, const uint8_t *data, size_t size, uint8_t *word) {
    size_t length = 0;
    for (size_t at = 0; at < size;) {
        const size_t blank = data[at] >= 128 ? typography(data + at, size - at) : 0;
        const uint8_t byte = blank ? ' ' : plain(data[at]);
        at += blank ? blank : 1;
        if (byte != ' ' && !stands_alone(byte)) {
            word[length++] = byte;
            continue;
        }
        if (length) read_word(reading, word, length);
        length = 0;
        if (byte != ' ') read_word(reading, &byte, 1);
    }
    if (length) read_word(reading, word, length);
}

int meaning_logits(const Meaning *model, const uint8_t *data, size_t size, double *out) {
    const size_t numbers = model->words->distinct + MEANING_RESERVED + MEANING_PAIRS;
    uint64_t *seen = calloc(numbers / 64 + 1, sizeof *seen);
    uint8_t *word = malloc(size + 1);
    if (seen == NULL || word == NULL) {
        free(seen);
        free(word);
        return -2;
    }
    int32_t sums[MOST_HIDDEN] = {0};
    Reading reading = {.to = {.model = model, .seen = seen, .sums = sums}, .before = EDGE, .last = EDGE, .count = 0};
    gather(&reading.to, EDGE);
    read_all(&reading, data, size, word);
    const size_t words = reading.count;
    follow(&reading, EDGE);
    size_t doublings = 0;
    while (words >> doublings) doublings++;
    gather(&reading.to, SIZES + (doublings < SIZE_COUNT ? doublings : SIZE_COUNT - 1));
    add_waiting(&reading.to);
    free(seen);
    free(word);

    const double root = sqrt((double)reading.to.count);
    for (size_t each = 0; each < model->classes; each++) out[each] = 0.0;
    for (size_t at = 0; at < model->hidden; at++) {
        const double value = (double)sums[at] * (model->steps[at] / root) + model->inner[at];
        if (!(value > 0.0)) continue;
        const double *weights = model->outer + at * model->classes;
        for (size_t each = 0; each < model->classes; each++) out[each] += value * weights[each];
    }
    for (size_t each = 0; each < model->classes; each++) out[each] += model->bias[each];
    return 0;
}
