/* The table of names, as classifiers/name_table.py has it: bits by slot, most of which hold none. */
#ifndef GATEHOUSE_NAMES_H
#define GATEHOUSE_NAMES_H

#include <stddef.h>
#include <stdint.h>

enum { LISTED_SLOTS = 1 << 23, LISTED_BLOCK = 512, LISTED_BLOCKS = LISTED_SLOTS / LISTED_BLOCK };

typedef struct {
    const uint8_t *used;    /* a bit for each slot */
    const uint32_t *before; /* used slots before each block */
    const uint8_t *bits;    /* of the used slots, in order */
} Names;

/* Whether the counts are those of the bits, and there are bits for `count` used slots. */
int names_agree(const Names *names, size_t count);

/* The bits of a slot below LISTED_SLOTS, of names that agree. */
uint8_t names_find(const Names *names, uint32_t slot);

#endif
