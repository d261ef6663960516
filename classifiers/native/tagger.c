#include "tagger.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fast_paths.h"

/* Eight numbers at once, wherever they stand: two or more instructions where the processor has fewer. */
typedef float Eight __attribute__((vector_size(32), aligned(4), may_alias));
typedef int16_t Sixteen __attribute__((vector_size(32), aligned(2), may_alias));

/* Bits of the table of names and buckets behind those of words: see tagger_features.py. */
_Static_assert(LABEL_COUNT == 9 && (PLACES + 1) * DEEP % 64 == 0 && ROW % 48 == 0 && HIDDEN % 16 == 0, "how sums are cut into eights");
enum { LENGTHS = 16, LONG_NUMBER = 15, SLOTS = WORDS * 2, NOWHERE = 0 };

typedef struct {
    uint8_t size;
    uint8_t data[WORD_SIZE];
} Word;

struct Tagger {
    TaggerWeights weights;
    uint32_t crc[256];
    uint32_t word_kind, end_kind, begin_kind; /* CRC-32 of "w", "s" and "b", which go on from there */
    size_t count, kept;
    uint32_t slots[SLOTS];                    /* row + 1, or NOWHERE */
    Word words[WORDS];
    int16_t rows[WORDS][ROW];
    int16_t walls[2][ROW];                    /* of "\n" and of NUL */
};

static uint32_t crc_on(const uint32_t *table, uint32_t crc, const uint8_t *data, size_t size) {
    crc = ~crc;
    for (size_t at = 0; at < size; at++) crc = table[(crc ^ data[at]) & 255] ^ (crc >> 8);
    return ~crc;
}

static void make_crc(uint32_t table[256]) {
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t value = byte;
        for (int bit = 0; bit < 8; bit++) value = value & 1 ? 0xEDB88320u ^ (value >> 1) : value >> 1;
        table[byte] = value;
    }
}

static int is_upper(uint8_t byte) { return byte >= 'A' && byte <= 'Z'; }
static int is_lower(uint8_t byte) { return byte >= 'a' && byte <= 'z'; }
static int is_letter(uint8_t byte) { return is_lower(byte | 32) && byte < 128; }
static int is_digit(uint8_t byte) { return byte >= '0' && byte <= '9'; }
static int is_blank(uint8_t byte) { return byte == ' ' || (byte >= 9 && byte <= 13) || (byte >= 28 && byte <= 31); }

/* The class of the code point at `at`, and its bytes; 0 bytes where there is none. */
static size_t next_class(const uint8_t *classes, const uint8_t *text, size_t size, size_t at, uint8_t *kind) {
    const uint8_t first = text[at];
    if (first < 128) {
        *kind = classes[first];
        return 1;
    }
    const size_t bytes = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
    if (first < 0xC2 || first > 0xF4 || at + bytes > size) return 0;
    uint32_t point = first & (0x7Fu >> bytes);
    for (size_t more = 1; more < bytes; more++) {
        if ((text[at + more] & 0xC0) != 0x80) return 0;
        point = point << 6 | (text[at + more] & 0x3F);
    }
    static const uint32_t LEAST[5] = {0, 0, 0x80, 0x800, 0x10000};
    if (point < LEAST[bytes] || point >= CLASSED || (point >= 0xD800 && point < 0xE000)) return 0;
    *kind = classes[point];
    return bytes;
}

size_t tagger_tokenize(const uint8_t *classes, const uint8_t *text, size_t size, Token *tokens) {
    size_t count = 0, at = 0;
    while (at < size) {
        const size_t began = at;
        uint8_t kind, next;
        size_t bytes = next_class(classes, text, size, at, &kind);
        if (bytes == 0) return NO_TOKENS;
        at += bytes;
        if (text[began] == ' ' && at < size) {
            bytes = next_class(classes, text, size, at, &next);
            if (bytes == 0) return NO_TOKENS;
            if (next != BLANK && next != UNDERSCORE) { /* the blank before a word belongs to it */
                at += bytes;
                kind = next;
            }
        }
        while (kind <= BLANK && at < size) {
            bytes = next_class(classes, text, size, at, &next);
            if (bytes == 0) return NO_TOKENS;
            if (next != kind) break;
            at += bytes;
        }
        tokens[count++] = (Token){text + began, at - began};
    }
    return count;
}

static int number_features(const uint32_t *crc, const uint8_t *word, size_t size, int spaced, uint32_t *found) {
    const uint32_t shown = size < LONG_NUMBER ? (uint32_t)size : LONG_NUMBER;
    found[0] = WORD_BUCKETS + 40 + shown;
    found[1] = WORD_BUCKETS + 64 + shown * 2 + (uint32_t)spaced;
    if (size > 4) {
        found[2] = WORD_BUCKETS + 210 + (word[0] == '0');
        return 3;
    }
    uint32_t value = 0;
    for (size_t at = 0; at < size; at++) value = value * 10 + (uint32_t)(word[at] - '0');
    found[2] = crc_on(crc, crc_on(crc, 0, (const uint8_t *)"d", 1), word, size) & (WORD_BUCKETS - 1);
    if (size < 4) {
        found[3] = WORD_BUCKETS + 100 + (value / 10 < 30 ? value / 10 : 30);
    } else {
        found[3] = WORD_BUCKETS + 140 + (value / 50 < 60 ? value / 50 : 60);
    }
    return 4;
}

/* 0 small letters, 1 the first one large, 2 all large, 3 mixed, 4 one large letter. */
static uint32_t shape_of(const uint8_t *word, size_t size) {
    size_t large = 0;
    for (size_t at = 0; at < size; at++) large += (size_t)is_upper(word[at]);
    if (large == 0) return 0;
    if (large == size) return size == 1 ? 4 : 2;
    return large == 1 && is_upper(word[0]) ? 1 : 3;
}

/* Where a slot stands among those of known words, or `count` where it does not. */
static size_t known_at(const uint32_t *known, size_t count, uint32_t slot) {
    size_t low = 0, high = count;
    while (low < high) {
        const size_t middle = (low + high) / 2;
        if (known[middle] < slot) low = middle + 1;
        else high = middle;
    }
    return low < count && known[low] == slot ? low : count;
}

static int letter_features(
    const uint32_t *crc, const TaggerWeights *weights, const uint8_t *word, size_t size, int spaced, uint32_t *found
) {
    const uint32_t kind = shape_of(word, size);
    const uint32_t shown = size < LENGTHS - 1 ? (uint32_t)size : LENGTHS - 1;
    const uint32_t word_kind = crc_on(crc, 0, (const uint8_t *)"w", 1);
    const uint32_t end_kind = crc_on(crc, 0, (const uint8_t *)"s", 1);
    const uint32_t begin_kind = crc_on(crc, 0, (const uint8_t *)"b", 1);
    const uint8_t cased[2] = {'c', (uint8_t)('0' + kind)};
    uint32_t plain = ~0u, named = ~word_kind, shaped = ~crc_on(crc, 0, cased, 2);
    uint8_t head[4], tail[6];
    const size_t tail_size = size < 6 ? size : 6;
    for (size_t at = 0; at < size; at++) {
        const uint8_t low = word[at] | 32;
        plain = crc[(plain ^ low) & 255] ^ (plain >> 8);
        named = crc[(named ^ low) & 255] ^ (named >> 8);
        shaped = crc[(shaped ^ low) & 255] ^ (shaped >> 8);
        if (at < 4) head[at] = low;
        if (at + tail_size >= size) tail[at + tail_size - size] = low;
    }
    const uint32_t mask = WORD_BUCKETS - 1, slot = ~plain & (LISTED_SLOTS - 1);
    const uint32_t bits = names_find(&weights->listed, slot);
    int count = 0;
    found[count++] = ~named & mask;
    found[count++] = WORD_BUCKETS + 220 + kind * 2 + (uint32_t)spaced;
    found[count++] = WORD_BUCKETS + 240 + kind * LENGTHS + shown;
    found[count++] = WORD_BUCKETS + 340 + (bits & 63) * 2 + (kind == 0);
    found[count++] = WORD_BUCKETS + 480 + (bits >> 6) * 8 + kind;
    found[count++] = WORD_BUCKETS + 520 + (bits & 7) * 32 + (bits >> 6) * 8 + kind;
    const size_t parts = size > 4 ? 4 : size - 1;
    for (size_t length = 1; length <= parts; length++) {
        found[count++] = crc_on(crc, end_kind, tail + tail_size - length, length) & mask;
        if (length > 1) found[count++] = crc_on(crc, begin_kind, head, length) & mask;
    }
    if (size > 6) found[count++] = crc_on(crc, end_kind, tail, 6) & mask;
    if (kind != 1) found[count++] = ~shaped & mask;
    const size_t row = known_at(weights->known, weights->known_count, slot);
    if (row < weights->known_count) found[count++] = FIRST_KNOWN + (uint32_t)row;
    return count;
}

static int features_with(
    const uint32_t *crc, const TaggerWeights *weights, const uint8_t *token, size_t size, uint32_t *found
) {
    const int spaced = token[0] == ' ';
    size_t first = 0;
    while (first < size && token[first] == ' ') first++;
    const uint8_t *word = token + first;
    const size_t rest = size - first;
    if (rest == 0 || is_blank(word[0])) {
        uint32_t lines = 0;
        for (size_t at = 0; at < size; at++) lines += token[at] == '\n';
        const uint32_t length = size < 3 ? (uint32_t)size : 3;
        found[0] = WORD_BUCKETS + 1 + (lines < 3 ? lines : 3) * 4 + length;
        return 1;
    }
    if (is_digit(word[0])) return number_features(crc, word, rest, spaced, found);
    if (is_letter(word[0])) return letter_features(crc, weights, word, rest, spaced, found);
    found[0] = crc_on(crc, crc_on(crc, 0, (const uint8_t *)"p", 1), word, rest) & (WORD_BUCKETS - 1);
    found[1] = crc_on(crc, crc_on(crc, 0, (const uint8_t *)"ps", 2), token, size) & (WORD_BUCKETS - 1);
    found[2] = WORD_BUCKETS + 32 + (uint32_t)spaced;
    return 3;
}

int tagger_features(const TaggerWeights *weights, const uint8_t *token, size_t size, uint32_t found[MOST_FEATURES]) {
    uint32_t crc[256];
    make_crc(crc);
    return size ? features_with(crc, weights, token, size, found) : 0;
}

static inline __attribute__((always_inline)) void row_of(
    const TaggerWeights *weights, const uint32_t *buckets, int count, int16_t *row
) {
    int16_t look[LOOKS] = {0}; /* of at most MOST_FEATURES bytes */
    float added[ROW];
    for (int each = 0; each < count; each++) {
        const int8_t *numbers = weights->looks + (size_t)buckets[each] * LOOKS;
        for (int at = 0; at < LOOKS; at++) look[at] = (int16_t)(look[at] + numbers[at]);
    }
    for (int column = 0; column < ROW; column += 48) {
        Eight sum[6] = {{0}};
        for (int at = 0; at < LOOKS; at++) {
            const Eight *row = (const Eight *)(weights->near + (size_t)at * ROW + column);
            const float factor = (float)look[at];
            sum[0] += row[0] * factor;
            sum[1] += row[1] * factor;
            sum[2] += row[2] * factor;
            sum[3] += row[3] * factor;
            sum[4] += row[4] * factor;
            sum[5] += row[5] * factor;
        }
        memcpy(added + column, sum, sizeof sum);
    }
    for (int column = 0; column < ROW; column++) {
        float steps = rintf((added[column] + weights->near_bias[column]) / weights->step);
        if (!(steps >= -weights->steps)) steps = -weights->steps; /* also where it is no number */
        if (steps > weights->steps) steps = weights->steps;
        row[column] = (int16_t)steps;
    }
}

/* What one place of the first layer adds: to each token that sees it, and to the means around it. */
static inline __attribute__((always_inline)) void spread(
    const TaggerWeights *weights, const int16_t *const rows[NEIGHBOURS], float sides[(PLACES + 1) * DEEP]
) {
    int16_t sums[HIDDEN];
    for (int at = 0; at < HIDDEN; at += 16) {
        Sixteen sum = *(const Sixteen *)(rows[0] + at);
        for (int block = 1; block < NEIGHBOURS; block++) sum += *(const Sixteen *)(rows[block] + block * HIDDEN + at);
        memcpy(sums + at, &sum, sizeof sum);
    }
    int active = 0, which[HIDDEN];
    float factors[HIDDEN];
    for (int at = 0; at < HIDDEN; at++) { /* written always, kept when it is above zero: which are is not predictable */
        which[active] = at;
        factors[active] = (float)sums[at] * weights->step;
        active += sums[at] > 0;
    }
    for (int column = 0; column < (PLACES + 1) * DEEP; column += 64) {
        const float *numbers = weights->far + column;
        Eight sum[8] = {{0}};
        for (int each = 0; each < active; each++) {
            const Eight *row = (const Eight *)(numbers + (size_t)which[each] * (PLACES + 1) * DEEP);
            const float factor = factors[each];
            sum[0] += row[0] * factor;
            sum[1] += row[1] * factor;
            sum[2] += row[2] * factor;
            sum[3] += row[3] * factor;
            sum[4] += row[4] * factor;
            sum[5] += row[5] * factor;
            sum[6] += row[6] * factor;
            sum[7] += row[7] * factor;
        }
        memcpy(sides + column, sum, sizeof sum);
    }
}

static inline __attribute__((always_inline)) void label(
    const TaggerWeights *weights, const float *places, const double *about, double share, float *logits
) {
    float deep[DEEP];
    for (int at = 0; at < DEEP; at++) {
        const float sum = (float)(about[at] * share) + places[at] + weights->far_bias[at];
        deep[at] = sum > 0.0f ? sum : 0.0f;
    }
    Eight low = *(const Eight *)weights->out_bias, even = {0}, odd = {0};
    float last = weights->out_bias[8];
    for (int at = 0; at < DEEP; at += 2) {
        even += *(const Eight *)(weights->out + (size_t)at * LABEL_COUNT) * deep[at];
        odd += *(const Eight *)(weights->out + (size_t)(at + 1) * LABEL_COUNT) * deep[at + 1];
    }
    for (int at = 0; at < DEEP; at++) last += deep[at] * weights->out[(size_t)at * LABEL_COUNT + 8];
    low += even + odd;
    memcpy(logits, &low, sizeof low);
    logits[8] = last;
}

/* `rows`: count + 2 * WALLS of them. `places` and `means` have count * DEEP numbers. */
static inline __attribute__((always_inline)) void layers(
    const TaggerWeights *weights, const int16_t *const *rows, size_t count, float *places, float *means, float *logits
) {
    const size_t reach = (PLACES / 2) * PLACE_STEP;
    memset(places, 0, count * DEEP * sizeof(float));
    for (size_t place = 0; place < count + 2 * reach; place++) {
        float sides[(PLACES + 1) * DEEP];
        spread(weights, rows + place, sides);
        for (size_t block = 0; block < PLACES; block++) {
            if (place < block * PLACE_STEP || place - block * PLACE_STEP >= count) continue;
            float *sums = places + (place - block * PLACE_STEP) * DEEP;
            for (int at = 0; at < DEEP; at++) sums[at] += sides[block * DEEP + at];
        }
        if (place >= reach && place - reach < count)
            memcpy(means + (place - reach) * DEEP, sides + PLACES * DEEP, DEEP * sizeof(float));
    }
    double about[DEEP] = {0};
    size_t low = 0, high = 0;
    for (size_t token = 0; token < count; token++) {
        const size_t from = token > ABOUT ? token - ABOUT : 0;
        const size_t to = token + ABOUT + 1 < count ? token + ABOUT + 1 : count;
        for (; high < to; high++)
            for (int at = 0; at < DEEP; at++) about[at] += means[high * DEEP + at];
        for (; low < from; low++)
            for (int at = 0; at < DEEP; at++) about[at] -= means[low * DEEP + at];
        label(weights, places + token * DEEP, about, 1.0 / (double)(to - from), logits + token * LABEL_COUNT);
    }
}

TWO_PATHS(void, run_row, (const TaggerWeights *weights, const uint32_t *buckets, int count, int16_t *row),
          row_of(weights, buckets, count, row), (weights, buckets, count, row))
TWO_PATHS(void, run_layers,
          (const TaggerWeights *weights, const int16_t *const *rows, size_t count, float *places, float *means,
           float *logits),
          layers(weights, rows, count, places, means, logits), (weights, rows, count, places, means, logits))

static uint32_t slot_of(const uint8_t *data, size_t size) {
    uint32_t hash = 2166136261u;
    for (size_t at = 0; at < size; at++) hash = (hash ^ data[at]) * 16777619u;
    return (hash ^ (hash >> 15)) & (SLOTS - 1);
}

static void forget(Tagger *tagger) {
    memset(tagger->slots, 0, sizeof tagger->slots);
    tagger->count = tagger->kept;
    for (size_t row = 0; row < tagger->count; row++) {
        uint32_t slot = slot_of(tagger->words[row].data, tagger->words[row].size);
        while (tagger->slots[slot] != NOWHERE) slot = (slot + 1) & (SLOTS - 1);
        tagger->slots[slot] = (uint32_t)row + 1;
    }
}

/* Where the row of a token stands, or is to stand: its slot. */
static uint32_t slot_for(const Tagger *tagger, const uint8_t *data, size_t size) {
    uint32_t slot = slot_of(data, size);
    while (tagger->slots[slot] != NOWHERE) {
        const Word *word = &tagger->words[tagger->slots[slot] - 1];
        if (word->size == size && memcmp(word->data, data, size) == 0) break;
        slot = (slot + 1) & (SLOTS - 1);
    }
    return slot;
}

/* A row for a token at a free slot; there is room for one. */
static const int16_t *put(
    Tagger *tagger, uint32_t slot, const uint8_t *data, size_t size, const uint32_t *buckets, int count
) {
    const size_t row = tagger->count++;
    run_row(&tagger->weights, buckets, count, tagger->rows[row]);
    tagger->words[row].size = (uint8_t)size;
    memcpy(tagger->words[row].data, data, size);
    tagger->slots[slot] = (uint32_t)row + 1;
    return tagger->rows[row];
}

static int is_ascii(const uint8_t *data, size_t size) {
    uint8_t all = 0;
    for (size_t at = 0; at < size; at++) all |= data[at];
    return all < 128;
}

/* A number of more than four digits stands for all that look like it. `made` has room for a blank and LONG_NUMBER. */
static void alike(const uint8_t **data, size_t *size, uint8_t made[LONG_NUMBER + 1]) {
    const size_t blank = (*data)[0] == ' ' ? 1 : 0;
    const uint8_t *word = *data + blank;
    size_t digits = *size - blank;
    if (digits < 5 || !is_digit(word[0]) || !is_ascii(word, digits)) return;
    if (digits > LONG_NUMBER) digits = LONG_NUMBER;
    made[0] = ' ';
    memset(made + blank, '1', digits);
    made[blank] = word[0] == '0' ? '0' : '1';
    *data = made;
    *size = blank + digits;
}

Tagger *tagger_new(const TaggerWeights *weights) {
    Tagger *tagger = calloc(1, sizeof(Tagger)); /* most of it is not touched before it is needed */
    if (tagger == NULL) return NULL;
    tagger->weights = *weights;
    make_crc(tagger->crc);
    uint32_t buckets[MOST_FEATURES];
    const uint8_t line = '\n', nothing = 0;
    run_row(weights, buckets, features_with(tagger->crc, weights, &line, 1, buckets), tagger->walls[0]);
    run_row(weights, buckets, features_with(tagger->crc, weights, &nothing, 1, buckets), tagger->walls[1]);
    return tagger;
}

void tagger_free(Tagger *tagger) { free(tagger); }

int tagger_keep(Tagger *tagger, const uint8_t *word, size_t size) {
    if (size == 0 || size > WORD_SIZE || !is_ascii(word, size) || tagger->kept >= USUAL) return -1;
    if (tagger->count != tagger->kept) forget(tagger);
    const uint32_t slot = slot_for(tagger, word, size);
    if (tagger->slots[slot] == NOWHERE) {
        uint32_t buckets[MOST_FEATURES];
        put(tagger, slot, word, size, buckets, features_with(tagger->crc, &tagger->weights, word, size, buckets));
    }
    tagger->kept = tagger->count;
    return 0;
}

int tagger_learn(Tagger *tagger, const uint8_t *word, size_t size, const int32_t *buckets, size_t count) {
    if (size == 0 || size > WORD_SIZE || count == 0 || count > MOST_FEATURES) return -1;
    uint32_t found[MOST_FEATURES];
    for (size_t each = 0; each < count; each++) {
        if (buckets[each] < 0 || (size_t)buckets[each] >= FIRST_KNOWN + tagger->weights.known_count) return -1;
        found[each] = (uint32_t)buckets[each];
    }
    if (tagger->count == WORDS) forget(tagger);
    const uint32_t slot = slot_for(tagger, word, size);
    if (tagger->slots[slot] == NOWHERE) put(tagger, slot, word, size, found, (int)count);
    return 0;
}

/* What is held while the rows of a text are looked up: those of tokens that are too long to be remembered, and what has
 * not been seen. */
typedef struct {
    int16_t (*rows)[ROW];
    size_t used;
    Token *unseen;
    size_t unseen_count;
    int is_full;
} Aside;

static const int16_t *row_for(Tagger *tagger, const Token *token, Aside *aside) {
    const uint8_t *data = token->data;
    size_t size = token->size;
    uint8_t made[LONG_NUMBER + 1];
    uint32_t buckets[MOST_FEATURES];
    alike(&data, &size, made);
    if (size > WORD_SIZE) {
        int16_t *row = aside->rows[aside->used++];
        run_row(&tagger->weights, buckets, features_with(tagger->crc, &tagger->weights, data, size, buckets), row);
        return row;
    }
    const uint32_t slot = slot_for(tagger, data, size);
    if (tagger->slots[slot] != NOWHERE) return tagger->rows[tagger->slots[slot] - 1];
    if (!is_ascii(data, size)) {
        aside->unseen[aside->unseen_count++] = *token;
        return tagger->walls[0];
    }
    if (tagger->count == WORDS) {
        aside->is_full = 1;
        return tagger->walls[0];
    }
    return put(tagger, slot, data, size, buckets, features_with(tagger->crc, &tagger->weights, data, size, buckets));
}

/* Have a row on its way from memory before it is added: rows are looked up in no order that the processor could foresee. */
static void fetch(const int16_t *row) {
    for (int at = 0; at < ROW; at += 32) __builtin_prefetch(row + at);
}

/* The rows of tokens between walls. */
static void look_up(Tagger *tagger, const Token *tokens, size_t count, const int16_t **rows, Aside *aside) {
    aside->used = aside->unseen_count = 0;
    aside->is_full = 0;
    for (size_t at = 0; at < WALLS; at++) {
        rows[at] = tagger->walls[at % 3 == 1];
        rows[WALLS + count + at] = tagger->walls[at % 3 == 1];
    }
    for (size_t at = 0; at < count && !aside->is_full; at++) {
        rows[WALLS + at] = row_for(tagger, &tokens[at], aside);
        fetch(rows[WALLS + at]);
    }
}

Tagged tagger_logits(Tagger *tagger, const Token *tokens, size_t count, float *logits, Token *unseen, size_t *unseen_count) {
    *unseen_count = 0;
    if (count == 0) return TAGGED;
    size_t longer = 0;
    for (size_t at = 0; at < count; at++) {
        if (tokens[at].size <= WORD_SIZE) continue;
        if (!is_ascii(tokens[at].data, tokens[at].size)) return TOO_MANY;
        longer++;
    }
    const int16_t **rows = malloc((count + 2 * WALLS) * sizeof *rows);
    float *sums = malloc(2 * count * DEEP * sizeof *sums);
    Aside aside = {.rows = malloc((longer + 1) * sizeof *aside.rows), .unseen = unseen};
    Tagged result = NO_MEMORY;
    if (rows != NULL && sums != NULL && aside.rows != NULL) {
        look_up(tagger, tokens, count, rows, &aside);
        if (aside.is_full) {
            forget(tagger);
            look_up(tagger, tokens, count, rows, &aside);
        }
        *unseen_count = aside.unseen_count;
        result = aside.is_full ? TOO_MANY : aside.unseen_count ? UNSEEN : TAGGED;
        if (result == TAGGED) run_layers(&tagger->weights, rows, count, sums, sums + count * DEEP, logits);
    }
    free(aside.rows);
    free(sums);
    free(rows);
    return result;
}

size_t tagger_sure(const float *logits, size_t count, double floor, Sure *found) {
    size_t sure = 0;
    /* Of a label that is less than this over none, no chance of all together reaches the floor. */
    const double least = log(floor / (1.0 - floor) / (LABEL_COUNT - 1));
    for (size_t token = 0; token < count; token++) {
        const float *values = logits + token * LABEL_COUNT;
        int best = 1;
        for (int each = 2; each < LABEL_COUNT; each++)
            if (values[each] > values[best]) best = each;
        if (!((double)values[best] - (double)values[0] > least)) continue;
        double others = 0.0;
        for (int each = 1; each < LABEL_COUNT; each++) others += exp((double)values[each] - (double)values[best]);
        const double none = exp((double)values[0] - (double)values[best]);
        const double chance = others / (others + none);
        if (chance > floor) found[sure++] = (Sure){token, best, chance};
    }
    return sure;
}
