#include "forms.h"

#include <string.h>

enum { WORDY = 60, NUMBERS = 2 };

static const char *const WRITTEN[] = {"two",   "three", "four", "five", "six",   "seven",
                                      "eight", "nine",  "ten",  "twice", "half", "third"};
static const char *const KEYWORDS[] = {"def", "class", "import", "return"};

static int is_digit(uint8_t byte) { return byte >= '0' && byte <= '9'; }
static int is_space(uint8_t byte) { return byte == ' ' || (byte >= '\t' && byte <= '\r') || (byte >= 0x1C && byte <= 0x1F); }
static int is_word(uint8_t byte) {
    return is_digit(byte) || (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || byte == '_';
}
static int is_notation(uint8_t byte) {
    return byte == '\\' || byte == '^' || byte == '{' || byte == '}' || byte == '$';
}

static int is_one_of(const char *const *words, size_t count, const uint8_t *word, size_t size) {
    for (size_t at = 0; at < count; at++)
        if (strlen(words[at]) == size && memcmp(words[at], word, size) == 0) return 1;
    return 0;
}

/* Lettered options on lines of their own: a second one. */
static int has_options(const uint8_t *data, size_t size) {
    for (size_t at = 0; at < size; at++) {
        if (data[at] != '\n') continue;
        const size_t letter = at + 1 + (at + 1 < size && data[at + 1] == '(');
        if (letter + 1 < size && data[letter] == 'B' &&
            (data[letter + 1] == '.' || data[letter + 1] == ')' || data[letter + 1] == ':'))
            return 1;
    }
    return 0;
}

static int has_numbers(const uint8_t *data, size_t size) {
    int found = 0;
    for (size_t at = 0; at < size;) {
        size_t end = at;
        while (end < size && is_word(data[end])) end++;
        if (is_one_of(WRITTEN, sizeof WRITTEN / sizeof *WRITTEN, data + at, end - at)) found++;
        for (; at < end; at++) found += is_digit(data[at]) && (at + 1 == end || !is_digit(data[at + 1]));
        at = end + 1;
    }
    return found >= NUMBERS;
}

/* Formulas and code: two marks of them together, a command, a keyword that begins a line, a line that ends in a mark. */
static int has_notation(const uint8_t *data, size_t size) {
    for (size_t at = 0; at < size; at++) {
        const uint8_t byte = data[at];
        if (at + 1 < size && is_notation(byte) && is_notation(data[at + 1])) return 1;
        if (at + 1 < size && byte == '\\' && data[at + 1] >= 'a' && data[at + 1] <= 'z') return 1;
        const int ends = byte == '{' || byte == '}' || byte == ';';
        if (byte != '\n' && !ends) continue;
        size_t next = at + 1;
        while (next < size && data[next] != '\n' && is_space(data[next])) next++;
        if (ends && next < size && data[next] == '\n') return 1;
        size_t end = next;
        while (end < size && is_word(data[end])) end++;
        if (!ends && is_one_of(KEYWORDS, sizeof KEYWORDS / sizeof *KEYWORDS, data + next, end - next)) return 1;
    }
    return 0;
}

int form_of(const uint8_t *data, size_t size) {
    if (has_options(data, size)) return FORM_CHOICE;
    if (size < WORDY || memchr(data, '?', size) == NULL || !has_numbers(data, size)) return FORM_OPEN;
    return has_notation(data, size) ? FORM_OPEN : FORM_SUM;
}
