#include "names.h"

#include <string.h>

static uint32_t count_of(uint64_t bits) { return (uint32_t)__builtin_popcountll(bits); }

static uint64_t word_at(const uint8_t *used, size_t word) {
    uint64_t bits = 0;
    for (int byte = 7; byte >= 0; byte--) bits = bits << 8 | used[word * 8 + (size_t)byte];
    return bits;
}

int names_agree(const Names *names, size_t count) {
    uint32_t counted = 0;
    for (size_t block = 0; block < LISTED_BLOCKS; block++) {
        if (names->before[block] != counted) return 0;
        for (size_t word = 0; word < LISTED_BLOCK / 64; word++)
            counted += count_of(word_at(names->used, block * (LISTED_BLOCK / 64) + word));
    }
    return counted == count;
}

uint8_t names_find(const Names *names, uint32_t slot) {
    if (!(names->used[slot >> 3] >> (slot & 7) & 1)) return 0;
    const size_t block = slot / LISTED_BLOCK, last = slot / 64;
    uint32_t at = names->before[block];
    for (size_t word = block * (LISTED_BLOCK / 64); word < last; word++) at += count_of(word_at(names->used, word));
    at += count_of(word_at(names->used, last) & (((uint64_t)1 << (slot & 63)) - 1));
    return names->bits[at];
}
