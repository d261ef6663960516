#include "prefilter.h"

#include <string.h>

#include "fast_paths.h"

typedef uint64_t Four __attribute__((vector_size(32), aligned(8), may_alias));
enum { FOURS = PREFILTER_LANES / 4 };

typedef struct {
    Four now[FOURS], seen[FOURS];
} State;

static inline __attribute__((always_inline)) void follow(
    State *state, const uint64_t *first, const uint64_t *mask, const uint64_t *gap
) {
    for (int at = 0; at < FOURS; at++) {
        Four on = (state->now[at] << 1 | ((const Four *)first)[at]) & ((const Four *)mask)[at];
        if (gap != NULL) on |= state->now[at] & ((const Four *)gap)[at];
        state->now[at] = on;
        state->seen[at] |= on;
    }
}

/* One block over the whole text; its gaps, or NULL. */
static inline __attribute__((always_inline)) void block(
    const uint64_t *first, const uint64_t *masks, const uint64_t *gaps, const uint8_t *data, size_t size, uint64_t *seen
) {
    State state = {0};
    for (size_t at = 0; at < size + 2; at++) {
        const size_t row = (at == 0 || at == size + 1 ? PREFILTER_PAD : data[at - 1]) * (size_t)PREFILTER_LANES;
        follow(&state, first, masks + row, gaps == NULL ? NULL : gaps + row);
    }
    memcpy(seen, state.seen, sizeof state.seen);
}

/* The same code twice, once without gaps. */
static inline __attribute__((always_inline)) void either(
    const uint64_t *first, const uint64_t *masks, const uint64_t *gaps, const uint8_t *data, size_t size, uint64_t *seen
) {
    if (gaps == NULL)
        block(first, masks, NULL, data, size, seen);
    else
        block(first, masks, gaps, data, size, seen);
}

TWO_PATHS(void, run_block,
          (const uint64_t *first, const uint64_t *masks, const uint64_t *gaps, const uint8_t *data, size_t size,
           uint64_t *seen),
          either(first, masks, gaps, data, size, seen), (first, masks, gaps, data, size, seen))

size_t prefilter_ends(const Prefilter *model, const uint8_t *data, size_t size, uint32_t *ends) {
    size_t count = 0;
    for (size_t number = 0; number < model->blocks; number++) {
        uint64_t seen[PREFILTER_LANES];
        const size_t rows = number * 256 * PREFILTER_LANES;
        run_block(model->first + number * PREFILTER_LANES, model->masks + rows,
                  number < model->gapped ? model->gaps + rows : NULL, data, size, seen);
        for (size_t lane = 0; lane < PREFILTER_LANES; lane++) {
            const size_t word = number * PREFILTER_LANES + lane;
            for (uint64_t left = seen[lane] & model->last[word]; left; left &= left - 1)
                ends[count++] = (uint32_t)(word * 64 + (size_t)__builtin_ctzll(left));
        }
    }
    return count;
}
