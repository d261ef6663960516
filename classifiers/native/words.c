#include "words.h"

#include <stdlib.h>
#include <string.h>

static const uint64_t K = 0x9E3779B97F4A7C15u;

static uint64_t hash_of(const uint8_t *word, size_t size) {
    uint64_t hash = size * K;
    while (size >= 8) {
        uint64_t part;
        memcpy(&part, word, 8);
        hash = (hash ^ part) * K;
        hash ^= hash >> 32;
        word += 8;
        size -= 8;
    }
    uint64_t rest = 0;
    for (size_t at = 0; at < size; at++) rest = rest << 8 | word[at];
    hash = (hash ^ rest) * K;
    hash ^= hash >> 29;
    return hash * K;
}

static size_t size_of(const Words *words, uint32_t number) {
    return words->starts[number + 1] - words->starts[number] - 1;
}

static int is_it(const Words *words, uint32_t number, const uint8_t *word, size_t size) {
    return size_of(words, number) == size && memcmp(words->list + words->starts[number], word, size) == 0;
}

int words_build(Words *words, const uint8_t *list, size_t size) {
    memset(words, 0, sizeof *words);
    if (size >= (size_t)1 << 30) return -1;
    size_t count = 1, slots = 16;
    for (size_t at = 0; at < size; at++) count += list[at] == '\n';
    while (slots < 2 * count) slots *= 2;
    words->list = list;
    words->starts = malloc((count + 1) * sizeof *words->starts);
    words->slots = calloc(slots, sizeof *words->slots);
    if (words->starts == NULL || words->slots == NULL) {
        words_free(words);
        return -2;
    }
    words->mask = slots - 1;
    words->count = count;
    for (words->numbers = 1; words->numbers < count + 1;) words->numbers = words->numbers * 2 + 1;
    size_t number = 0;
    words->starts[0] = 0;
    for (size_t at = 0; at < size; at++)
        if (list[at] == '\n') words->starts[++number] = (uint32_t)at + 1;
    words->starts[count] = (uint32_t)size + 1;
    for (uint32_t each = 0; each < count; each++) {
        const uint8_t *word = list + words->starts[each];
        const size_t length = size_of(words, each);
        const uint64_t hash = hash_of(word, length);
        size_t slot = hash & words->mask;
        while (words->slots[slot] && !is_it(words, (words->slots[slot] & words->numbers) - 1, word, length))
            slot = (slot + 1) & words->mask;
        words->distinct += words->slots[slot] == 0;
        words->slots[slot] = ((uint32_t)(hash >> 32) & ~words->numbers) | (each + 1);
        if (length > words->longest) words->longest = length;
    }
    return 0;
}

void words_free(Words *words) {
    free(words->starts);
    free(words->slots);
    words->starts = NULL;
    words->slots = NULL;
}

int32_t words_find(const Words *words, const uint8_t *word, size_t size) {
    if (size > words->longest) return -1;
    const uint64_t hash = hash_of(word, size);
    for (size_t slot = hash & words->mask;; slot = (slot + 1) & words->mask) {
        const uint32_t found = words->slots[slot];
        if (found == 0) return -1;
        const uint32_t number = (found & words->numbers) - 1;
        if (((found ^ (uint32_t)(hash >> 32)) & ~words->numbers) == 0 && is_it(words, number, word, size)) return (int32_t)number;
    }
}
