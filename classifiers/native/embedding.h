/* The static embedding of a text: word pieces as classifiers/wordpiece.py cuts them, and the mean of their vectors. */
#ifndef GATEHOUSE_EMBEDDING_H
#define GATEHOUSE_EMBEDDING_H

#include "words.h"

enum { MOST_WIDTH = 1024 };

typedef struct {
    const Words *first; /* pieces that begin a word, a line for each row; empty lines for the others */
    const Words *later; /* pieces that go on in one */
    const int8_t *table; /* rows x width */
    const float *scale;  /* rows */
    size_t width;
} Embedding;

/* Writes the text's vector, of length one, or zeros where no piece is known. `data`: UTF-8 in which whatever is not ASCII
 * has been made small, stripped of accents and parted into words. 0, or -2 without memory. Linear in `size`. */
int embedding_vector(const Embedding *model, const uint8_t *data, size_t size, float *out);

#endif
