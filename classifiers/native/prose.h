/* What of a text is prose, as classifiers/prose.py says. */
#ifndef GATEHOUSE_PROSE_H
#define GATEHOUSE_PROSE_H

#include "words.h"

enum { MOST_HEAPS = 6, MOST_PARTS = 2 + 2 * MOST_HEAPS };

typedef struct {
    size_t start, end; /* bytes */
} Part;

/* Writes the parts of a text; how many, or -1 without memory. `small`: the small words, in every way of writing that counts.
 * Linear in `size`. */
int prose_parts(const Words *small, const uint8_t *text, size_t size, Part parts[MOST_PARTS]);

#endif
