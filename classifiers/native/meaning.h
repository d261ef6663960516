/* What a text means, as classifiers/meaning.py says: words and word pairs, one hidden layer, a value a class. */
#ifndef GATEHOUSE_MEANING_H
#define GATEHOUSE_MEANING_H

#include "words.h"

enum { MEANING_RESERVED = 14, MEANING_PAIRS = 1 << 16, MOST_HIDDEN = 256, MOST_CLASSES = 64 };

typedef struct {
    const Words *words;
    const int8_t *rows; /* (words + MEANING_RESERVED + MEANING_PAIRS) x hidden */
    const double *steps; /* hidden */
    const double *inner; /* hidden */
    const double *outer; /* hidden x classes */
    const double *bias;  /* classes */
    size_t hidden;
    size_t classes;
} Meaning;

/* Writes the value of each class to `out`. 0, or -2 without memory. Linear in `size`. */
int meaning_logits(const Meaning *model, const uint8_t *data, size_t size, double *out);

#endif
