/* Which chains of bytes stand in a text, as classifiers/prefilter.py says: all of them side by side, a bit for each step. */
#ifndef GATEHOUSE_PREFILTER_H
#define GATEHOUSE_PREFILTER_H

#include <stddef.h>
#include <stdint.h>

enum { PREFILTER_LANES = 16, PREFILTER_PAD = '\n' }; /* words of 64 bits in a block; what stands around a text */

typedef struct {
    const uint64_t *first; /* blocks x LANES: the first step of each chain, */
    const uint64_t *last;  /* and the last */
    const uint64_t *masks; /* blocks x 256 x LANES: by byte, the steps at which it may stand, */
    const uint64_t *gaps;  /* gapped x 256 x LANES: of the first blocks, those behind which it may */
    size_t blocks, gapped;
} Prefilter;

/* Writes the last steps of the chains that stand in the text to `ends`, in order; how many. `ends` has room for every bit
 * of `last`. Linear in `size`. */
size_t prefilter_ends(const Prefilter *model, const uint8_t *data, size_t size, uint32_t *ends);

#endif
