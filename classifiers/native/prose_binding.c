#include "bindings.h"
#include "prose.h"

/* prose_parts(small, text) -> a list with the first byte of each part, and the one behind its last. */
BOUND(bound_prose_parts) {
    (void)self;
    const uint8_t *text;
    size_t size;
    Part parts[MOST_PARTS];
    Arrays held = {.count = 0};
    if (takes(count, 2)) return NULL;
    const Words *small = hold_words(&held, args[0]);
    if (small == NULL || bytes_of(args[1], &text, &size)) {
        release(&held);
        return NULL;
    }
    const int found = size < UINT32_MAX ? prose_parts(small, text, size, parts) : -1;
    release(&held);
    return found < 0 ? PyErr_NoMemory() : pairs((const size_t *)parts, (size_t)found);
}
