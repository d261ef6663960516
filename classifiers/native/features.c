#include "features.h"

#include <math.h>
#include <string.h>

static const uint64_t BASE = 0x9E3779B97F4A7C15u;
static const uint64_t MIX = 0xD6E8FEB86659FD93u;
static const uint64_t PAIR = 0xA0761D6478BD642Fu;
static const uint64_t WORD_KIND = 0x2545F4914F6CDD1Du;
static const uint64_t PAIR_KIND = 0xC2B2AE3D27D4EB4Fu;
static const uint64_t GRAM_KIND = 0x165667B19E3779F9u;
static const double FAR_AWAY = 4.0; /* standard deviations beyond which a surface value counts as this far */

enum { GRAM = 5, LONG_WORD = 9 };
enum { OTHER, LETTER, DIGIT, SPACE, LINE, MATHS, CODE, STOP, QUESTION, WIDE, COMMA, CLASSES };

#define IS_WORD(kind) ((1u << (kind)) & (1u << LETTER | 1u << DIGIT | 1u << WIDE))

/* What kind of mark a byte is. Capital letters are OTHER: the text comes in small ones. */
static const uint8_t KIND[256] = {
    [' '] = SPACE, ['\t'] = SPACE, ['\r'] = LINE, ['\n'] = LINE,
    ['a'] = LETTER, ['b'] = LETTER, ['c'] = LETTER, ['d'] = LETTER, ['e'] = LETTER, ['f'] = LETTER, ['g'] = LETTER,
    ['h'] = LETTER, ['i'] = LETTER, ['j'] = LETTER, ['k'] = LETTER, ['l'] = LETTER, ['m'] = LETTER, ['n'] = LETTER,
    ['o'] = LETTER, ['p'] = LETTER, ['q'] = LETTER, ['r'] = LETTER, ['s'] = LETTER, ['t'] = LETTER, ['u'] = LETTER,
    ['v'] = LETTER, ['w'] = LETTER, ['x'] = LETTER, ['y'] = LETTER, ['z'] = LETTER,
    ['0'] = DIGIT, ['1'] = DIGIT, ['2'] = DIGIT, ['3'] = DIGIT, ['4'] = DIGIT, ['5'] = DIGIT, ['6'] = DIGIT,
    ['7'] = DIGIT, ['8'] = DIGIT, ['9'] = DIGIT,
    ['\\'] = MATHS, ['^'] = MATHS, ['$'] = MATHS, ['='] = MATHS, ['+'] = MATHS, ['*'] = MATHS, ['<'] = MATHS,
    ['>'] = MATHS, ['|'] = MATHS,
    ['{'] = CODE, ['}'] = CODE, ['['] = CODE, [']'] = CODE, ['('] = CODE, [')'] = CODE, [';'] = CODE, ['_'] = CODE,
    ['#'] = CODE, ['`'] = CODE, ['/'] = CODE, ['&'] = CODE, ['@'] = CODE,
    ['.'] = STOP, ['!'] = STOP, ['?'] = QUESTION, [','] = COMMA, [':'] = COMMA,
#define W8(n) [n] = WIDE, [n + 1] = WIDE, [n + 2] = WIDE, [n + 3] = WIDE, [n + 4] = WIDE, [n + 5] = WIDE, \
    [n + 6] = WIDE, [n + 7] = WIDE
    W8(128), W8(136), W8(144), W8(152), W8(160), W8(168), W8(176), W8(184),
    W8(192), W8(200), W8(208), W8(216), W8(224), W8(232), W8(240), W8(248),
#undef W8
};

typedef struct {
    Features *out;
    uint64_t seen[BUCKET_COUNT / 64];
} Set;

static void add(Set *set, uint64_t hash) {
    hash ^= hash >> 32;
    hash *= MIX;
    const uint32_t bucket = (uint32_t)(hash >> 48);
    const uint64_t bit = (uint64_t)1 << (bucket & 63);
    uint64_t *place = &set->seen[bucket >> 6];
    /* Written always and kept only when new: whether it is new cannot be predicted. */
    set->out->buckets[set->out->count] = (int32_t)bucket;
    set->out->count += (*place & bit) == 0;
    *place |= bit;
}

size_t features_size(size_t size) {
    /* A gram a byte; a word or a pair of words takes two bytes; one more, which `add` writes and does not keep. */
    return sizeof(Features) + sizeof(int32_t) * (2 * size + 2);
}

static double above(double value, double edge) { return value > edge ? value - edge : 0.0; }

int read_features(const uint8_t *data, size_t size, Features *out) {
    if (size < 2 || IS_WORD(KIND[data[0]]) || IS_WORD(KIND[data[size - 1]])) return -1;
    Set set;
    memset(set.seen, 0, sizeof set.seen);
    set.out = out;
    out->count = 0;

    size_t counts[CLASSES] = {0};
    size_t words = 0, letters = 0, long_words = 0;
    uint64_t word = 0, power = 1, last = 0;
    size_t length = 0;
    for (size_t at = 0; at < size; at++) {
        const uint8_t kind = KIND[data[at]];
        counts[kind]++;
        if (IS_WORD(kind)) {
            word += ((uint64_t)data[at] + 1) * power;
            power *= BASE;
            length++;
        } else if (length) {
            add(&set, word ^ WORD_KIND);
            if (words) add(&set, (last * PAIR + word) ^ PAIR_KIND);
            words++;
            letters += length;
            long_words += length >= LONG_WORD;
            last = word;
            word = 0;
            power = 1;
            length = 0;
        }
    }
    const uint64_t base2 = BASE * BASE, base3 = base2 * BASE, base4 = base3 * BASE;
    for (size_t at = 0; at + GRAM <= size; at++) {
        const uint64_t gram = ((uint64_t)data[at] + 1) + ((uint64_t)data[at + 1] + 1) * BASE +
                              ((uint64_t)data[at + 2] + 1) * base2 + ((uint64_t)data[at + 3] + 1) * base3 +
                              ((uint64_t)data[at + 4] + 1) * base4;
        add(&set, gram ^ GRAM_KIND);
    }

    const double total = size > 3 ? (double)(size - 2) : 1.0;
    const double log_size = log1p(total);
    double *surface = out->surface;
    surface[0] = log_size;
    surface[1] = above(log_size, 4.11);
    surface[2] = above(log_size, 5.48);
    surface[3] = above(log_size, 6.91);
    surface[4] = log1p((double)words);
    surface[5] = words ? (double)letters / (double)words : 0.0;
    surface[6] = words ? (double)long_words / (double)words : 0.0;
    surface[7] = (double)counts[DIGIT] / total;
    surface[8] = (double)counts[MATHS] / total;
    surface[9] = (double)counts[CODE] / total;
    surface[10] = (double)counts[WIDE] / total;
    surface[11] = (double)(counts[STOP] + counts[COMMA]) / total;
    surface[12] = log1p((double)counts[LINE]);
    surface[13] = log1p((double)counts[QUESTION]);
    surface[14] = log1p((double)counts[STOP]);
    surface[15] = counts[MATHS] >= 2 ? 1.0 : 0.0;
    surface[16] = counts[CODE] >= 6 ? 1.0 : 0.0;
    return 0;
}

double linear_logit(const Linear *model, const Features *features) {
    int64_t hashed = 0;
    for (size_t at = 0; at < features->count; at++) hashed += model->grams[features->buckets[at]];
    double around = 0.0;
    for (int at = 0; at < SURFACES; at++) {
        double standard = (features->surface[at] - model->mean[at]) / model->deviation[at];
        if (standard > FAR_AWAY) standard = FAR_AWAY;
        if (standard < -FAR_AWAY) standard = -FAR_AWAY;
        around += standard * model->surface[at];
    }
    const double count = features->count ? (double)features->count : 1.0;
    return model->bias + model->step * (double)hashed / sqrt(count) + around;
}
