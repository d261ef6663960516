/* Runs of words that speak for a language that was not measured, as classifiers/strangeness.py finds them. */
#ifndef GATEHOUSE_STRANGENESS_H
#define GATEHOUSE_STRANGENESS_H

#include "words.h"

enum { WORDS_BEFORE = 8, WORDS_AFTER = 24 }; /* of a run, around the place where it is strange enough */

typedef struct {
    const Words *words;
    const int8_t *says;  /* how much each speaks for such a language, in `step`s */
    double step;
    double unknown;      /* what a word says that is not among them */
} Strangeness;

typedef struct {
    size_t first, stop;  /* words */
} Run;

/* How many runs `strange_runs` finds at most in so many bytes. */
size_t most_runs(size_t size);

/* Words are runs of ASCII letters, read as small ones, and of bytes above 127. Writes the runs whose sum reaches `least`,
 * in order; how many. `word` has room for `size` bytes. Linear in `size`. */
size_t strange_runs(const Strangeness *model, const uint8_t *data, size_t size, double least, uint8_t *word, Run *runs);

#endif
