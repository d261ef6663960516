#include "strangeness.h"

static uint8_t letter_of(uint8_t byte) {
    if (byte >= 128 || (byte >= 'a' && byte <= 'z')) return byte;
    return byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte + 32) : 0;
}

size_t most_runs(size_t size) { return size / 2 / WORDS_AFTER + 2; } /* a word and what parts it take two bytes */

size_t strange_runs(const Strangeness *model, const uint8_t *data, size_t size, double least, uint8_t *word, Run *runs) {
    size_t count = 0, length = 0, place = 0, began = 0, after = 0;
    double total = 0.0;
    for (size_t at = 0; at <= size; at++) {
        const uint8_t letter = at < size ? letter_of(data[at]) : 0;
        if (letter) {
            word[length++] = letter;
            continue;
        }
        if (length == 0) continue;
        const int32_t number = words_find(model->words, word, length);
        if (total == 0.0) began = place;
        total += number < 0 ? model->unknown : (double)model->says[number] * model->step;
        if (total < 0.0) total = 0.0;
        if (total >= least && place >= after) {
            after = place + WORDS_AFTER;
            runs[count++] = (Run){began > WORDS_BEFORE ? began - WORDS_BEFORE : 0, after};
            total = 0.0;
        }
        length = 0;
        place++;
    }
    if (count && runs[count - 1].stop > place) runs[count - 1].stop = place;
    return count;
}
