#include "prose.h"

#include <stdlib.h>

enum { LEAST = 24, NEAR = 2, TO_END = 12, TO_START = 4, HEAP = 3, TIMES = 4, GLANCE = 8, APART = 5, LONGEST = 32 };
static const double SHARE = 0.12;

typedef struct {
    uint32_t start, end;
    uint32_t small_before; /* small words in front of it */
    uint8_t small, ends;   /* whether it is one; whether a sentence ends with it */
} Seen;

typedef struct {
    Seen *words; /* and one behind the last */
    size_t count;
    const uint8_t *text;
} Text;

typedef struct {
    size_t one, other; /* words */
} Cut;

static int is_blank(uint8_t byte) { return byte == ' ' || (byte >= 9 && byte <= 13); }
static int is_upper(uint8_t byte) { return byte >= 'A' && byte <= 'Z'; }
static int is_closing(uint8_t byte) { return byte == '"' || byte == '\'' || byte == ')' || byte == ']'; }
static int is_end(uint8_t byte) { return byte == '.' || byte == '!' || byte == '?' || byte == ':' || byte == ';'; }

static int is_small(const Words *small, const uint8_t *word, size_t size) {
    uint8_t low[LONGEST];
    if (size > LONGEST || size > small->longest) return 0;
    for (size_t at = 0; at < size; at++) low[at] = is_upper(word[at]) ? (uint8_t)(word[at] + 32) : word[at];
    return words_find(small, low, size) >= 0;
}

static int ends_sentence(const uint8_t *word, size_t size) {
    while (size && is_closing(word[size - 1])) size--;
    return size && is_end(word[size - 1]);
}

static void read_words(const Words *small, size_t size, Text *to) {
    const uint8_t *text = to->text;
    uint32_t before = 0;
    for (size_t at = 0; at < size;) {
        if (is_blank(text[at])) {
            at++;
            continue;
        }
        const size_t start = at;
        while (at < size && !is_blank(text[at])) at++;
        Seen *word = &to->words[to->count++];
        *word = (Seen){(uint32_t)start, (uint32_t)at, before, 0, 0};
        word->small = (uint8_t)is_small(small, text + start, at - start);
        word->ends = (uint8_t)ends_sentence(text + start, at - start);
        before += word->small;
    }
    to->words[to->count] = (Seen){(uint32_t)size, (uint32_t)size, before, 0, 0};
}

/* The small words among some. */
static size_t small_in(const Text *text, size_t from, size_t to) {
    return text->words[to].small_before - text->words[from].small_before;
}

static int is_heap(const Text *text, size_t from, size_t to, size_t left) {
    const size_t size = to - from;
    return size >= HEAP && size <= TIMES * left && (double)small_in(text, from, to) <= SHARE * (double)size;
}

/* From the first small word with another among the five behind it to the last with one before it; else all words. */
static Cut stretch_of(const Text *text) {
    const size_t count = text->count;
    size_t low = 0, high = count;
    while (low < count && !(text->words[low].small &&
                            small_in(text, low + 1, low + 1 + APART < count ? low + 1 + APART : count)))
        low++;
    if (low == count) return (Cut){0, count};
    while (!(text->words[high - 1].small && small_in(text, high - 1 > APART ? high - 1 - APART : 0, high - 1))) high--;
    return (Cut){low, high};
}

static size_t beginning(const Text *text, size_t low) {
    for (size_t back = 0; back <= TO_START && back <= low; back++) {
        const size_t place = low - back;
        if (place == 0 || text->words[place - 1].ends) return place;
        const uint8_t here = text->text[text->words[place].start], before = text->text[text->words[place - 1].start];
        if (is_upper(here) && !is_upper(before)) return place;
    }
    return low > NEAR ? low - NEAR : 0;
}

/* The cuts in order, each once. */
static void add(Cut *cuts, int *found, Cut cut) {
    int at = *found;
    while (at > 0 && (cuts[at - 1].one > cut.one || (cuts[at - 1].one == cut.one && cuts[at - 1].other > cut.other))) at--;
    if (at > 0 && cuts[at - 1].one == cut.one && cuts[at - 1].other == cut.other) return;
    for (int each = (*found)++; each > at; each--) cuts[each] = cuts[each - 1];
    cuts[at] = cut;
}

static int find_cuts(const Text *text, Cut *cuts) {
    const size_t count = text->count, glance = count < GLANCE ? count : GLANCE;
    const Cut prose = stretch_of(text);
    const int may_have_heap = small_in(text, count - glance, count) <= 1 || small_in(text, 0, glance) <= 1;
    if (prose.one <= NEAR && prose.other + NEAR >= count && !may_have_heap) return 0;
    const size_t near = prose.other + NEAR < count ? prose.other + NEAR : count;
    size_t end = near;
    for (size_t at = prose.other + TO_END; at-- > prose.other;)
        if (at >= 1 && at <= count && text->words[at - 1].ends) end = at;
    int found = 0, heaps = 0;
    add(cuts, &found, (Cut){prose.one > NEAR ? prose.one - NEAR : 0, near});
    add(cuts, &found, (Cut){beginning(text, prose.one), end});
    for (size_t at = 1; at <= count && heaps < MOST_HEAPS; at++)
        if (text->words[at - 1].ends && is_heap(text, at, count, at)) {
            add(cuts, &found, (Cut){0, at});
            heaps++;
        }
    heaps = 0;
    for (size_t at = count; at >= 1 && heaps < MOST_HEAPS; at--)
        if (text->words[at - 1].ends && is_heap(text, 0, at, count - at)) {
            add(cuts, &found, (Cut){at, count});
            heaps++;
        }
    return found;
}

int prose_parts(const Words *small, const uint8_t *text, size_t size, Part parts[MOST_PARTS]) {
    Text seen = {.words = malloc((size / 2 + 2) * sizeof *seen.words), .text = text};
    if (seen.words == NULL) return -1;
    read_words(small, size, &seen);
    Cut cuts[MOST_PARTS];
    const int found = seen.count ? find_cuts(&seen, cuts) : 0;
    int kept = 0;
    for (int at = 0; at < found; at++) {
        const Cut cut = cuts[at];
        if (cut.one >= cut.other || (cut.one == 0 && cut.other == seen.count)) continue;
        const Part part = {seen.words[cut.one].start, seen.words[cut.other - 1].end};
        if (part.end - part.start >= LEAST) parts[kept++] = part;
    }
    free(seen.words);
    return kept;
}
