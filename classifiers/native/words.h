/* A table of words: bytes to the number of their line. Built once from a list that it does not copy. */
#ifndef GATEHOUSE_WORDS_H
#define GATEHOUSE_WORDS_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    const uint8_t *list;
    uint32_t *starts;  /* of each word in `list`, and one past the last */
    uint32_t *slots;   /* a word's number plus one, and above it bits of its hash; 0 where there is none */
    uint32_t numbers;  /* the bits of a slot that are a number */
    size_t mask;
    size_t count;
    size_t distinct;
    size_t longest;    /* bytes */
} Words;

/* The words of `list`, with one line's end between each two; of equal ones the last counts. 0, -1 for a list that is too
 * long (1 GiB), -2 without memory. `list` must outlive the table. */
int words_build(Words *words, const uint8_t *list, size_t size);
void words_free(Words *words);

/* The number of a word, or -1. */
int32_t words_find(const Words *words, const uint8_t *word, size_t size);

#endif
