#include "embedding.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_CHARACTERS = 100, NONE = 0, LETTERS = 1, ALONE = 2 };

/* Whether a byte is part of a word, a word by itself, or neither. Bytes of other characters come parted already. */
static int kind_of(uint8_t byte) {
    if (byte >= 128 || (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9'))
        return LETTERS;
    return byte == ' ' || (byte >= '\t' && byte <= '\r') || (byte >= 0x1C && byte <= 0x1F) ? NONE : ALONE;
}

static void add_row(const Embedding *model, int32_t row, float *out) {
    const int8_t *bytes = model->table + (size_t)row * model->width;
    const float scale = model->scale[row];
    for (size_t at = 0; at < model->width; at++) out[at] += scale * (float)bytes[at];
}

/* The longest known piece at the beginning of what is left of a word; its row and its size, or -1. */
static int32_t longest_piece(const Words *words, const uint8_t *word, size_t left, size_t *size) {
    for (size_t length = left < words->longest ? left : words->longest; length > 0; length--) {
        const int32_t row = words_find(words, word, length);
        if (row >= 0) {
            *size = length;
            return row;
        }
    }
    return -1;
}

/* A word that is no piece: all of its pieces, or none of them where one is not known. */
static int cut(const Embedding *model, const uint8_t *word, size_t size, float *out) {
    int32_t rows[MOST_CHARACTERS];
    size_t characters = 0, count = 0;
    for (size_t at = 0; at < size; at++) characters += (word[at] & 0xC0) != 0x80;
    if (characters > MOST_CHARACTERS) return 0;
    const Words *words = model->first;
    for (size_t at = 0, length = 0; at < size; at += length) {
        const int32_t row = longest_piece(words, word + at, size - at, &length);
        if (row < 0 || count == MOST_CHARACTERS) return 0;
        rows[count++] = row;
        words = model->later;
    }
    for (size_t each = 0; each < count; each++) add_row(model, rows[each], out);
    return count > 0;
}

static int add_word(const Embedding *model, const uint8_t *word, size_t size, float *out) {
    const int32_t row = words_find(model->first, word, size);
    if (row < 0) return cut(model, word, size, out);
    add_row(model, row, out);
    return 1;
}

int embedding_vector(const Embedding *model, const uint8_t *data, size_t size, float *out) {
    uint8_t *small = malloc(size + 1);
    if (small == NULL) return -2;
    for (size_t at = 0; at < size; at++)
        small[at] = data[at] >= 'A' && data[at] <= 'Z' ? (uint8_t)(data[at] + 32) : data[at];
    memset(out, 0, model->width * sizeof *out);
    int any = 0;
    for (size_t at = 0; at < size;) {
        const int kind = kind_of(small[at]);
        size_t end = at + 1;
        while (kind == LETTERS && end < size && kind_of(small[end]) == LETTERS) end++;
        if (kind != NONE) any |= add_word(model, small + at, end - at, out);
        at = end;
    }
    free(small);
    double total = 0.0;
    for (size_t at = 0; at < model->width; at++) total += (double)out[at] * (double)out[at];
    const float length = (float)sqrt(total);
    for (size_t at = 0; any && length > 0.0f && at < model->width; at++) out[at] /= length;
    return 0;
}
